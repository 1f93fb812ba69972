//! Getting one user into line and out of it, and seeing where they stand.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api,
    ask::{Asked, At},
    line::Waiting,
    problem::{Kind, Problem},
    product::{check_limit, next_after, page_default},
    round::{PLACE_MAX, read_place},
};
use crate::{
    ids::{Place, ProductId, UserId, rfc3339},
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

/// Which people of a line.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LineAsked {
    /// Only those after this place in line: the `next` of the page before.
    #[param(value_type = Option<Place>)]
    after: Option<String>,
    /// At most so many.
    #[serde(default = "page_default")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: u32,
}

/// Somebody in line.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InLine {
    user: UserId,
    place: Place,
    /// Whether they still want to hear; who does not is passed over.
    active: bool,
}

/// Some people of a line.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Line {
    /// How many people want to hear; counted up to 5 s ago, the longer ago the longer the line is.
    waiting: u64,
    /// Whether there may be more than `waiting`: only the newest 100,000 places of a line are counted.
    at_least: bool,
    /// In line order. On the last page nobody follows on the last one who wants to hear.
    items: Vec<InLine>,
    /// The `after` of the next page; null after the last.
    next: Option<String>,
}

/// List who stands in a product's line
///
/// A page costs the same however deep it is, and however long the line.
#[utoipa::path(
    get, path = "/products/{productId}/line", tag = "Subscriptions", operation_id = "showLine",
    params(("productId" = ProductId, Path, description = "The product's number"), LineAsked),
    responses((status = 200, description = "A page of people, in line order", body = Line))
)]
pub(super) async fn line(
    State(api): State<Arc<Api>>,
    At(product): At<ProductId>,
    Asked(asked): Asked<LineAsked>,
) -> Result<Json<Line>, Problem> {
    let (ready, limit) = (api.ready()?, check_limit(asked.limit)?);
    let after = asked.after.map(|after| read_place(&after)).transpose()?;
    ready.product(product).await?;
    let Waiting { people, at_least } = api.waiting(product).await?;
    let mysql = &ready.producer.stores().mysql;
    let mut page = line::page(mysql, product, after, Place(PLACE_MAX), limit).await?;
    let next = next_after(&page, limit, |person| rfc3339(person.place.datetime()));
    if next.is_none() {
        page.truncate(page.iter().rposition(|person| person.active).map_or(0, |last| last + 1));
    }
    let shown = |line::Person { place, user, active }| InLine { user, place, active };
    Ok(Json(Line { waiting: people, at_least, items: page.into_iter().map(shown).collect(), next }))
}
