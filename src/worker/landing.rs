//! What an answer means for a person and for the lane, and how a hold ends.

use futures_util::{FutureExt, StreamExt};

use super::{
    calls::Reply,
    config::OnPersonError,
    flight::Landed,
    lane::{Ending, Lane},
};
use crate::{
    channel::Answer,
    clock::{BootTime, wall_us},
    outcome::Outcome,
    redis::{
        RedisError,
        scripts::{Advanced, Finish, Released, Settlement},
    },
    round::Status,
};

/// Refusals in a row, in line order, that are not the people's fault any more.
const REFUSED_IN_A_ROW_MAX: u32 = 20;

impl Lane {
    pub(super) fn land_all(&mut self, first: Landed) {
        self.land(first);
        while let Some(Some(landed)) = self.flights.next().now_or_never() {
            self.land(landed);
        }
    }

    fn land(&mut self, Landed { seat, answer }: Landed) {
        let Some((started_us, answer)) = answer else {
            self.unstarted.insert(seat);
            return;
        };
        self.window.count_try(seat, started_us);
        match answer {
            Answer::Delivered => self.window.settle(seat, Outcome::Sent, started_us),
            Answer::Skipped => self.window.settle(seat, Outcome::Skipped, started_us),
            Answer::Refused(_) => self.window.settle(seat, Outcome::Failed, started_us),
            Answer::Misconfigured(reason) => self.fail(reason, None),
            Answer::Retry { reason, after, answered } => {
                let Some(person) = self.window.seat(seat).copied() else { return };
                if let Some(pause) = self.deps.retry.pause(person.tries, after, wall_us()) {
                    let pause_us = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
                    self.retries.insert((BootTime::now().plus_us(pause_us), seat));
                } else if self.deps.options.on_person_error == OnPersonError::Fail {
                    let outcome = if answered { Outcome::Failed } else { Outcome::Unknown };
                    self.window.settle(seat, outcome, started_us);
                } else {
                    self.fail(reason, Some(person.user));
                }
            }
        }
    }

    fn fail(&mut self, reason: String, blocked_user: Option<crate::ids::UserId>) {
        if self.ending.is_none() {
            tracing::warn!(lane = %self.id, round = %self.round, reason, "the channel cannot go on");
            self.ending = Some(Ending::Fail { reason, blocked_user });
        }
    }

    pub(super) fn fail_if_refused(&mut self) {
        if self.window.refused_in_a_row() >= REFUSED_IN_A_ROW_MAX {
            self.fail(format!("refused {REFUSED_IN_A_ROW_MAX} people in a row"), None);
        }
    }

    /// The last call of the hold: it carries everything that is settled. Nothing is in flight.
    pub(super) async fn close(mut self) {
        let exhausted = self.is_exhausted();
        let settlement = self.window.take_all();
        let ending = self.ending.take().unwrap_or(Ending::HandBack);
        let closed = match ending {
            _ if exhausted => self.end_by_advance(settlement, true).await,
            Ending::Drain(_) => self.end_by_advance(settlement, false).await,
            Ending::Fail { reason, blocked_user } => {
                let finish = Finish { settlement, status: Status::CanceledByError, reason, blocked_user };
                self.hold.finish(&finish).await.map(|_| ())
            }
            Ending::HandBack => self.hand_back(settlement).await,
        };
        if let Err(error) = closed {
            tracing::error!(lane = %self.id, %error, "could not end the hold; its lease runs out");
        }
    }

    async fn end_by_advance(&mut self, settlement: Settlement, exhausted: bool) -> Result<(), RedisError> {
        let rest = Settlement { people: Vec::new(), last_user: None, ..settlement.clone() };
        let reply = self.advance_call(settlement, 0, exhausted).await;
        tracing::info!(lane = %self.id, round = %self.round, ?reply, "the round ends");
        match reply {
            // Whoever asked for the end has changed their mind: somebody else goes on.
            Reply::Advanced(_, Advanced::Go | Advanced::Full | Advanced::Drain(_)) => self.hand_back(rest).await,
            _ => Ok(()),
        }
    }

    async fn hand_back(&mut self, settlement: Settlement) -> Result<(), RedisError> {
        let released = self.hold.release(&settlement).await?;
        if released == Released::Queued {
            tracing::info!(lane = %self.id, round = %self.round, "handed back");
        }
        Ok(())
    }
}
