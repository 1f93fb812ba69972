//! Bodies: as JSON, in time, and no larger than they may be.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, header, request::Parts},
};
use futures_util::StreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::timeout_at;

use super::{field_at, header_text};
use crate::api::{
    Api,
    guard::Deadline,
    problem::{Kind, Problem},
};

/// A JSON body.
pub(in crate::api) struct Given<T>(pub(in crate::api) T);

/// A JSON body, or none.
pub(in crate::api) struct Perhaps<T>(pub(in crate::api) T);

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for Given<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        check_type(&parts.headers, "application/json")?;
        read_json(&read_body(&parts, body, api.options.body_bytes_max).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Arc<Api>> for Perhaps<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = read_body(&parts, body, api.options.body_bytes_max).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        check_type(&parts.headers, "application/json")?;
        Ok(Self(read_json::<Option<T>>(&body)?.unwrap_or_default()))
    }
}

/// Whether the body is of this type, and as it is.
pub(in crate::api) fn check_type(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    let encoding = header_text(headers, "Content-Encoding")?;
    if let Some(encoding) = encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let detail = format!("`{}` is not read; send the body as it is", encoding.escape_debug());
        return Err(Problem::of_field(Kind::UnsupportedMediaType, "Content-Encoding", detail));
    }
    let given = header_text(headers, "Content-Type")?.unwrap_or_default();
    if given.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(Problem::of_field(Kind::UnsupportedMediaType, "Content-Type", format!("the body must be {wanted}")))
}

/// That a body is larger than it may be.
pub(in crate::api) fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("the body may have {bytes_max} bytes"))
}

/// That a body ended before its end.
pub(in crate::api) fn broken_off() -> Problem {
    Problem::new(Kind::BadRequest, "the body broke off")
}

/// Waits for the body as long as there is time to do something with it.
pub(in crate::api) async fn in_time<T>(
    deadline: Deadline,
    read: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let late = |_| Problem::new(Kind::SlowBody, "the body did not come in time, and nothing was done; send it at once");
    timeout_at(deadline.0, read).await.map_err(late)?
}

async fn read_body(parts: &Parts, body: Body, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let Some(deadline) = parts.extensions.get::<Deadline>() else {
        return Err(Problem::internal(&"a route without a time limit"));
    };
    in_time(*deadline, read_chunks(&parts.headers, body, bytes_max)).await
}

async fn read_chunks(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > bytes_max) {
        return Err(too_large(bytes_max));
    }
    let (mut chunks, mut whole) = (body.into_data_stream(), Vec::new());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| broken_off())?;
        if whole.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole)
}

/// Reads one JSON object, or what stands for none, and nothing behind it.
pub(in crate::api) fn read_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    // serde would take an array for the fields in their order.
    if text.trim_ascii_start().starts_with(b"[") && serde_json::from_slice::<IgnoredAny>(text).is_ok() {
        return Err(Problem::of_field(Kind::InvalidFields, "body", "it is an object, not an array"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let read = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if !inner.is_data() {
            return Problem::of_field(Kind::BadRequest, "body", format!("it is not JSON: {inner}"));
        }
        let detail = inner.to_string();
        Problem::of_field(Kind::InvalidFields, field_at(path, &detail, "body"), detail)
    })?;
    match deserializer.end() {
        Ok(()) => Ok(read),
        Err(error) => Err(Problem::of_field(Kind::BadRequest, "body", format!("something follows the JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use axum::{http::StatusCode, response::IntoResponse};

    use super::{super::tests::Wish, *};

    #[test]
    fn what_is_wrong_with_a_body_is_named() {
        for (text, status, field) in [
            ("", StatusCode::BAD_REQUEST, "body"),
            ("{", StatusCode::BAD_REQUEST, "body"),
            (r#"{"quantity":1} x"#, StatusCode::BAD_REQUEST, "body"),
            ("[]", StatusCode::UNPROCESSABLE_ENTITY, "body"),
            (" [1]", StatusCode::UNPROCESSABLE_ENTITY, "body"),
            ("[1", StatusCode::BAD_REQUEST, "body"),
            ("{}", StatusCode::UNPROCESSABLE_ENTITY, "quantity"),
            (r#"{"quantity":"1"}"#, StatusCode::UNPROCESSABLE_ENTITY, "quantity"),
            (r#"{"quantity":-1}"#, StatusCode::UNPROCESSABLE_ENTITY, "quantity"),
            (r#"{"quantity":1,"quantity":2}"#, StatusCode::UNPROCESSABLE_ENTITY, "quantity"),
            (r#"{"quantity":1,"colour":"red"}"#, StatusCode::UNPROCESSABLE_ENTITY, "colour"),
            (r#"{"quantity":1,"a`, b":"red"}"#, StatusCode::UNPROCESSABLE_ENTITY, "a`, b"),
            (r#"{"quantity":"unknown field `colour`, expected"}"#, StatusCode::UNPROCESSABLE_ENTITY, "quantity"),
        ] {
            let problem = read_json::<Wish>(text.as_bytes()).expect_err(text);
            assert!(problem.detail().starts_with(&format!("{field}: ")), "{text}: {}", problem.detail());
            assert_eq!(problem.into_response().status(), status, "{text}");
        }
    }
}
