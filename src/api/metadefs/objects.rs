//! Objects of a namespace.

use axum::body::Body;
use axum::response::Response;
use serde_json::{Value, json};

use super::{Desk, WITH_LINKS, created, gone, query, shown, wire};
use crate::api::fault::Fault;
use crate::api::links::Params;
use crate::metadefs::Read;

pub(super) async fn list(desk: &Desk<'_>) -> Result<Response, Fault> {
    query::check_objects(&Params::read(&desk.call.query)?)?;
    let namespace = desk.namespace.to_owned();
    let objects = desk.read(move |session| session.objects(&namespace)).await?;
    let objects: Vec<Value> = objects.iter().map(|object| wire::object(desk.namespace, object)).collect();
    // The path is Glance's, without a slash before it.
    Ok(shown(&json!({ "objects": objects, "schema": "v2/schemas/metadefs/objects" })))
}

pub(super) async fn show(desk: &Desk<'_>) -> Result<Response, Fault> {
    let (namespace, name) = (desk.namespace.to_owned(), desk.name.to_owned());
    let object = desk.read(move |session| session.object(&namespace, &name)).await?;
    Ok(shown(&wire::object(desk.namespace, &object)))
}

pub(super) async fn add(desk: &Desk<'_>, body: Body) -> Result<Response, Fault> {
    let object = Read::object(&desk.document(body, &WITH_LINKS).await?)?;
    let object = desk.write(move |session, namespace| session.add_object(namespace, &object)).await?;
    Ok(created(&wire::object(desk.namespace, &object)))
}

pub(super) async fn change(desk: &Desk<'_>, body: Body) -> Result<Response, Fault> {
    let object = Read::object(&desk.document(body, &WITH_LINKS).await?)?;
    let name = desk.name.to_owned();
    let object =
        desk.write(move |session, namespace| session.change_object(namespace, &name, &object)).await?;
    Ok(shown(&wire::object(desk.namespace, &object)))
}

pub(super) async fn remove(desk: &Desk<'_>) -> Result<Response, Fault> {
    let name = desk.name.to_owned();
    desk.write(move |session, namespace| session.remove_object(namespace, &name)).await?;
    Ok(gone())
}
