//! The stock of a product, changed only by who knows how it stands.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api,
    ask::{At, Given, Whole, header_text},
    problem::{Kind, Problem},
};
use crate::{ids::ProductId, redis::stock::Stock, report};

/// Every tag that was ever given out is shorter.
const TAG_BYTES_MAX: usize = 64;

/// The largest stock: whole numbers stay exact in Redis' scripts far beyond.
const STOCK_MAX: i64 = 1_000_000_000_000;

/// The stock at this moment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StockView {
    /// Of which product.
    product: ProductId,
    /// Pieces left.
    #[schema(minimum = 0)]
    stock: i64,
    /// Names this state, as the header `ETag` does in quotes: another one after every change.
    version: String,
}

fn answer(product: ProductId, stock: Stock) -> Response {
    let tag = HeaderValue::from_str(&format!("\"{}\"", stock.tag));
    let view = StockView { product, stock: stock.units, version: stock.tag };
    let mut response = Json(view).into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Show what is in stock
///
/// Its `ETag`, given to a change as `If-Match`, makes sure that nothing has happened in between.
#[utoipa::path(
    get, path = "/products/{productId}/stock", tag = "Stock", operation_id = "showStock",
    params(("productId" = ProductId, Path, description = "The product's number")),
    responses((status = 200, description = "The stock at this moment", body = StockView,
               headers(("ETag" = String, description = "Names this state"))))
)]
pub(super) async fn show(State(api): State<Arc<Api>>, At(product): At<ProductId>) -> Result<Response, Problem> {
    let ready = api.ready()?;
    let (_, stock) = report::product::now(&ready.sources(), ready.product(product).await?).await?;
    Ok(answer(product, stock))
}

/// What is in stock.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct StockWish {
    /// Pieces; 0 ends the sending at once.
    #[schema(value_type = i64, minimum = 0, maximum = 1_000_000_000_000_i64, example = 12)]
    stock: Whole,
}

/// Set the stock
///
/// With `If-Match` only where the product is still in the state of that `ETag`, so that a late update cannot bring back a
/// stock that is gone. Without it the last one to write wins. Announces nothing.
#[utoipa::path(
    put, path = "/products/{productId}/stock", tag = "Stock", operation_id = "putStock",
    params(
        ("productId" = ProductId, Path, description = "The product's number"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was seen last, or `*`",
         pattern = r#"^((W/)?"[!#-~]{1,64}"|[!#-~]{1,64})$"#),
    ),
    request_body = StockWish,
    responses(
        (status = 200, description = "It is so now", body = StockView,
         headers(("ETag" = String, description = "Names this state"))),
        (status = 412, description = "The product has changed since, and nothing was done"),
    )
)]
pub(super) async fn put(
    State(api): State<Arc<Api>>,
    At(product): At<ProductId>,
    headers: HeaderMap,
    Given(StockWish { stock: Whole(stock) }): Given<StockWish>,
) -> Result<Response, Problem> {
    if !(0..=STOCK_MAX).contains(&stock) {
        return Err(Problem::of_field(Kind::InvalidFields, "stock", format!("it is from 0 to {STOCK_MAX}")));
    }
    let tag = read_tag(&headers)?;
    let work = {
        let api = api.clone();
        async move {
            let ready = api.ready()?;
            ready.redis()?;
            Ok::<_, Problem>(ready.producer.set_stock(product, stock, tag.as_deref()).await?)
        }
    };
    Ok(answer(product, api.finish(work).await??))
}

/// The tag that must still be that of the product; none for any.
fn read_tag(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(text) = header_text(headers, "If-Match")?.filter(|text| *text != "*") else {
        return Ok(None);
    };
    let (is_weak, text) = match text.strip_prefix("W/") {
        Some(rest) if rest.starts_with('"') => (true, rest),
        _ => (false, text),
    };
    // As in `ETag`, or as in `version`.
    let tag = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let is_of_tags = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
    if !(1..=TAG_BYTES_MAX).contains(&tag.len()) || !tag.bytes().all(is_of_tags) {
        let detail = "it is one entity tag, as `ETag` was, or *";
        return Err(Problem::of_field(Kind::BadRequest, "If-Match", detail));
    }
    if is_weak {
        return Err(Problem::new(Kind::StockHasChanged, "a weak entity tag never matches; give the ETag as it was"));
    }
    Ok(Some(tag.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_one_strong_entity_tag_or_any() {
        let read = |text: &'static str| {
            read_tag(&HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(text))])).ok()
        };
        assert_eq!(read("\"1-7\""), Some(Some("1-7".to_owned())));
        assert_eq!(read("1-7"), Some(Some("1-7".to_owned())));
        assert_eq!(read("*"), Some(None));
        for bad in [
            "\"\"",
            "\"",
            "W/\"1-7\"",
            "W/\"1 7\"",
            "\"1-7\", \"1-8\"",
            "",
            "1 7",
            concat!("1-", "0123456789012345678901234567890123456789012345678901234567890123"),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
