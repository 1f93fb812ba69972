//! Rounds, and who was told in them.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use chrono::DateTime;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, Ready,
    ask::{Asked, At},
    fresh::{Made, SOON},
    problem::{Kind, Problem},
    product::{check_limit, next_after, page_default},
};
use crate::{
    ids::{Channel, ParseError, Place, ProductId, Round, rfc3339},
    mysql::{
        history::{self, PeopleOf},
        product::ProductRow,
    },
    report::{
        self, Sources,
        history::{self as people, HistoryRow, Unchosen},
        rounds::{self, RoundView},
        status::StatusRow,
    },
};

/// How old a round that is over may be shown: only retrying, pruning and erasing change it then, by hand.
const OVER_AGE_MAX: Duration = Duration::from_secs(2);
/// The last microsecond of the year 9999.
pub(super) const PLACE_MAX: i64 = 253_402_300_799_999_999;

/// Which rounds.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RoundsAsked {
    /// Only those before this round: the `next` of the page before.
    #[param(value_type = Option<Round>)]
    after: Option<u32>,
    /// At most so many rounds.
    #[serde(default = "page_default")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: u32,
}

/// Some rounds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rounds {
    /// One for each channel of a round; the newest round first.
    items: Vec<StatusRow>,
    /// The `after` of the next page, which has older rounds; null after the last.
    next: Option<String>,
    /// Whether Redis was asked too; else this is what was recorded, and it may lag.
    live: bool,
}

/// List the rounds of a product
#[utoipa::path(
    get, path = "/products/{productId}/rounds", tag = "Rounds", operation_id = "listRounds",
    params(("productId" = ProductId, Path, description = "The product's number"), RoundsAsked),
    responses((status = 200, description = "A page of rounds, the newest first", body = Rounds))
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    At(product): At<ProductId>,
    Asked(asked): Asked<RoundsAsked>,
) -> Result<Json<Rounds>, Problem> {
    let (ready, limit) = (api.ready()?, check_limit(asked.limit)?);
    if asked.after == Some(0) {
        return Err(Problem::of_field(Kind::BadRequest, "after", "rounds are counted from 1"));
    }
    let row = ready.product(product).await?;
    let page = rounds::page(&ready.sources(), product, row.sku.as_ref(), asked.after.map(Round), limit).await?;
    let last = page.rows.last().filter(|_| page.rounds >= usize::try_from(limit).unwrap_or(usize::MAX));
    let next = last.map(|row| row.round.to_string());
    Ok(Json(Rounds { items: page.rows, next, live: page.is_live }))
}

/// Show one round
///
/// Where it stands on each channel, how many were told, who was last, and how long it still takes; as it was at most 100 ms before it
/// was asked for, and at most 2 s when it is over: completed, overtaken, or cut off with a newer one behind it.
/// A round that was overtaken at once has no lanes until that is recorded.
#[utoipa::path(
    get, path = "/products/{productId}/rounds/{round}", tag = "Rounds", operation_id = "showRound",
    params(
        ("productId" = ProductId, Path, description = "The product's number"),
        ("round" = Round, Path, description = "Which round"),
    ),
    responses((status = 200, description = "The round as it stands", body = RoundView))
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    At((product, round)): At<(ProductId, Round)>,
) -> Result<Response, Problem> {
    let make = async {
        let view = look(api.ready()?, product, round).await?;
        let text = serde_json::to_vec(&view).map_err(|error| Problem::internal(&error))?;
        // It is kept: without the room that it had for more.
        let value = Bytes::from(text.into_boxed_slice());
        Ok(Made { value, age_max: if view.is_over { OVER_AGE_MAX } else { SOON } })
    };
    let body = api.rounds.get(&(product, round), make).await?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}

async fn look(ready: &Ready, product: ProductId, round: Round) -> Result<RoundView, Problem> {
    let sources = ready.sources();
    if let Some(found) = rounds::one(&sources, product, round).await? {
        return Ok(found);
    }
    let live = sources.redis.is_some();
    check_given_out(&sources, ready.product(product).await?, round).await?;
    Ok(RoundView { product, round, live, lanes: Vec::new(), is_over: false })
}

