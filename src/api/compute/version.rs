//! The document of the version, by which clients find out what is here. It stands as Nova has it.

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::super::exchange::Call;
use super::super::{answer, links};
use super::microversion::Microversion;

/// Tells of the version.
pub(super) fn show(call: &Call) -> Response {
    let base = links::base(&call.front.settings, &call.headers);
    let version = json!({
        "id": "v2.1",
        "status": "CURRENT",
        "version": Microversion::NEWEST.to_string(),
        "min_version": Microversion::OLDEST.to_string(),
        "updated": "2013-07-23T11:33:21Z",
        "links": [
            {"rel": "self", "href": format!("{base}/v2.1/")},
            {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"},
        ],
        "media-types": [
            {"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"},
        ],
    });
    answer::json(StatusCode::OK, &json!({ "version": version }))
}
