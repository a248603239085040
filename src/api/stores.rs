//! The named stores, and what clients may do with them.

use axum::response::Response;
use http::StatusCode;
use image_service::{ImageId, Store};
use serde_json::{Map, Value, json};

use super::answer;
use super::exchange::Call;
use super::fault::Fault;

pub(super) fn list(call: &Call) -> Result<Response, Fault> {
    let stores = call.stores().ok_or_else(no_stores)?;
    let shown: Vec<Value> = stores.iter().map(|store| brief(store).into()).collect();
    Ok(answer::json(StatusCode::OK, &json!({ "stores": shown })))
}

pub(super) fn detail(call: &Call) -> Result<Response, Fault> {
    call.permit(&call.policy().stores_info_detail, "see details of stores")?;
    let stores = call.stores().ok_or_else(no_stores)?;
    let shown: Vec<Value> = stores.iter().map(|store| detailed(store).into()).collect();
    Ok(answer::json(StatusCode::OK, &json!({ "stores": shown })))
}

pub(super) async fn remove_copy(call: &Call, store: &str, id: &ImageId) -> Result<Response, Fault> {
    let stores = call.service().stores().ok_or_else(no_stores)?;
    call.permit_on(&call.policy().delete_image_location, "remove copies of images", id).await?;
    stores.remove_copy(&call.context, id, store).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

fn no_stores() -> Fault {
    Fault::not_found("Multi backend is not supported at this site.")
}

/// The marks of a store are strings, never booleans.
fn brief(store: &Store) -> Map<String, Value> {
    let mut shown = Map::from_iter([("id".to_owned(), Value::from(store.name.as_str()))]);
    if let Some(description) = &store.description {
        shown.insert("description".to_owned(), description.as_str().into());
    }
    if store.is_default {
        shown.insert("default".to_owned(), "true".into());
    }
    if store.read_only {
        shown.insert("read-only".to_owned(), "true".into());
    }
    shown
}

/// Which store is read first is not a matter of weights here, so all weigh the same.
fn detailed(store: &Store) -> Map<String, Value> {
    let mut shown = brief(store);
    shown.insert("type".to_owned(), store.kind.as_str().into());
    shown.insert("weight".to_owned(), 0.into());
    shown.insert("properties".to_owned(), json!({}));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_shown_with_marks_that_are_strings() {
        let store = Store {
            name: "paris".into(),
            kind: "http".into(),
            description: Some("far away".into()),
            is_default: true,
            read_only: true,
        };
        assert_eq!(
            Value::from(brief(&store)),
            json!({"id": "paris", "description": "far away", "default": "true", "read-only": "true"})
        );
        assert_eq!(detailed(&store)["type"], "http");
        let plain = Store { description: None, is_default: false, read_only: false, ..store };
        assert_eq!(Value::from(brief(&plain)), json!({"id": "paris"}));
    }
}
