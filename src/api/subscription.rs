//! Getting one user into line and out of it, and seeing where they stand.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api,
    ask::At,
    problem::{Kind, Problem},
};
use crate::{
    ids::{Place, ProductId, UserId},
    mysql::{line, subscription},
    report::why::{self, Why},
};

fn never(product: ProductId, user: UserId) -> Problem {
    Problem::new(Kind::NotFound, format!("user {user} never subscribed to product {product}"))
}

/// Show where a user stands, and for each round whether they were told, or why not
#[utoipa::path(
    get, path = "/products/{productId}/subscriptions/{userId}", tag = "Subscriptions", operation_id = "showSubscription",
    params(
        ("productId" = ProductId, Path, description = "The product's number"),
        ("userId" = i64, Path, description = "The user's number", minimum = 1),
    ),
    responses((status = 200, description = "Their place in line, and the rounds so far", body = Why))
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    At((product, user)): At<(ProductId, UserId)>,
) -> Result<Json<Why>, Problem> {
    let ready = api.ready()?;
    ready.product(product).await?;
    let found = why::person(&ready.sources(), product, user).await?;
    found.map(Json).ok_or_else(|| never(product, user))
}

/// A place in line.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Subscription {
    /// Whose line.
    product: ProductId,
    /// Who.
    user: UserId,
    /// Their place.
    place: Place,
}

/// Put a user at the end of a product's line
///
/// Who stands in it already keeps their place.
#[utoipa::path(
    put, path = "/products/{productId}/subscriptions/{userId}", tag = "Subscriptions", operation_id = "subscribe",
    params(
        ("productId" = ProductId, Path, description = "The product's number"),
        ("userId" = i64, Path, description = "The user's number", minimum = 1),
    ),
    responses(
        (status = 200, description = "They stood in line already", body = Subscription),
        (status = 201, description = "They stand at its end now", body = Subscription),
    )
)]
pub(super) async fn put(
    State(api): State<Arc<Api>>,
    At((product, user)): At<(ProductId, UserId)>,
) -> Result<(StatusCode, Json<Subscription>), Problem> {
    let lines = &api.ready()?.lines;
    let _turn = lines.turn().await?;
    let done = subscription::subscribe(&lines.mysql, product, &[user]).await?;
    let person = line::place_of(&lines.mysql, product, user).await?.ok_or_else(|| never(product, user))?;
    let status = if done.kept > 0 { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(Subscription { product, user, place: person.place })))
}

/// Take a user out of a product's line
#[utoipa::path(
    delete, path = "/products/{productId}/subscriptions/{userId}", tag = "Subscriptions", operation_id = "unsubscribe",
    params(
        ("productId" = ProductId, Path, description = "The product's number"),
        ("userId" = i64, Path, description = "The user's number", minimum = 1),
    ),
    responses((status = 204, description = "They do not stand in line any more"))
)]
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    At((product, user)): At<(ProductId, UserId)>,
) -> Result<StatusCode, Problem> {
    let lines = &api.ready()?.lines;
    let _turn = lines.turn().await?;
    let done = subscription::unsubscribe(&lines.mysql, product, &[user]).await?;
    if done.unknown.is_empty() { Ok(StatusCode::NO_CONTENT) } else { Err(never(product, user)) }
}
