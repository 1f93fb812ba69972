//! What an answer means for a person and for the lane.

use futures_util::{FutureExt, StreamExt};

use super::{config::OnPersonError, ending::Ending, flight::Landed, lane::Lane, window::SeatNo};
use crate::{
    channel::Answer,
    clock::{BootTime, wall_us},
    ids::UserId,
    outcome::Outcome,
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

    pub(super) fn land(&mut self, Landed { seat, started_us, answer, took_us }: Landed) {
        self.exit.meters.answered(took_us);
        self.window.count_try(seat, started_us);
        match answer {
            Answer::Delivered => self.settle(seat, Outcome::Sent, started_us),
            Answer::Skipped => self.settle(seat, Outcome::Skipped, started_us),
            Answer::Refused(_) => self.settle(seat, Outcome::Failed, started_us),
            Answer::Misconfigured(reason) => self.fail(reason, None),
            Answer::Retry { reason, after, answered } => {
                let Some(person) = self.window.seat(seat).copied() else { return };
                if let Some(pause) = self.deps.retry.pause(person.tries, after, wall_us()) {
                    self.exit.meters.retries.increment(1);
                    let (lane, round, user) = (&self.id, self.round, person.user);
                    tracing::debug!(%lane, %round, %user, started_us, reason, ?pause, "an attempt failed");
                    let pause_us = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
                    self.retries.insert((BootTime::now().plus_us(pause_us), seat));
                } else if self.is_retry && answered || self.deps.options.on_person_error == OnPersonError::Fail {
                    let outcome = if answered { Outcome::Failed } else { Outcome::Unknown };
                    self.settle(seat, outcome, started_us);
                } else {
                    self.fail(reason, Some((seat, person.user)));
                }
            }
        }
    }

    fn settle(&mut self, seat: SeatNo, outcome: Outcome, started_us: i64) {
        self.window.settle(seat, outcome, started_us);
        self.exit.meters.settled(outcome);
    }

    /// Ends the round. Of several who could not be told, the first in line blocks it: `resume --skip` can give up the
    /// next person only.
    fn fail(&mut self, reason: String, blocked: Option<(SeatNo, UserId)>) {
        let is_before = match (&self.ending, blocked) {
            (None, _) => true,
            (Some(Ending::Fail { blocked: Some((other, _)), .. }), Some((seat, _))) => seat < *other,
            _ => false,
        };
        if is_before {
            tracing::warn!(lane = %self.id, round = %self.round, reason, "the channel cannot go on");
            self.ending = Some(Ending::Fail { reason, blocked });
        }
    }

    pub(super) fn fail_if_refused(&mut self) {
        // Whoever is told again was refused before: that they are once more tells nothing new of the channel.
        if !self.is_retry && self.window.refused_in_a_row() >= REFUSED_IN_A_ROW_MAX {
            self.fail(format!("refused {REFUSED_IN_A_ROW_MAX} people in a row"), None);
        }
    }
}
