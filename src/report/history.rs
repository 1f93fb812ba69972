//! What became of each person in a round.

use serde::Serialize;
use sqlx::MySqlPool;
use utoipa::ToSchema;

use crate::{
    ids::{Channel, Place, UserId, rfc3339},
    mysql::history::{self, PeopleOf, PersonRow},
    outcome::Outcome,
};

/// People read at a time.
const PAGE_ROWS: u32 = 5_000;

/// What became of one person in a round.
#[derive(Debug, Clone, Serialize, ToSchema)]
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

/// Why it is not clear whose people of a round are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unchosen {
    /// The product had no such round.
    NoSuchRound,
    /// The round did not go by this channel.
    NotBy(Channel),
    /// It went by several, and one must be named.
    Several(Vec<Channel>),
}

/// The channels to read, of those by which a round went: all, or the one that is named.
///
/// # Errors
/// When there is no such round, or it did not go by that channel.
pub fn choose(found: Vec<Channel>, named: Option<&Channel>) -> Result<Vec<Channel>, Unchosen> {
    match named {
        _ if found.is_empty() => Err(Unchosen::NoSuchRound),
        Some(channel) if found.contains(channel) => Ok(vec![channel.clone()]),
        Some(channel) => Err(Unchosen::NotBy(channel.clone())),
        None => Ok(found),
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
