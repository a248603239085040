//! Request bodies that are not image data: none at all, or bounded JSON.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;

use super::Settings;
use super::fault::Fault;

/// What an action does with a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// There must be none.
    None,
    /// It is read.
    Taken,
    /// It is left alone.
    Ignored,
}

/// Refuses a body where none is expected.
pub(super) fn check(rule: Rule, body: &Body) -> Result<(), Fault> {
    if rule == Rule::None && !body.is_end_stream() {
        return Err(Fault::bad_request("A body is not expected with this request."));
    }
    Ok(())
}

/// Reads a body of JSON: an object or an array.
pub(super) async fn json(body: Body, settings: &Settings) -> Result<Value, Fault> {
    json_within(body, settings.json_body, settings.body_pause).await
}

/// Reads a body of JSON of at most `most` bytes, which may take as long as `pause` to come.
pub(super) async fn json_within(body: Body, most: usize, pause: Duration) -> Result<Value, Fault> {
    let collected = Limited::new(body, most).collect();
    let bytes = match tokio::time::timeout(pause, collected).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("the body is larger than {most} bytes");
            return Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        Ok(Err(_)) => return Err(Fault::bad_request("the body broke off")),
        Err(_) => return Err(Fault::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
    };
    if bytes.is_empty() {
        return Err(Fault::bad_request("Body expected in request."));
    }
    match serde_json::from_slice(&bytes) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => Ok(value),
        Ok(_) => Err(Fault::bad_request("Unexpected body type. Expected list/dict.")),
        Err(_) => Err(Fault::bad_request("Malformed JSON in request body.")),
    }
}
