//! What became of each person in a round.

use serde::Serialize;
use sqlx::MySqlPool;

use crate::{
    ids::{Channel, Place, UserId, rfc3339},
    mysql::history::{self, PeopleOf, PersonRow},
    outcome::Outcome,
};

/// People read at a time.
const PAGE_ROWS: u32 = 5_000;

/// What became of one person in a round.
#[derive(Debug, Clone, Serialize)]
pub struct HistoryRow {
    /// Who.
    pub user: UserId,
    /// Their place in line then.
    pub place: Place,
    /// What became of them.
    pub outcome: Outcome,
    /// When the deciding attempt started.
    pub sent_at: String,
    /// Attempts made for them, since the round was last resumed.
    pub tries: u32,
    /// By which channel.
    pub channel: Channel,
}

impl From<PersonRow> for HistoryRow {
    fn from(row: PersonRow) -> Self {
        Self {
            user: row.user,
            place: row.place,
            outcome: row.outcome,
            sent_at: rfc3339(row.sent_at),
            tries: row.tries,
            channel: row.channel,
        }
    }
}

/// The first `limit` people settled in a round after the place `after`, in line order.
///
/// # Errors
/// Those of MySQL.
pub async fn people(
    mysql: &MySqlPool,
    of: &PeopleOf,
    mut after: Option<Place>,
    limit: u32,
) -> sqlx::Result<Vec<HistoryRow>> {
    let mut rows: Vec<HistoryRow> = Vec::new();
    loop {
        let left = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        let page = history::people(mysql, of, after, left.min(PAGE_ROWS)).await?;
        let Some(last) = page.last() else { return Ok(rows) };
        after = Some(last.place);
        rows.extend(page.into_iter().map(HistoryRow::from));
    }
}
