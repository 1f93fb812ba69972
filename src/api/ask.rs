//! Reading requests: numbers in the path, parameters, JSON bodies, headers. What cannot be read is a problem that names it.

mod whole;

use std::{error::Error, iter::successors, str::FromStr, sync::Arc};

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request},
    http::{HeaderMap, HeaderName, Uri, header, request::Parts},
};
use futures_util::StreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::timeout_at;

use super::{
    Api,
    guard::Deadline,
    problem::{Kind, Problem},
};
use crate::ids::{ProductId, Round, UserId};

pub(super) use whole::Whole;

/// What the path names.
pub(super) struct At<T>(pub(super) T);

/// Something that stands in a path.
pub(super) trait InPath: Sized {
    fn read(path: &RawPathParams) -> Result<Self, Problem>;
}

/// A part of the path, by the name that the route gives it.
pub(super) fn named<T: FromStr<Err: ToString>>(path: &RawPathParams, name: &'static str) -> Result<T, Problem> {
    let text = path.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
    text.parse().map_err(|error: T::Err| Problem::of_field(Kind::BadRequest, name, error))
}

impl InPath for ProductId {
    fn read(path: &RawPathParams) -> Result<Self, Problem> {
        named(path, "productId")
    }
}

impl InPath for (ProductId, Round) {
    fn read(path: &RawPathParams) -> Result<Self, Problem> {
        Ok((named(path, "productId")?, named(path, "round")?))
    }
}

impl InPath for (ProductId, UserId) {
    fn read(path: &RawPathParams) -> Result<Self, Problem> {
        Ok((named(path, "productId")?, named(path, "userId")?))
    }
}

impl InPath for (ProductId, i64) {
    fn read(path: &RawPathParams) -> Result<Self, Problem> {
        Ok((named(path, "productId")?, named(path, "request")?))
    }
}

impl<S: Send + Sync, T: InPath> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = RawPathParams::from_request_parts(parts, state).await;
        let path = path.map_err(|error| Problem::new(Kind::BadRequest, error.body_text()))?;
        T::read(&path).map(Self)
    }
}

/// The parameters after the `?`.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read_query(&parts.uri).map(Self)
    }
}

/// What serde says of a query, with the name of the parameter it was at.
type QueryError = serde_path_to_error::Error<serde::de::value::Error>;

fn read_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let error = match Query::try_from_uri(uri) {
        Ok(Query(asked)) => return Ok(asked),
        Err(error) => error,
    };
    let causes = successors(error.source(), |cause: &&(dyn Error + 'static)| (*cause).source());
    let Some(error) = causes.into_iter().find_map(<dyn Error>::downcast_ref::<QueryError>) else {
        return Err(Problem::of_field(Kind::BadRequest, "query", error.body_text()));
    };
    let (path, detail) = (error.path().to_string(), error.inner().to_string());
    Err(Problem::of_field(Kind::BadRequest, field_at(path, &detail, "query"), detail))
}

/// A JSON body.
pub(super) struct Given<T>(pub(super) T);

/// A JSON body, or none.
pub(super) struct Perhaps<T>(pub(super) T);

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
pub(super) fn check_type(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?").trim());
    if let Some(encoding) = text(header::CONTENT_ENCODING).filter(|encoding| !encoding.eq_ignore_ascii_case("identity"))
    {
        let detail = format!("`{}` is not read; send the body as it is", encoding.escape_debug());
        return Err(Problem::of_field(Kind::UnsupportedMediaType, "Content-Encoding", detail));
    }
    let given = text(header::CONTENT_TYPE).unwrap_or_default();
    if given.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(Problem::of_field(Kind::UnsupportedMediaType, "Content-Type", format!("the body must be {wanted}")))
}

/// That a body is larger than it may be.
pub(super) fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("the body may have {bytes_max} bytes"))
}

/// That a body ended before its end.
pub(super) fn broken_off() -> Problem {
    Problem::new(Kind::BadRequest, "the body broke off")
}

/// Waits for the body as long as there is time to do something with it.
pub(super) async fn in_time<T>(
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
pub(super) fn read_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
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

/// Which field is to blame: the one where it went wrong, or the one that serde names; else the whole.
fn field_at(path: String, detail: &str, whole: &str) -> String {
    match named_field(detail) {
        Some(field) => field.to_owned(),
        None if path == "." => whole.to_owned(),
        None => path,
    }
}

/// The name in what serde says of a field that it does not know, or that is there twice or not at all. Only what it says
/// first is its own: behind that may stand what the caller sent.
fn named_field(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix("unknown field `") {
        // The name is the caller's, and may hold anything.
        let ends = ["`, expected ", "`, there are no fields"];
        return ends.iter().find_map(|end| rest.rsplit_once(end)).map(|(field, _)| field);
    }
    let rest = ["duplicate field `", "missing field `"].iter().find_map(|start| text.strip_prefix(start))?;
    rest.split_once('`').map(|(field, _)| field)
}

/// A header that may be given once.
pub(super) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::of_field(Kind::BadRequest, name, "it is given twice"));
    }
    let text = first.to_str().map_err(|_| Problem::of_field(Kind::BadRequest, name, "it is not plain ASCII"))?;
    Ok(Some(text.trim()))
}

#[cfg(test)]
mod tests {
    use axum::{http::StatusCode, response::IntoResponse};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        #[expect(dead_code, reason = "it is only read")]
        quantity: u32,
    }

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

    #[test]
    fn what_is_wrong_with_a_query_is_named() {
        for (query, field) in [
            ("quantity=x", "quantity"),
            ("quantity=1&quantity=2", "quantity"),
            ("quantity=1&colour=red", "colour"),
            ("quantity=1&a:%20unknown%20field%20%60b=1", "a: unknown field `b"),
            ("", "quantity"),
        ] {
            let uri = format!("/?{query}").parse().expect("a URI");
            let problem = read_query::<Wish>(&uri).expect_err(query);
            assert!(problem.detail().starts_with(&format!("{field}: ")), "{query}: {}", problem.detail());
        }
    }
}
