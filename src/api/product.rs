//! Products: showing, listing, naming them.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api,
    ask::{Asked, At, Given},
    problem::{Kind, Problem},
};
use crate::{
    ids::{ParseError, ProductId, ProductRef, Sku},
    mysql::product::{self, ProductRow},
    report,
};

/// The most that one page has.
pub(super) const PAGE_MAX: u32 = 1_000;
/// What a page has when nothing is said.
pub(super) const PAGE_DEFAULT: u32 = 100;

pub(super) fn page_default() -> u32 {
    PAGE_DEFAULT
}

/// Refuses a page that is too large, or empty.
pub(super) fn check_limit(limit: u32) -> Result<u32, Problem> {
    if (1..=PAGE_MAX).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::of_field(Kind::BadRequest, "limit", format!("it is from 1 to {PAGE_MAX}")))
    }
}

/// What follows a full page: the value of `after` that goes on behind its last item.
pub(super) fn next_after<T>(items: &[T], limit: u32, name: impl FnOnce(&T) -> String) -> Option<String> {
    items.last().filter(|_| items.len() >= usize::try_from(limit).unwrap_or(usize::MAX)).map(name)
}

/// Show a product
///
/// Stock and round are those of this moment; while Redis does not answer, those that were recorded last.
#[utoipa::path(
    get, path = "/products/{productId}", tag = "Products", operation_id = "showProduct",
    params(("productId" = ProductId, Path, description = "The product's number")),
    responses((status = 200, description = "The product", body = ProductRow))
)]
pub(super) async fn show(State(api): State<Arc<Api>>, At(product): At<ProductId>) -> Result<Json<ProductRow>, Problem> {
    let ready = api.ready()?;
    let (row, _) = report::product::now(&ready.sources(), ready.product(product).await?).await?;
    Ok(Json(row))
}

/// Which products.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ProductsAsked {
    /// Only those after this number: the `next` of the page before.
    #[param(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    after: Option<u64>,
    /// Only the one of this code; upper and lower case differ.
    #[param(value_type = Option<Sku>)]
    sku: Option<String>,
    /// At most so many.
    #[serde(default = "page_default")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: u32,
}

/// Some products.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Products {
    /// By number, as they are recorded.
    items: Vec<ProductRow>,
    /// The `after` of the next page; null after the last.
    next: Option<String>,
}

/// List products
#[utoipa::path(
    get, path = "/products", tag = "Products", operation_id = "listProducts", params(ProductsAsked),
    responses((status = 200, description = "A page of products, by number", body = Products))
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<ProductsAsked>,
) -> Result<Json<Products>, Problem> {
    let limit = check_limit(asked.limit)?;
    let after = asked.after.map(|after| i64::try_from(after).map(ProductId)).transpose();
    let after = after.map_err(|_| Problem::of_field(Kind::BadRequest, "after", "there is no such number"))?;
    let sku = asked.sku.map(|sku| sku.parse()).transpose();
    let sku: Option<Sku> = sku.map_err(|error: ParseError| Problem::of_field(Kind::BadRequest, "sku", error))?;
    let mysql = &api.ready()?.producer.stores().mysql;
    if let Some(sku) = sku {
        let found = product::find(mysql, &ProductRef::Sku(sku)).await?;
        let items = found.into_iter().filter(|row| after.is_none_or(|after| row.id > after)).collect();
        return Ok(Json(Products { items, next: None }));
    }
    let items = product::list(mysql, after, limit).await?;
    let next = next_after(&items, limit, |row| row.id.to_string());
    Ok(Json(Products { items, next }))
}

/// How a product is called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct ProductNamed {
    /// For people.
    #[schema(
        min_length = 1,
        max_length = 255,
        example = "Party bunting",
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"
    )]
    name: String,
    /// Its code in the shop; upper and lower case differ. Without one it has none any more.
    #[serde(default)]
    #[schema(value_type = Option<Sku>)]
    sku: Option<String>,
}

/// Add a product, or rename it
///
/// A new product has no stock and no rounds. The stock is set at `…/stock`.
#[utoipa::path(
    put, path = "/products/{productId}", tag = "Products", operation_id = "putProduct",
    params(("productId" = ProductId, Path, description = "The product's number")),
    request_body = ProductNamed,
    responses(
        (status = 200, description = "It was there, and is called so now", body = ProductRow),
        (status = 201, description = "It was added", body = ProductRow),
        (status = 409, description = "The code is another product's"),
    )
)]
pub(super) async fn put(
    State(api): State<Arc<Api>>,
    At(id): At<ProductId>,
    Given(named): Given<ProductNamed>,
) -> Result<(StatusCode, Json<ProductRow>), Problem> {
    let name = product::parse_name(&named.name);
    let name = name.map_err(|error| Problem::of_field(Kind::InvalidFields, "name", error))?;
    let sku: Option<Sku> = named
        .sku
        .map(|sku| sku.parse())
        .transpose()
        .map_err(|error: ParseError| Problem::of_field(Kind::InvalidFields, "sku", error))?;
    let ready = api.ready()?;
    let added = product::put(&ready.producer.stores().mysql, id, &name, sku.as_ref()).await?;
    let (row, _) = report::product::now(&ready.sources(), ready.product(id).await?).await?;
    Ok((if added { StatusCode::CREATED } else { StatusCode::OK }, Json(row)))
}
