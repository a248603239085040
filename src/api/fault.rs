//! Errors as clients see them: a status and nested JSON, plain text for clients of v1, or a named fault for those of Nova.
//!
//! The client gets our sentence, the operator the chain of causes. The body is nested, and the same whatever the
//! client accepts: `{"error": {"code", "title", "message"}}` is what every client of the Image API can read. Those of v1
//! know the plain text of its time, which is as much for people as for them.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use image_service::{Error, ErrorKind};
use serde_json::json;

use super::answer;
use crate::auth::Refusal;

/// A request that fails, and how that is told to the client.
#[derive(Debug)]
pub(super) struct Fault {
    status: StatusCode,
    message: String,
    header: Option<(HeaderName, HeaderValue)>,
    cause: Option<Box<Error>>,
}

impl Fault {
    /// A fault told in one sentence.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), header: None, cause: None }
    }

    /// The request can never succeed as it stands.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The caller may not do this.
    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// There is no such thing, for this caller.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// What is there does not allow this.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// A body of a type that is not taken here.
    pub(super) fn unsupported_type(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    }

    /// The path exists, the method does not.
    pub(super) fn wrong_method(allow: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("this path answers {allow}"))
            .with_header(ALLOW, HeaderValue::from_str(allow).ok())
    }

    /// A mistake in this program, of which the client learns nothing more.
    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL)
    }

    /// The same fault with a header, if there is one.
    pub(super) fn with_header(mut self, name: HeaderName, value: Option<HeaderValue>) -> Self {
        self.header = value.map(|value| (name, value));
        self
    }

    /// The same fault with another status.
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same fault in other words.
    pub(super) fn with_message(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// Tells it as a Glance with v1 does: status and title, an empty line, what is wrong.
    pub(super) fn into_text(self) -> Response {
        self.tell_the_operator();
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = format!("{} {title}\n\n{}\n", self.status.as_u16(), self.message);
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
        response.headers_mut().extend(self.header);
        response
    }

    /// Tells it as Nova does, by its name.
    pub(super) fn into_compute(self) -> Response {
        self.tell_the_operator();
        let name = match self.status.as_u16() {
            400 => "badRequest",
            401 => "unauthorized",
            403 => "forbidden",
            404 => "itemNotFound",
            405 => "badMethod",
            409 => "conflictingRequest",
            413 | 429 => "overLimit",
            415 => "badMediaType",
            501 => "notImplemented",
            503 => "serviceUnavailable",
            _ => "computeFault",
        };
        let body = json!({ name: {"code": self.status.as_u16(), "message": self.message} });
        let mut response = answer::json(self.status, &body);
        response.headers_mut().extend(self.header);
        response
    }

    /// What the client is answered with.
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(test)]
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    fn tell_the_operator(&self) {
        let Some(cause) = &self.cause else { return };
        let chain = cause.chain();
        let (backend, operation) =
            cause.origin().map_or(("", ""), |origin| (origin.backend.as_str(), origin.operation));
        let kind = cause.kind();
        match self.status.as_u16() {
            500 => tracing::error!(?kind, backend, operation, %chain, "the request failed"),
            501.. => tracing::warn!(?kind, backend, operation, %chain, "the request could not be answered"),
            _ => tracing::debug!(?kind, backend, operation, %chain, "the request was refused"),
        }
    }
}

const INTERNAL: &str = "an internal error; the operator can find it by the request id";

/// The status for each kind of error.
///
/// Silence of every kind is 503, also when the deadline ran out: it is the one status that OpenStack's clients try
/// again by themselves, and all of it means "ask later".
pub(super) const fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid | ErrorKind::Incomplete => StatusCode::BAD_REQUEST,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists | ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::UnsupportedFormat => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorKind::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorKind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Refused | ErrorKind::TimedOut | ErrorKind::Unavailable | ErrorKind::Unauthenticated => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let message = match error.kind() {
            ErrorKind::Internal => INTERNAL.to_owned(),
            ErrorKind::Unauthenticated => "the image store wants a token that it knows".to_owned(),
            _ => error.message().to_owned(),
        };
        Self { status: status_of(error.kind()), message, header: None, cause: Some(Box::new(error)) }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown { message, challenge } => {
                Self::new(StatusCode::UNAUTHORIZED, message).with_header(WWW_AUTHENTICATE, challenge)
            }
            Refusal::Silent(message) => Self::new(StatusCode::SERVICE_UNAVAILABLE, message),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        self.tell_the_operator();
        let title = self.status.canonical_reason().unwrap_or("Error");
        let code = self.status.as_u16();
        let body = json!({"error": {"code": code, "title": title, "message": self.message}});
        let mut response = answer::json(self.status, &body);
        response.headers_mut().extend(self.header);
        response
    }
}
