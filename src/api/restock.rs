//! Announcing a restock.

use std::{fmt::Display, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tokio::time::timeout_at;
use utoipa::ToSchema;

use super::{
    Api,
    ask::{At, Perhaps, Whole, header_text},
    auth::Caller,
    guard::Deadline,
    problem::{Kind, Problem},
};
use crate::{
    ids::{IdempotencyKey, ParseError, ProductId, Round},
    mysql::request::{self, Request, RequestState},
    producer::{Accepted, Producer, accept},
};

/// The header that makes a repeated request count once.
const KEY: &str = "Idempotency-Key";
/// The most pieces that come in at once: what the column in MySQL holds.
const QUANTITY_MAX: u32 = i32::MAX.cast_unsigned();

/// A restock.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct Restock {
    /// Pieces that came in; added to the stock.
    #[serde(default)]
    #[schema(value_type = i64, minimum = 0, maximum = 2_147_483_647, default = 0, example = 50)]
    quantity: Whole,
}

/// Announce a restock
///
/// Raises the stock and begins the next round: everybody in line is told, in the order in which they asked. The same
/// product and key give the same round, however often they are sent. Where it cannot be a round at once, such as while Redis
/// does not answer, the restock is kept and `round` is null; it becomes one later, and `Location` says then which.
#[utoipa::path(
    post, path = "/products/{productId}/notifications/re-stock", tag = "Restock", operation_id = "restock",
    params(
        ("productId" = ProductId, Path, description = "The product's number"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repetition count once; any text of your own, \
            plain or as a quoted string", pattern = "^[!$-~]([ -~]{0,126}[!-~])?$"),
    ),
    request_body(content = Option<Restock>),
    responses(
        (status = 202, description = "It will be announced", body = Accepted,
         headers(("Location" = String, description = "Where its state can be seen"))),
        (status = 409, description = "There is no stock to announce, or the same request was refused before"),
        (status = 422, description = "A field cannot be used, or the key stands for another quantity"),
    )
)]
pub(super) async fn restock(
    State(api): State<Arc<Api>>,
    At(product): At<ProductId>,
    _: Caller,
    deadline: Deadline,
    headers: HeaderMap,
    Perhaps(Restock { quantity }): Perhaps<Restock>,
) -> Result<Response, Problem> {
    let key = read_key(&headers)?;
    let quantity = u32::try_from(quantity.0).ok().filter(|quantity| *quantity <= QUANTITY_MAX);
    let quantity = quantity
        .ok_or_else(|| Problem::of_field(Kind::InvalidFields, "quantity", format!("it is from 0 to {QUANTITY_MAX}")))?;
    let accepting = {
        let mysql = api.ready()?.producer.stores().mysql.clone();
        async move { accept(&mysql, product, quantity, key.as_ref()).await }
    };
    let row = api.finish(accepting).await??;
    let kept = Accepted { product, round: row.round, request: Some(row.id) };
    let pushing = {
        let api = api.clone();
        async move { push(api.ready()?.producer(), &row, kept).await }
    };
    // It cannot be lost any more, and whoever asked is told so in time.
    let accepted = match timeout_at(deadline.0, api.finish(pushing)).await {
        Ok(pushed) => pushed??,
        Err(_) => kept,
    };
    let location = match (accepted.round, accepted.request) {
        (Some(round), _) => format!("/api/products/{product}/rounds/{round}"),
        (None, request) => format!("/api/products/{product}/requests/{}", request.unwrap_or_default()),
    };
    let mut response = (StatusCode::ACCEPTED, Json(accepted)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Makes a row of the outbox a round now. Only what says that it will never be one is a refusal: whatever else goes wrong,
/// the relay goes on with the row.
async fn push(producer: &Producer, row: &Request, kept: Accepted) -> Result<Accepted, Problem> {
    if !producer.stores().redis.is_connected() {
        return Ok(kept);
    }
    match producer.push(row).await {
        Err(error) if !error.is_final() => {
            tracing::warn!(request = row.id, %error, "the restock waits in the outbox");
            Ok(kept)
        }
        pushed => Ok(pushed?),
    }
}

/// The key as it was given, or the text of the structured string that the IETF draft asks for.
fn read_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(text) = header_text(headers, KEY)? else { return Ok(None) };
    let bad = |detail: &dyn Display| Problem::of_field(Kind::BadRequest, KEY, detail);
    let key = match text.strip_prefix('"') {
        Some(rest) => unquote(rest)
            .ok_or_else(|| bad(&r#"a quoted key ends with its second `"`, and in it `\` is followed by `"` or `\`"#))?,
        None => text.to_owned(),
    };
    key.parse().map(Some).map_err(|error: ParseError| bad(&error))
}

/// What a structured string (RFC 8941) says; `rest` is all after its first quote.
fn unquote(rest: &str) -> Option<String> {
    let (mut said, mut rest) = (String::new(), rest.strip_suffix('"')?.chars());
    while let Some(next) = rest.next() {
        said.push(match next {
            '"' => return None,
            '\\' => rest.next().filter(|escaped| matches!(escaped, '"' | '\\'))?,
            next => next,
        });
    }
    Some(said)
}

/// A restock that was sent, as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RequestView {
    /// Its number.
    request: i64,
    /// Of which product.
    product: ProductId,
    /// Pieces that came in.
    quantity: i64,
    /// Where it stands.
    #[schema(value_type = String, pattern = "^(PENDING|ACCEPTED|REFUSED)$")]
    state: &'static str,
    /// The round it got; null until it has one, and as long as that is not recorded.
    round: Option<Round>,
    /// Why it was refused.
    reason: Option<String>,
}

/// Where a restock stands that was sent
#[utoipa::path(
    get, path = "/products/{productId}/requests/{request}", tag = "Restock", operation_id = "showRequest",
    params(
        ("productId" = ProductId, Path, description = "The product's number"),
        ("request" = i64, Path, description = "The number that announcing it answered"),
    ),
    responses((status = 200, description = "As it stands in the record", body = RequestView))
)]
pub(super) async fn show_request(
    State(api): State<Arc<Api>>,
    At((product, id)): At<(ProductId, i64)>,
) -> Result<Json<RequestView>, Problem> {
    let found = request::find(&api.ready()?.producer.stores().mysql, id).await?;
    let Some(row) = found.filter(|row| row.product == product) else {
        return Err(Problem::new(Kind::NotFound, format!("there is no request {id} of product {product}")));
    };
    let state = match row.state {
        RequestState::Pending => "PENDING",
        RequestState::Accepted => "ACCEPTED",
        RequestState::Refused => "REFUSED",
    };
    let (round, reason) = (row.round, row.reason);
    Ok(Json(RequestView { request: row.id, product, quantity: row.quantity, state, round, reason }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &'static str) -> Result<Option<String>, Problem> {
        let headers = HeaderMap::from_iter([(
            header::HeaderName::from_static("idempotency-key"),
            HeaderValue::from_static(text),
        )]);
        Ok(read_key(&headers)?.map(|key| key.as_str().to_owned()))
    }

    #[test]
    fn a_key_is_plain_or_a_structured_string() {
        for (given, read) in [
            ("order-7", "order-7"),
            (r#""order-7""#, "order-7"),
            (r#""a \"b\" \\c""#, r#"a "b" \c"#),
            (r#"a"b"#, r#"a"b"#),
            (r"a\b", r"a\b"),
        ] {
            assert_eq!(key(given).ok().flatten().as_deref(), Some(read), "{given}");
        }
        for bad in ["", r#""""#, "#7", r##""#7""##, r#"""#, r#""a"#, r#""a"b""#, r#""a\x""#, r#""a\""#, r#""a";b=1"#] {
            assert!(key(bad).is_err(), "{bad}");
        }
        assert!(read_key(&HeaderMap::new()).is_ok_and(|key| key.is_none()));
    }
}
