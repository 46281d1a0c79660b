//! Errors as RFC 9457 writes them.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Why a request is not answered as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No token, or a wrong one.
    Unauthorized,
    /// Nothing is there.
    NotFound,
    /// It is there, but not for this method.
    MethodNotAllowed,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, title) = match self {
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "a bearer token is needed: see api.token in data_dir")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "there is nothing here"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "not by this method"),
        };
        let body = json!({ "status": status.as_u16(), "title": title }).to_string();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self {
            Self::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // The router knows which methods there are.
            Self::MethodNotAllowed | Self::NotFound => {}
        }
        response
    }
}
