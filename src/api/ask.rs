//! Reading requests: numbers in the path, parameters, JSON bodies, headers. What cannot be read is a problem that names it.

mod body;
mod whole;

use std::{error::Error, iter::successors, str::FromStr};

use axum::{
    extract::{FromRequestParts, Query, RawPathParams},
    http::{HeaderMap, Uri, request::Parts},
};
use serde::de::DeserializeOwned;

use super::problem::{Kind, Problem};
use crate::ids::{ProductId, Round, UserId};

pub(super) use {
    body::{Given, Perhaps, broken_off, check_type, in_time, read_json, too_large},
    whole::Whole,
};

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
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Wish {
        #[expect(dead_code, reason = "it is only read")]
        quantity: u32,
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
