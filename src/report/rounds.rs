//! The rounds of a product, and how long an open one still takes.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ReportError, Sources, forecast,
    live::{self, Known},
    status::StatusRow,
};
use crate::{
    ids::{Channel, LaneId, ProductId, ProductRef, Round, Sku},
    mysql::{
        history::{self, RoundRow, Seen},
        line, product, refused,
    },
    redis::lane::LaneView,
    round::{RoundState, Status},
};

/// A lane in one round.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RoundLane {
    /// As `status` shows it.
    #[serde(flatten)]
    pub row: StatusRow,
    /// People who are not settled yet; null once the round has ended.
    pub left: Option<u64>,
    /// How long that takes at the pace, when nobody else uses it; null without a pace, while it stands still, and once
    /// the round has ended.
    pub eta_seconds: Option<f64>,
}

/// One round of a product.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RoundReport)]
pub struct RoundView {
    /// Of which product.
    pub product: ProductId,
    /// Which round.
    pub round: Round,
    /// Whether Redis was asked too; else this is what MySQL knows, and it may lag.
    pub live: bool,
    /// By channel.
    pub lanes: Vec<RoundLane>,
    /// Whether no lane will change any more by itself, nor by a plain resume: each is completed, or overtaken, or was cut off
    /// and the product has had a newer round.
    #[serde(skip)]
    pub is_over: bool,
}

/// Some rounds of a product.
#[derive(Debug, Clone)]
pub struct RoundsPage {
    /// The newest round first, then by channel.
    pub rows: Vec<StatusRow>,
    /// How many rounds that are.
    pub rounds: usize,
    /// Whether Redis was asked too.
    pub is_live: bool,
}

/// The newest `limit` rounds of a product before `before`.
///
/// # Errors
/// Those of MySQL; those of Redis other than that it does not answer.
pub async fn page(
    sources: &Sources,
    product: ProductId,
    sku: Option<&Sku>,
    before: Option<Round>,
    limit: u32,
) -> Result<RoundsPage, ReportError> {
    let (lanes, is_live) = live_lanes(sources, product, before, limit).await?;
    let rows = history::rounds_before(&sources.mysql, product, before, limit).await?;
    let marks = refused::refused(&sources.mysql, Some(product)).await?;
    let mut known = live::overlay(rows, &lanes);
    known.retain(|known| before.is_none_or(|before| known.row.state.round < before));
    known.sort_by_key(|known| std::cmp::Reverse(known.row.state.round));
    let (mut rows, mut rounds, mut last) = (Vec::new(), 0, None);
    for Known { mut row, .. } in known {
        if last != Some(row.state.round) {
            last = Some(row.state.round);
            rounds += 1;
        }
        if rounds > usize::try_from(limit).unwrap_or(usize::MAX) {
            rounds -= 1;
            break;
        }
        row.sku = sku.cloned();
        rows.push(StatusRow::new(&marks, row));
    }
    Ok(RoundsPage { rows, rounds, is_live })
}

/// One round of a product; `None` when there is none of that number, or no such product.
///
/// # Errors
/// Those of MySQL; those of Redis other than that it does not answer.
pub async fn one(sources: &Sources, product: ProductId, round: Round) -> Result<Option<RoundView>, ReportError> {
    let mut seen = history::newest_upto(&sources.mysql, product, round).await?;
    let (live, is_live) = ask_redis(sources, product, &seen.rows).await?;
    if is_live && !is_answered(&seen.rows, &live, round) {
        // It may have been flushed, and left Redis, between the two.
        seen = history::newest_upto(&sources.mysql, product, round).await?;
    }
    let Seen { rows, mut marks, newest } = seen;
    let sku = match rows.first() {
        Some(row) => row.sku.clone(),
        None => product::find(&sources.mysql, &ProductRef::Id(product)).await?.and_then(|row| row.sku),
    };
    if live.keys().any(|lane| rows.iter().all(|row| row.state.lane != *lane)) {
        // A lane without a row may be without it because MySQL refused that.
        marks = refused::refused(&sources.mysql, Some(product)).await?;
    }
    let mut lanes = Vec::new();
    let is_past = newest.is_some_and(|newest| newest > round);
    let mut is_over = is_live;
    for Known { mut row, .. } in live::overlay(rows, &live) {
        if row.state.round != round {
            continue;
        }
        row.sku.clone_from(&sku);
        is_over &= match row.state.status {
            Status::Completed | Status::Superseded => true,
            status => is_past && !status.is_open(),
        };
        let left = left(sources, &row.state, row.total).await?;
        let stands = row.is_paused || sources.settings.paused;
        let rate = rate_of(sources, &row.state.lane.channel);
        let eta_seconds = left.filter(|_| !stands).and_then(|left| forecast::seconds(left, rate));
        lanes.push(RoundLane { row: StatusRow::new(&marks, row), left, eta_seconds });
    }
    Ok((!lanes.is_empty()).then_some(RoundView { product, round, live: is_live, lanes, is_over }))
}

