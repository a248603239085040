//! Types of resources, and which of them a namespace applies to.

use axum::body::Body;
use axum::response::Response;
use serde_json::{Value, json};

use super::{Desk, WITHOUT_LINKS, created, gone, shown, wire};
use crate::api::fault::Fault;
use crate::metadefs::Read;

pub(super) async fn list(desk: &Desk<'_>) -> Result<Response, Fault> {
    let types = desk.read(|session| session.resource_types()).await?;
    let types: Vec<Value> = types.iter().map(wire::named).collect();
    Ok(shown(&json!({ "resource_types": types })))
}

pub(super) async fn associations(desk: &Desk<'_>) -> Result<Response, Fault> {
    let namespace = desk.namespace.to_owned();
    let associations = desk.read(move |session| session.associations(&namespace)).await?;
    let associations: Vec<Value> = associations.iter().map(wire::association).collect();
    Ok(shown(&json!({ "resource_type_associations": associations })))
}

pub(super) async fn associate(desk: &Desk<'_>, body: Body) -> Result<Response, Fault> {
    let association = Read::association(&desk.document(body, &WITHOUT_LINKS).await?)?;
    let made = desk.write(move |session, namespace| session.associate(namespace, &association)).await?;
    Ok(created(&wire::association(&made)))
}

pub(super) async fn dissociate(desk: &Desk<'_>) -> Result<Response, Fault> {
    let name = desk.name.to_owned();
    desk.write(move |session, namespace| session.dissociate(namespace, &name)).await?;
    Ok(gone())
}
