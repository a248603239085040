//! Namespaces.

use axum::body::Body;
use axum::response::Response;
use http::header::LOCATION;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Desk, WITH_LINKS, created, gone, query, shown, wire};
use crate::api::answer;
use crate::api::fault::Fault;
use crate::api::links::{self, MARKER, Params};
use crate::metadefs::{Part, Read};

const LIST: &str = "/v2/metadefs/namespaces";

/// What cannot stand in a path.
const OF_PATHS: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'%').add(b'/');

pub(super) async fn list(desk: &Desk<'_>) -> Result<Response, Fault> {
    let params = Params::read(&desk.call.query)?;
    let list = query::namespaces(&params, &desk.call.front.settings)?;
    let limit = list.limit;
    let found = desk.read(move |session| session.namespaces(&list)).await?;
    let namespaces: Vec<Value> = found.iter().map(wire::listed).collect();
    let mut shown_list = json!({
        "namespaces": namespaces,
        "first": params.link(LIST, &[]),
        "schema": "/v2/schemas/metadefs/namespaces",
    });
    // A full page may have another behind it.
    if let Some(last) = found.last().filter(|_| found.len() == limit) {
        shown_list["next"] = params.link(LIST, &[(MARKER, &last.namespace.it.name)]).into();
    }
    Ok(shown(&shown_list))
}

pub(super) async fn add(desk: &Desk<'_>, body: Body) -> Result<Response, Fault> {
    let (mut namespace, contents) = Read::namespace(&desk.document(body, &WITH_LINKS).await?)?;
    let (caller, policy) = (&desk.call.context.caller, desk.call.policy());
    policy.may_read_metadefs(caller)?;
    policy.may_write_metadefs(caller)?;
    namespace.owner = namespace.owner.or_else(|| caller.project.clone());
    let job = move |session: &crate::metadefs::Session<'_>| {
        let entry = session.add_namespace(&namespace, &contents)?;
        Ok((entry, contents))
    };
    let (entry, contents) = desk.metadefs.write(caller, job).await?;
    let mut response = created(&wire::made(&entry, &contents));
    let base = links::base(&desk.call.front.settings, &desk.call.headers);
    let name = utf8_percent_encode(&entry.it.name, OF_PATHS);
    answer::set_header(&mut response, LOCATION, &format!("{base}{LIST}/{name}"));
    Ok(response)
}

pub(super) async fn show(desk: &Desk<'_>) -> Result<Response, Fault> {
    let params = Params::read(&desk.call.query)?;
    let resource_type = query::resource_type(&params)?;
    let namespace = desk.namespace.to_owned();
    let mut whole = desk.read(move |session| session.whole(&namespace)).await?;
    if let Some(resource_type) = resource_type {
        whole.prefix_for(&resource_type);
    }
    Ok(shown(&wire::whole(&whole)))
}

/// What the body says to be in the namespace is not looked at.
pub(super) async fn change(desk: &Desk<'_>, body: Body) -> Result<Response, Fault> {
    let (mut namespace, _) = Read::namespace(&desk.document(body, &WITH_LINKS).await?)?;
    namespace.owner = namespace.owner.or_else(|| desk.call.context.caller.project.clone());
    let changed = desk.write(move |session, name| session.change_namespace(name, &namespace)).await?;
    Ok(shown(&wire::namespace(&changed).into()))
}

pub(super) async fn delete(desk: &Desk<'_>) -> Result<Response, Fault> {
    desk.write(|session, name| session.delete_namespace(name)).await?;
    Ok(gone())
}

pub(super) async fn clear(desk: &Desk<'_>, part: Part) -> Result<Response, Fault> {
    desk.write(move |session, name| session.clear(name, part)).await?;
    Ok(gone())
}