/// Redis' lanes of a product, and whether it was asked: before MySQL, where what is flushed meanwhile is found then.
async fn live_lanes(
    sources: &Sources,
    product: ProductId,
    before: Option<Round>,
    limit: u32,
) -> Result<(BTreeMap<LaneId, LaneView>, bool), ReportError> {
    if sources.redis.is_none() {
        return Ok((BTreeMap::new(), false));
    }
    let rows = history::rounds_before(&sources.mysql, product, before, limit).await?;
    ask_redis(sources, product, &rows).await
}

/// Redis' lanes of a product, and whether it was asked; lanes of channels that are no longer enabled are known by their
/// rows only.
async fn ask_redis(
    sources: &Sources,
    product: ProductId,
    rows: &[RoundRow],
) -> Result<(BTreeMap<LaneId, LaneView>, bool), ReportError> {
    let Some(redis) = &sources.redis else { return Ok((BTreeMap::new(), false)) };
    match live::read(redis, &sources.settings, Some(product), rows).await {
        Err(error) if error.is_unreachable() => Ok((BTreeMap::new(), false)),
        read => Ok((read?.lanes, true)),
    }
}

/// Whether Redis, asked after MySQL, leaves no doubt about this round: its lanes are at it, or it is over.
fn is_answered(rows: &[RoundRow], live: &BTreeMap<LaneId, LaneView>, round: Round) -> bool {
    let is_at = |view: &LaneView| view.round == round;
    let mut own = rows.iter().filter(|row| row.state.round == round).peekable();
    if own.peek().is_none() {
        return live.values().any(is_at);
    }
    own.all(|row| !row.state.status.is_open() || live.get(&row.state.lane).is_some_and(is_at))
}

/// People of an open round who are not settled; counted in the line where the round has no total yet.
async fn left(sources: &Sources, state: &RoundState, total: Option<u64>) -> Result<Option<u64>, ReportError> {
    if !state.status.is_open() {
        return Ok(None);
    }
    if let (Status::InProgress, Some(total)) = (state.status, total) {
        let counts = state.counts;
        return Ok(Some(total.saturating_sub(counts.sent + counts.skipped + counts.failed + counts.unknown)));
    }
    let (mysql, product) = (&sources.mysql, state.lane.product);
    let upto = match state.upto {
        Some(upto) => Some(upto),
        None => line::newest_active(mysql, product).await?,
    };
    let Some(upto) = upto else { return Ok(Some(0)) };
    let people = line::count_active(mysql, product, state.cursor, upto).await?;
    Ok(Some(people.saturating_sub(u64::try_from(state.ahead.len()).unwrap_or(u64::MAX))))
}

/// Starts a second that a channel can have; 0 = no pace.
fn rate_of(sources: &Sources, channel: &Channel) -> u32 {
    let own = sources.settings.channel_rates.get(channel).copied();
    [Some(sources.settings.rate), own].into_iter().flatten().filter(|rate| *rate > 0).min().unwrap_or(0)
}
