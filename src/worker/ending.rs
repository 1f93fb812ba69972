//! How a hold ends: why nobody is started any more, what is waited for, and the last call.

use futures_util::stream::FuturesUnordered;

use super::{calls::Reply, keeping::end_of, lane::Lane, window::SeatNo};
use crate::{
    clock::BootTime,
    ids::UserId,
    meter::HoldEnd,
    redis::{
        RedisError,
        scripts::{Advanced, Finish, Released, Settlement, Stop},
    },
    round::Status,
};

/// Why nobody is started any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// Redis said so.
    Drain(Stop),
    /// The channel cannot go on, perhaps because of one person.
    Fail { reason: String, blocked: Option<(SeatNo, UserId)> },
    /// This worker stops, or is full while others wait.
    HandBack,
}

impl Lane {
    /// Whether nothing is in flight, or what is has had its time.
    pub(super) fn has_landed(&mut self, now: BootTime) -> bool {
        if self.deadline.is_some_and(|deadline| deadline <= now) && !self.flights.is_empty() {
            tracing::warn!(lane = %self.id, in_flight = self.flights.len(), "not waiting for answers any longer");
            self.flights = FuturesUnordered::new();
        }
        self.flights.is_empty()
    }

    /// The last call of the hold: it carries everything that is settled. Nothing is in flight.
    pub(super) async fn close(mut self: Box<Self>) {
        let exhausted = self.is_exhausted();
        let settlement = self.window.take_all();
        let ending = self.ending.take().unwrap_or(Ending::HandBack);
        let closed = match ending {
            _ if exhausted => self.end_by_advance(settlement, true).await,
            Ending::Drain(_) => self.end_by_advance(settlement, false).await,
            Ending::Fail { reason, blocked } => {
                let blocked_user = blocked.map(|(_, user)| user);
                let finish = Finish { settlement, status: Status::CanceledByError, reason, blocked_user };
                let finished = self.hold.finish(&finish).await;
                finished.map(|finished| if finished { HoldEnd::Error } else { HoldEnd::Lost })
            }
            Ending::HandBack => self.hand_back(settlement).await,
        };
        // Counted by what Redis answered: what it did not hear of did not happen.
        let end = closed.unwrap_or_else(|error| {
            tracing::error!(lane = %self.id, %error, "could not end the hold; its lease runs out");
            HoldEnd::Lost
        });
        self.exit.meters.endings.count(end);
    }

    async fn end_by_advance(&mut self, settlement: Settlement, exhausted: bool) -> Result<HoldEnd, RedisError> {
        let rest = Settlement { people: Vec::new(), last_user: None, ..settlement.clone() };
        let reply = self.advance_call(settlement, 0, exhausted).await;
        tracing::info!(lane = %self.id, round = %self.round, ?reply, "the round ends");
        match reply {
            // Whoever asked for the end has changed their mind: somebody else goes on.
            Reply::Advanced(_, Advanced::Go | Advanced::Full | Advanced::Drain(_)) => self.hand_back(rest).await,
            Reply::Advanced(_, ended) => Ok(end_of(ended)),
            Reply::Lost | Reply::Renewed => Ok(HoldEnd::Lost),
        }
    }

    async fn hand_back(&mut self, settlement: Settlement) -> Result<HoldEnd, RedisError> {
        Ok(match self.hold.release(&settlement).await? {
            Released::Queued => {
                tracing::info!(lane = %self.id, round = %self.round, "handed back");
                HoldEnd::HandedBack
            }
            Released::Canceled => HoldEnd::Admin,
            Released::Paused => HoldEnd::Paused,
            Released::Lost => HoldEnd::Lost,
        })
    }
}
