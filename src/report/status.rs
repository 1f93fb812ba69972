//! Where every lane stands, by MySQL and, where that is newer, by Redis.

use serde::Serialize;
use utoipa::ToSchema;

use super::{ReportError, Sources, live, live::Unreadable};
use crate::{
    ids::{Channel, Place, ProductId, Round, Sku, UserId, time_us},
    mysql::{
        history::{self, RoundRow},
        refused::{self, Refused},
    },
    round::Status,
};

/// A lane's current or last round, or the one that waits behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
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
    /// The person at the cursor.
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
    /// Whether the product stands still until it is unpaused.
    pub paused: bool,
    /// Rows of the lane or its product that MySQL refused and has nothing newer of.
    pub refused: u64,
}

impl StatusRow {
    pub(super) fn new(refused: &[Refused], row: RoundRow) -> Self {
        let refused = marks(refused, &row);
        let RoundRow { state, sku, total, is_paused } = row;
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
            paused: is_paused,
            refused,
        }
    }
}

/// How many rows of this lane or its product MySQL refused.
fn marks(refused: &[Refused], row: &RoundRow) -> u64 {
    let lane = &row.state.lane;
    let is_of = |mark: &&Refused| {
        mark.product == Some(lane.product) && mark.channel.as_ref().is_none_or(|channel| *channel == lane.channel)
    };
    refused.iter().filter(is_of).map(|mark| mark.rows).sum()
}

/// Where the lanes stand.
#[derive(Debug, Clone)]
pub struct Overview {
    /// By product, channel and round.
    pub rows: Vec<StatusRow>,
    /// Whether Redis was asked too; else this is what MySQL knows, and it may lag.
    pub is_live: bool,
    /// Lanes that Redis holds and nobody can read: their rows are what MySQL knows.
    pub unreadable: Vec<Unreadable>,
    /// Whether all sending stands still, whatever the rows say.
    pub is_all_paused: bool,
    /// What MySQL refused, per lane; a lane of which it has nothing else may have no row.
    pub refused: Vec<Refused>,
}

/// The lanes of one product, or of all.
///
/// # Errors
/// Those of MySQL; those of Redis other than that it does not answer.
pub async fn lanes(sources: &Sources, product: Option<ProductId>) -> Result<Overview, ReportError> {
    let Rounds { rows, is_live, unreadable } = rounds(sources, product).await?;
    let refused = refused::refused(&sources.mysql, product).await?;
    let rows = rows.into_iter().map(|row| StatusRow::new(&refused, row)).collect();
    Ok(Overview { rows, is_live, unreadable, is_all_paused: sources.settings.paused, refused })
}

/// The rounds of lanes.
pub(super) struct Rounds {
    pub(super) rows: Vec<RoundRow>,
    pub(super) is_live: bool,
    pub(super) unreadable: Vec<Unreadable>,
}

/// As [`lanes`], with everything that is known of the rounds.
pub(super) async fn rounds(sources: &Sources, product: Option<ProductId>) -> Result<Rounds, ReportError> {
    let before = history::rounds(&sources.mysql, product).await?;
    let live = match &sources.redis {
        None => None,
        Some(redis) => match live::read(redis, &sources.settings, product, &before).await {
            Err(error) if error.is_unreachable() => None,
            read => Some(read?),
        },
    };
    Ok(match live {
        // Read again after Redis: what was flushed and evicted between the two is found in MySQL.
        Some(live) => {
            let rows = history::rounds(&sources.mysql, product).await?;
            let rows = live::merge(&sources.mysql, rows, live.lanes).await?;
            Rounds { rows, is_live: true, unreadable: live.unreadable }
        }
        None => Rounds { rows: before, is_live: false, unreadable: Vec::new() },
    })
}