/// Refuses a round that does not exist; one that was given out a moment ago is on its way into the record.
async fn check_given_out(sources: &Sources, row: ProductRow, round: Round) -> Result<(), Problem> {
    let (row, _) = report::product::now(sources, row).await?;
    if round.0 > row.restock_round { Err(no_round(row.id, round)) } else { Ok(()) }
}

fn no_round(product: ProductId, round: Round) -> Problem {
    Problem::new(Kind::NotFound, format!("product {product} has no round {round}"))
}

/// Which people of a round.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RecipientsAsked {
    /// By which channel; needed where the round went by several.
    #[param(value_type = Option<Channel>)]
    channel: Option<String>,
    /// Only those after this place in line: the `next` of the page before.
    #[param(value_type = Option<Place>)]
    after: Option<String>,
    /// At most so many.
    #[serde(default = "page_default")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: u32,
}

/// Some people of a round.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recipients {
    /// In line order.
    items: Vec<HistoryRow>,
    /// The `after` of the next page; null after the last one that is recorded.
    next: Option<String>,
}

/// List who was told in a round, and what became of it
#[utoipa::path(
    get, path = "/products/{productId}/rounds/{round}/recipients", tag = "Rounds", operation_id = "listRecipients",
    params(
        ("productId" = ProductId, Path, description = "The product's number"),
        ("round" = Round, Path, description = "Which round"),
        RecipientsAsked,
    ),
    responses((status = 200, description = "A page of people, in line order, as recorded", body = Recipients))
)]
pub(super) async fn recipients(
    State(api): State<Arc<Api>>,
    At((product, round)): At<(ProductId, Round)>,
    Asked(asked): Asked<RecipientsAsked>,
) -> Result<Json<Recipients>, Problem> {
    let (ready, limit) = (api.ready()?, check_limit(asked.limit)?);
    let named: Option<Channel> = asked
        .channel
        .map(|name| name.parse())
        .transpose()
        .map_err(|error: ParseError| Problem::of_field(Kind::BadRequest, "channel", error))?;
    let after = asked.after.map(|after| read_place(&after)).transpose()?;
    let row = ready.product(product).await?;
    let mysql = &ready.producer.stores().mysql;
    let found = history::channels_of(mysql, product, round).await?;
    if found.is_empty() {
        check_given_out(&ready.sources(), row, round).await?;
        return Ok(Json(Recipients { items: Vec::new(), next: None }));
    }
    let several = |channels: &[Channel]| {
        let names = channels.iter().map(Channel::as_str).collect::<Vec<_>>().join(" or ");
        Problem::of_field(Kind::BadRequest, "channel", format!("the round went by several: name {names}"))
    };
    let mut channels = people::choose(found, named.as_ref()).map_err(|refusal| match refusal {
        Unchosen::NoSuchRound => no_round(product, round),
        Unchosen::NotBy(channel) => {
            Problem::new(Kind::NotFound, format!("round {round} of product {product} did not go by {channel}"))
        }
        Unchosen::Several(channels) => several(&channels),
    })?;
    if channels.len() > 1 {
        return Err(several(&channels));
    }
    let Some(channel) = channels.pop() else { return Err(no_round(product, round)) };
    let items = people::people(mysql, &PeopleOf { product, round, channel }, after, limit).await?;
    let next = next_after(&items, limit, |row| rfc3339(row.place.datetime()));
    Ok(Json(Recipients { items, next }))
}

/// A place in line, as `after` names it.
pub(super) fn read_place(text: &str) -> Result<Place, Problem> {
    let at = DateTime::parse_from_rfc3339(text).map_err(|_| {
        Problem::of_field(Kind::BadRequest, "after", "it is a time such as 2026-01-31T12:00:00.000001Z")
    })?;
    // Nobody stands before the start of the line, nor after the last time that MySQL has.
    Ok(Place(at.timestamp_micros().clamp(0, PLACE_MAX)))
}
