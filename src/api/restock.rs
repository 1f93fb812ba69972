//! Announcing a restock.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api,
    ask::{At, Perhaps, Whole, header_text},
    auth::Caller,
    problem::{Kind, Problem},
};
use crate::{
    ids::{IdempotencyKey, ProductId, Round},
    mysql::request::{self, RequestState},
    producer::{Accepted, accept},
};

/// The header that makes a repeated request count once.
const KEY: &str = "Idempotency-Key";
/// The most pieces that come in at once: what the column in MySQL holds.
const QUANTITY_MAX: u32 = i32::MAX.cast_unsigned();

/// A restock.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Restock {
    /// Pieces that came in; added to the stock.
    #[serde(default)]
    #[schema(value_type = i64, minimum = 0, maximum = 2_147_483_647, default = 0, example = 50)]
    quantity: Whole,
}

/// Announce a restock
///
/// Raises the stock and begins the next round: everybody in line is told, in the order in which they asked. The same
/// product and key give the same round, however often they are sent. While Redis does not answer the restock is kept and
/// `round` is null; it becomes a round when Redis is back, and `Location` says then which.
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
    headers: HeaderMap,
    Perhaps(Restock { quantity }): Perhaps<Restock>,
) -> Result<Response, Problem> {
    let key = read_key(&headers)?;
    let quantity = u32::try_from(quantity.0).ok().filter(|quantity| *quantity <= QUANTITY_MAX);
    let quantity = quantity
        .ok_or_else(|| Problem::of_field(Kind::InvalidFields, "quantity", format!("it is from 0 to {QUANTITY_MAX}")))?;
    let work = {
        let api = api.clone();
        async move {
            let producer = &api.ready()?.producer;
            let row = accept(&producer.stores().mysql, product, quantity, key.as_ref()).await?;
            if producer.stores().redis.is_connected() {
                return Ok::<_, Problem>(producer.push(&row).await?);
            }
            Ok(Accepted { product, round: row.round, request: Some(row.id) })
        }
    };
    let accepted = api.finish(work).await??;
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

/// The key as it was given, or the text of the structured string that the IETF draft asks for.
fn read_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(text) = header_text(headers, KEY)? else { return Ok(None) };
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let key = inner.unwrap_or(text).parse().map_err(|error| Problem::of_field(Kind::BadRequest, KEY, error))?;
    Ok(Some(key))
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
        for (given, read) in [("order-7", "order-7"), ("\"order-7\"", "order-7"), ("\"", "\""), ("a\"b", "a\"b")] {
            assert_eq!(key(given).ok().flatten().as_deref(), Some(read), "{given}");
        }
        for bad in ["", "\"\"", "#7", "\"#7\""] {
            assert!(key(bad).is_err(), "{bad}");
        }
        assert!(read_key(&HeaderMap::new()).is_ok_and(|key| key.is_none()));
    }
}
