//! `restock-cli status`: where every lane stands, by MySQL and, where that is newer, by Redis.

mod overlay;

use serde::Serialize;

use super::{
    Context,
    exit::Exit,
    output::{self, Record, or_dash, time_us},
};
use crate::{
    ids::{Channel, Place, ProductId, ProductRef, Round, Sku, UserId},
    mysql::{
        history::{self, RoundRow},
        refused::{Refused, refused},
    },
    round::Status,
};

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 42, or sku:85123A; all products without it
    product: Option<ProductRef>,
}

/// A lane's current or last round, or the one that waits behind it, under the contract's names.
#[derive(Debug, Clone, Serialize)]
pub struct StatusRow {
    /// Whose line.
    pub product: ProductId,
    /// The product's code.
    pub sku: Option<Sku>,
    /// Which round.
    pub round: Round,
    /// By which channel.
    pub channel: Channel,
    /// Where it stands.
    pub status: Status,
    /// The time in line of the last person settled.
    pub cursor: Option<Place>,
    /// The last person settled.
    pub last_user: Option<UserId>,
    /// People in (from, upto]; null while QUEUED.
    pub total: Option<u64>,
    /// Told.
    pub sent: u64,
    /// Passed over by the channel.
    pub skipped: u64,
    /// Refused for good.
    pub failed: u64,
    /// Given up without an answer.
    pub unknown: u64,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Why it ended.
    pub reason: Option<String>,
    /// Rows of the lane or its product that MySQL refused and has nothing newer of.
    pub refused: u64,
}

impl From<RoundRow> for StatusRow {
    fn from(row: RoundRow) -> Self {
        let RoundRow { state, sku, total } = row;
        Self {
            product: state.lane.product,
            sku,
            round: state.round,
            channel: state.lane.channel,
            status: state.status,
            cursor: state.cursor,
            last_user: state.last_user,
            total: if state.status == Status::Queued { None } else { total },
            sent: state.counts.sent,
            skipped: state.counts.skipped,
            failed: state.counts.failed,
            unknown: state.counts.unknown,
            started_at: state.started_us.map(time_us),
            ended_at: state.ended_us.map(time_us),
            reason: state.reason,
            refused: 0,
        }
    }
}

impl Record for StatusRow {
    const HEADINGS: &'static [&'static str] = &[
        ">PRODUCT",
        "SKU",
        ">ROUND",
        "CHANNEL",
        "STATUS",
        ">TOTAL",
        ">SENT",
        ">SKIPPED",
        ">FAILED",
        ">UNKNOWN",
        "CURSOR",
        ">LAST USER",
        "REASON",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.product.to_string(),
            or_dash(self.sku.as_ref()),
            self.round.to_string(),
            self.channel.to_string(),
            self.status.to_string(),
            or_dash(self.total),
            self.sent.to_string(),
            self.skipped.to_string(),
            self.failed.to_string(),
            self.unknown.to_string(),
            or_dash(self.cursor.map(|place| time_us(place.0))),
            or_dash(self.last_user),
            or_dash(self.reason.as_ref()),
        ]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let (pool, settings) = context.mysql().await?;
    let product = match &args.product {
        Some(name) => Some(context.product(&pool, name).await?.id),
        None => None,
    };
    let redis = context.redis_if_up().await?;
    let before = history::rounds(&pool, product).await?;
    let live = match &redis {
        None => None,
        Some(redis) => match overlay::read(redis, &settings, product, &before).await {
            Err(error) if error.is_unreachable() => None,
            read => Some(read?),
        },
    };
    let mut rows = match live {
        // Read again after Redis: what was flushed and evicted between the two is found in MySQL.
        Some(live) => overlay::merge(&pool, history::rounds(&pool, product).await?, live).await?,
        None => {
            output::note(&format!(
                "Redis at {} does not answer: this is what MySQL knows, and it may lag; check --redis-url / \
                 RESTOCK_REDIS_URL",
                context.backends.redis_address()
            ));
            before.into_iter().map(StatusRow::from).collect()
        }
    };
    mark_refused(&mut rows, &refused(&pool, product).await?);
    output::records(context.output, &rows)?;
    Ok(Exit::Done)
}

/// Shows what MySQL refused, on the rows of the lanes concerned and in a note each: a lane of which MySQL has nothing
/// else may have no row.
fn mark_refused(rows: &mut [StatusRow], refused: &[Refused]) {
    for mark in refused {
        let is_of = |channel: &Channel| mark.channel.as_ref().is_none_or(|of| of == channel);
        for row in rows.iter_mut().filter(|row| Some(row.product) == mark.product && is_of(&row.channel)) {
            row.refused += mark.rows;
        }
        let channel = mark.channel.as_ref().map_or(String::new(), |channel| format!(" on {channel}"));
        output::note(&format!(
            "MySQL refused {} rows of product {}{channel}: what it shows of it may be old; see the table log_dead",
            mark.rows,
            or_dash(mark.product),
        ));
    }
}
