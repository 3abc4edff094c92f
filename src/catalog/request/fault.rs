//! What goes wrong with a request: a status and the text that Consul's clients look at.

use hyper::StatusCode;

/// An error as it is answered: `text/plain`, because clients match on its first words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub status: StatusCode,
    pub text: String,
}

impl Fault {
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Fault { status, text: text.into() }
    }

    pub fn bad_request(text: impl Into<String>) -> Self {
        Fault::new(StatusCode::BAD_REQUEST, text)
    }

    pub fn not_found(text: impl Into<String>) -> Self {
        Fault::new(StatusCode::NOT_FOUND, text)
    }

    /// Consul's answer to most of what its servers refuse.
    pub fn internal(text: impl Into<String>) -> Self {
        Fault::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    pub fn forbidden(text: impl AsRef<str>) -> Self {
        Fault::new(StatusCode::FORBIDDEN, format!("Permission denied: {}", text.as_ref()))
    }

    /// 403 in other words.
    pub fn forbidden_as(text: &str) -> Self {
        Fault::new(StatusCode::FORBIDDEN, text)
    }

    pub fn too_large(limit: usize) -> Self {
        let text = format!("Request body too large, max allowed: {limit} bytes.");
        Fault::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    /// 413 in other words.
    pub fn too_large_as(text: &str) -> Self {
        Fault::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    pub fn acl_disabled() -> Self {
        Fault::new(StatusCode::UNAUTHORIZED, "ACL support disabled")
    }
}
