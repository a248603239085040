//! Tags of a namespace.

use axum::body::Body;
use axum::response::Response;
use http::HeaderMap;
use serde_json::json;

use super::{Desk, WITHOUT_LINKS, created, gone, query, shown, wire};
use crate::api::fault::Fault;
use crate::api::links::Params;
use crate::metadefs::{Read, TagsChange};

/// Says that tags are to be added, and none removed.
const APPEND: &str = "x-openstack-append";

pub(super) async fn list(desk: &Desk<'_>) -> Result<Response, Fault> {
    let list = query::tags(&Params::read(&desk.call.query)?)?;
    let namespace = desk.namespace.to_owned();
    let tags = desk.read(move |session| session.tags(&namespace, &list)).await?;
    let tags: Vec<String> = tags.into_iter().map(|tag| tag.it).collect();
    Ok(shown(&json!({ "tags": wire::tags(&tags) })))
}

pub(super) async fn set(desk: &Desk<'_>, body: Body) -> Result<Response, Fault> {
    let tags = Read::tags(&desk.document(body, &WITHOUT_LINKS).await?)?;
    let answer = json!({ "tags": wire::tags(&tags) });
    let change = if appends(&desk.call.headers) { TagsChange::Append } else { TagsChange::Replace };
    desk.write(move |session, namespace| session.set_tags(namespace, &tags, change)).await?;
    Ok(created(&answer))
}

/// Whether the header says so, in one of the words that Glance takes for yes.
fn appends(headers: &HeaderMap) -> bool {
    let word = headers.get(APPEND).and_then(|word| word.to_str().ok()).unwrap_or_default();
    ["1", "t", "true", "on", "y", "yes"].iter().any(|yes| word.trim().eq_ignore_ascii_case(yes))
}

pub(super) async fn show(desk: &Desk<'_>) -> Result<Response, Fault> {
    let (namespace, name) = (desk.namespace.to_owned(), desk.name.to_owned());
    Ok(shown(&wire::named(&desk.read(move |session| session.tag(&namespace, &name)).await?)))
}

pub(super) async fn add(desk: &Desk<'_>) -> Result<Response, Fault> {
    let name = Read::tag_name(desk.name)?;
    let tag = desk.write(move |session, namespace| session.add_tag(namespace, &name)).await?;
    Ok(created(&wire::named(&tag)))
}

pub(super) async fn rename(desk: &Desk<'_>, body: Body) -> Result<Response, Fault> {
    let renamed = Read::tag(&desk.document(body, &WITHOUT_LINKS).await?)?;
    let name = desk.name.to_owned();
    let tag = desk.write(move |session, namespace| session.rename_tag(namespace, &name, &renamed)).await?;
    Ok(shown(&wire::named(&tag)))
}

pub(super) async fn remove(desk: &Desk<'_>) -> Result<Response, Fault> {
    let name = desk.name.to_owned();
    desk.write(move |session, namespace| session.remove_tag(namespace, &name)).await?;
    Ok(gone())
}
