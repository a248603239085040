//! Properties of a namespace.

use axum::body::Body;
use axum::response::Response;
use serde_json::{Value, json};

use super::{Desk, WITHOUT_LINKS, created, gone, query, shown, wire};
use crate::api::fault::Fault;
use crate::api::links::Params;
use crate::metadefs::{Read, Schema};

pub(super) async fn list(desk: &Desk<'_>) -> Result<Response, Fault> {
    let namespace = desk.namespace.to_owned();
    let properties = desk.read(move |session| session.properties(&namespace)).await?;
    Ok(shown(&json!({ "properties": wire::properties(&properties) })))
}

pub(super) async fn show(desk: &Desk<'_>) -> Result<Response, Fault> {
    let resource_type = query::resource_type(&Params::read(&desk.call.query)?)?;
    let (namespace, name) = (desk.namespace.to_owned(), desk.name.to_owned());
    let (name, schema) = desk
        .read(move |session| match resource_type {
            Some(resource_type) => session.property_on(&namespace, &name, &resource_type),
            None => session.property(&namespace, &name).map(|schema| (name, schema)),
        })
        .await?;
    Ok(shown(&wire::property(&name, &schema)))
}

pub(super) async fn add(desk: &Desk<'_>, body: Body) -> Result<Response, Fault> {
    let (name, schema, answer) = read(desk, body).await?;
    desk.write(move |session, namespace| session.add_property(namespace, &name, &schema)).await?;
    Ok(created(&answer))
}

pub(super) async fn change(desk: &Desk<'_>, body: Body) -> Result<Response, Fault> {
    let (renamed, schema, answer) = read(desk, body).await?;
    let name = desk.name.to_owned();
    let job = move |session: &crate::metadefs::Session<'_>, namespace: &str| {
        session.change_property(namespace, &name, &renamed, &schema)
    };
    desk.write(job).await?;
    Ok(shown(&answer))
}

pub(super) async fn remove(desk: &Desk<'_>) -> Result<Response, Fault> {
    let name = desk.name.to_owned();
    desk.write(move |session, namespace| session.remove_property(namespace, &name)).await?;
    Ok(gone())
}

/// The name of a property, what it is, and how it is shown. One that came with its name shows it in lists too.
async fn read(desk: &Desk<'_>, body: Body) -> Result<(String, Schema, Value), Fault> {
    let (name, mut schema) = Read::property(&desk.document(body, &WITHOUT_LINKS).await?)?;
    schema.insert("name".to_owned(), name.as_str().into());
    let answer = wire::property(&name, &schema);
    Ok((name, schema, answer))
}
