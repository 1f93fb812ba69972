//! A round of a lane: its status and its absolute state.

use std::{fmt, str::FromStr};

use serde::Serialize;
use utoipa::ToSchema;

use crate::ids::{LaneId, ParseError, Place, Round, UserId};

/// Where a round of a lane stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Waits for a worker, or behind the round before it.
    Queued,
    /// Some worker has begun it.
    InProgress,
    /// Everybody up to `upto` is settled.
    Completed,
    /// Stock ran out.
    CanceledBySoldOut,
    /// The channel could not go on.
    CanceledByError,
    /// Somebody ended it.
    CanceledByAdmin,
    /// A newer round overtook it before it began.
    Superseded,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::InProgress,
        Self::Completed,
        Self::CanceledBySoldOut,
        Self::CanceledByError,
        Self::CanceledByAdmin,
        Self::Superseded,
    ];

    /// As it stands in Redis, MySQL and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::CanceledBySoldOut => "CANCELED_BY_SOLD_OUT",
            Self::CanceledByError => "CANCELED_BY_ERROR",
            Self::CanceledByAdmin => "CANCELED_BY_ADMIN",
            Self::Superseded => "SUPERSEDED",
        }
    }

    /// Whether somebody still has to work on it.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::InProgress)
    }

    /// Whether it was cut short, so that it can go on after the last person settled.
    #[must_use]
    pub fn is_canceled(self) -> bool {
        matches!(self, Self::CanceledBySoldOut | Self::CanceledByError | Self::CanceledByAdmin)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| ParseError::new("status", text, "it is one of the statuses of a round"))
    }
}

/// The order of absolute state: a greater epoch, then a greater version, is newer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Counts the times that MySQL's state was installed in Redis.
    pub epoch: u64,
    /// Counts the changes of this product or lane.
    pub version: u64,
}

/// People settled in a round, by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Told.
    pub sent: u64,
    /// Passed over by the channel.
    pub skipped: u64,
    /// Refused for good.
    pub failed: u64,
    /// Given up without an answer.
    pub unknown: u64,
}

/// The absolute state of one round of one lane, as the log carries it and MySQL keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundState {
    /// Which lane.
    pub lane: LaneId,
    /// Which round.
    pub round: Round,
    /// Where it stands.
    pub status: Status,
    /// It starts after this place; `None` is the start of the line.
    pub from: Option<Place>,
    /// The last person settled, without a gap before them.
    pub cursor: Option<Place>,
    /// The last place that belongs to the round; `None` until it begins.
    pub upto: Option<Place>,
    /// Places settled beyond the first unsettled one.
    pub ahead: Vec<Place>,
    /// The user at the cursor, once somebody was settled in this round.
    pub last_user: Option<UserId>,
    /// Who could not be told and stopped the round.
    pub blocked_user: Option<UserId>,
    /// Settled so far.
    pub counts: Counts,
    /// How new this state is.
    pub stamp: Stamp,
    /// Those who FAILED are told again: the status that the round had before.
    pub retry_of: Option<Status>,
    /// Why it ended, for people.
    pub reason: Option<String>,
    /// When it was queued, began and ended: µs since the epoch.
    pub queued_us: Option<i64>,
    /// When its first worker began.
    pub started_us: Option<i64>,
    /// When it ended.
    pub ended_us: Option<i64>,
}

impl RoundState {
    /// How many people it was about, where nobody needs to count them in the line: everybody was settled, from the first on.
    /// Who left the line before their turn is not among them, as when they are counted after they left.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        let Counts { sent, skipped, failed, unknown } = self.counts;
        (self.status == Status::Completed && self.from.is_none()).then_some(sent + skipped + failed + unknown)
    }
}

/// Writes places as Redis and MySQL keep them: `place,place,…`.
#[must_use]
pub fn encode_places(places: &[Place]) -> String {
    places.iter().map(Place::to_string).collect::<Vec<_>>().join(",")
}

/// Reads what [`encode_places`] wrote.
///
/// # Errors
/// When one of them is not a place.
pub fn decode_places(text: &str) -> Result<Vec<Place>, ParseError> {
    text.split(',').filter(|part| !part.is_empty()).map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_survive_and_whatever_else_stands_there_is_read_or_refused(
            places in prop::collection::vec(any::<i64>(), 0..20),
            text in "[0-9,+-]{0,60}|.{0,40}",
        ) {
            let places: Vec<Place> = places.into_iter().map(Place).collect();
            prop_assert_eq!(decode_places(&encode_places(&places)), Ok(places));
            if let Ok(places) = decode_places(&text) {
                prop_assert_eq!(decode_places(&encode_places(&places)), Ok(places));
            }
        }
    }
}
