//! A hold of a lane, and what each of its calls carries.

use std::sync::Arc;

use super::{Redis, Reply, Script, text};
use crate::{
    ids::{Place, UserId},
    outcome::{self, Settled},
    redis::{RETRY_PAUSE, RedisError, keys::LaneKeys},
    round::{Counts, encode_places},
};

/// The right to settle one lane, from `begin` until the lane is released, ended or lost.
///
/// One call is under way at a time. A call whose answer is not known is sent again as it was: Redis answers it
/// from the lane's memory.
#[derive(Debug)]
pub struct Hold {
    pub(super) redis: Redis,
    pub(super) keys: Arc<LaneKeys>,
    pub(super) token: String,
    pub(super) seq: u64,
    pub(super) cursor: Option<Place>,
}

impl Hold {
    pub(super) fn new(redis: Redis, keys: Arc<LaneKeys>, token: String, cursor: Option<Place>) -> Self {
        Self { redis, keys, token, seq: 0, cursor }
    }

    /// The last place that Redis knows as settled, or is being told so.
    #[must_use]
    pub fn cursor(&self) -> Option<Place> {
        self.cursor
    }

    /// The first arguments of every call of a hold; the call that takes them must be made.
    pub(super) fn next_call(&mut self) -> [String; 3] {
        self.seq += 1;
        [self.token.clone(), self.seq.to_string(), text(self.cursor)]
    }

    /// As [`Hold::next_call`], with a settlement but for its people.
    pub(super) fn next_settling_call(&mut self, settlement: &Settlement) -> Vec<String> {
        let mut args = self.next_call().to_vec();
        args.extend(settlement.progress());
        self.cursor = settlement.cursor;
        args
    }

    /// `release` and `finish`: settles for the last time, by a script that takes these arguments after the people.
    pub(super) async fn settle_last<const MORE: usize>(
        &mut self,
        script: &'static Script,
        settlement: &Settlement,
        more: [String; MORE],
    ) -> Result<Reply, RedisError> {
        let mut args = self.next_settling_call(settlement);
        args.push(settlement.people());
        args.extend(more);
        let k = &self.keys;
        let keys = [&k.lane, &k.around.log, &k.around.jobs, &k.around.again].map(Clone::clone).to_vec();
        self.insist(script, keys, args).await
    }

    /// Makes a call until Redis answers it.
    pub(super) async fn insist(
        &self,
        script: &'static Script,
        keys: Vec<String>,
        args: Vec<String>,
    ) -> Result<Reply, RedisError> {
        loop {
            match self.redis.run(script, keys.clone(), args.clone()).await {
                Err(error) if error.is_unreachable() => {
                    tracing::debug!(%error, script = script.name, "asking again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                answered => return answered,
            }
        }
    }
}

/// What a worker has finished since its last call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settlement {
    /// The last person settled without a gap before them; the cursor as it was when nobody was.
    pub cursor: Option<Place>,
    /// The user at the cursor; none when it has not moved since the last call.
    pub last_user: Option<UserId>,
    /// Everybody settled, also beyond the cursor when those are in `ahead`.
    pub people: Vec<Settled>,
    /// Places beyond the cursor whose outcome is, or will be with this call, in the history.
    pub ahead: Vec<Place>,
    /// Attempts already made for the next person.
    pub tries: u32,
    /// When the first of them started, µs since the epoch.
    pub tried_us: Option<i64>,
}

impl Settlement {
    fn counts(&self) -> Counts {
        let count = |wanted| self.people.iter().filter(|person| person.outcome == wanted).count() as u64;
        let [sent, skipped, failed, unknown] = outcome::Outcome::ALL.map(count);
        Counts { sent, skipped, failed, unknown }
    }

    /// How far it goes: what comes before the people.
    fn progress(&self) -> [String; 9] {
        let counts = self.counts();
        [
            text(self.cursor),
            text(self.last_user),
            counts.sent.to_string(),
            counts.skipped.to_string(),
            counts.failed.to_string(),
            counts.unknown.to_string(),
            encode_places(&self.ahead),
            self.tries.to_string(),
            text(self.tried_us),
        ]
    }

    pub(super) fn people(&self) -> String {
        outcome::encode(&self.people)
    }
}
