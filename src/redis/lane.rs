//! Reading lanes as they stand, without changing them.

use std::{collections::HashMap, str::FromStr};

use fred::{
    interfaces::{HashesInterface, StreamsInterface},
    types::Value,
};

use super::{Redis, RedisError};
use crate::{
    ids::{LaneId, Partition, Place, ProductId, Round, UserId},
    round::{Counts, RoundState, Stamp, Status, decode_places},
};

/// A lane as Redis holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneView {
    /// Its current or last round.
    pub round: Round,
    /// Where that stands.
    pub status: Status,
    /// The round starts after this place; `None` is the start of the line.
    pub from: Option<Place>,
    /// The last person settled, without a gap before them.
    pub cursor: Option<Place>,
    /// The last place that belongs to the round, once it has begun.
    pub upto: Option<Place>,
    /// Settled beyond the cursor.
    pub ahead: Vec<Place>,
    /// The user at the cursor, once somebody was settled in this round.
    pub last_user: Option<UserId>,
    /// Who could not be told and stopped the round.
    pub blocked_user: Option<UserId>,
    /// Settled so far in this round.
    pub counts: Counts,
    /// How new this state is.
    pub stamp: Stamp,
    /// The token of its present hold.
    pub token: Option<String>,
    /// The holder has made no call yet, and that the round began may not be logged.
    pub is_fresh_hold: bool,
    /// The consumer that holds it; `None` without a hold.
    pub owner: Option<String>,
    /// When the lease ends, ms since the epoch on Redis' clock; 0 without a hold.
    pub lease_until_ms: u64,
    /// A newer round that waits behind this one.
    pub waiting: Option<Round>,
    /// When that was queued, µs since the epoch.
    pub waiting_us: Option<i64>,
    /// The entry that stands for it, `j:<id>` or `a:<id>`.
    pub entry: Option<String>,
    /// Whether it stands still until its product is unpaused.
    pub is_paused: bool,
    /// Attempts already made for the next person.
    pub tries: u32,
    /// Those who FAILED are told again: the status that the round had before.
    pub retry_of: Option<Status>,
    /// When it was queued, µs since the epoch.
    pub queued_us: Option<i64>,
    /// When its first worker began, µs since the epoch.
    pub started_us: Option<i64>,
    /// When it ended, µs since the epoch.
    pub ended_us: Option<i64>,
    /// Why it ended, for people.
    pub reason: Option<String>,
}

impl LaneView {
    /// Its current or last round, as MySQL will have it.
    #[must_use]
    pub fn state(&self, lane: &LaneId) -> RoundState {
        RoundState {
            status: self.status,
            from: self.from,
            cursor: self.cursor,
            upto: self.upto,
            ahead: self.ahead.clone(),
            last_user: self.last_user,
            blocked_user: self.blocked_user,
            counts: self.counts,
            retry_of: self.retry_of,
            reason: self.reason.clone(),
            queued_us: self.queued_us,
            started_us: self.started_us,
            ended_us: self.ended_us,
            ..self.unbegun(lane, self.round)
        }
    }

    /// The round that waits behind it, as MySQL will have it.
    #[must_use]
    pub fn waiting_state(&self, lane: &LaneId) -> Option<RoundState> {
        let round = self.waiting?;
        Some(RoundState { queued_us: self.waiting_us, ..self.unbegun(lane, round) })
    }

    fn unbegun(&self, lane: &LaneId, round: Round) -> RoundState {
        RoundState {
            lane: lane.clone(),
            round,
            status: Status::Queued,
            from: None,
            cursor: None,
            upto: None,
            ahead: Vec::new(),
            last_user: None,
            blocked_user: None,
            counts: Counts::default(),
            stamp: self.stamp,
            retry_of: None,
            reason: None,
            queued_us: None,
            started_us: None,
            ended_us: None,
        }
    }
}

impl Redis {
    /// These lanes of one partition, in one round trip; `None` where Redis has none.
    ///
    /// # Errors
    /// As any call; [`RedisError::Unreadable`] when a lane cannot be read.
    pub async fn read_lanes(
        &self,
        partition: Partition,
        lanes: &[LaneId],
    ) -> Result<Vec<Option<LaneView>>, RedisError> {
        self.read_each_lane(partition, lanes).await?.into_iter().collect()
    }

    /// As [`Redis::read_lanes`], for those who go on with the others when one lane cannot be read.
    ///
    /// # Errors
    /// As any call.
    pub async fn read_each_lane(
        &self,
        partition: Partition,
        lanes: &[LaneId],
    ) -> Result<Vec<Result<Option<LaneView>, RedisError>>, RedisError> {
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let pipeline = self.client.pipeline();
        for lane in lanes {
            let _: () = pipeline.hgetall(self.keys.lane(partition, lane)).await?;
        }
        let found: Vec<HashMap<String, String>> = pipeline.all().await?;
        Ok(found.iter().map(view).collect())
    }

    /// The stock of a product; `None` where Redis does not hold it.
    ///
    /// # Errors
    /// As any call.
    pub async fn stock_of(&self, partition: Partition, product: ProductId) -> Result<Option<i64>, RedisError> {
        Ok(self.client.hget(self.keys.product(partition, product), "stock").await?)
    }

    /// Whether each of these entries, named as in [`LaneView::entry`], is still on its stream.
    ///
    /// # Errors
    /// As any call.
    pub async fn have_entries(
        &self,
        partition: Partition,
        entries: &[(LaneId, String)],
    ) -> Result<Vec<bool>, RedisError> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let pipeline = self.client.pipeline();
        for (lane, entry) in entries {
            let (key, id) = match entry.strip_prefix("a:") {
                Some(id) => (self.keys.again(partition, &lane.channel), id),
                None => (self.keys.jobs(partition, &lane.channel), entry.trim_start_matches("j:")),
            };
            let _: () = pipeline.xrange(key, id, id, Some(1)).await?;
        }
        let found: Vec<Value> = pipeline.all().await?;
        Ok(found.iter().map(|entries| entries.array_len().is_some_and(|len| len > 0)).collect())
    }
}

/// An empty hash is no lane; an empty field is none.
fn view(fields: &HashMap<String, String>) -> Result<Option<LaneView>, RedisError> {
    if !fields.contains_key("status") {
        return Ok(None);
    }
    let fields = Fields(fields);
    // As to the scripts: what no hold is, is nobody's.
    let hold: Option<Hold> = fields.get("hold").ok().flatten();
    Ok(Some(LaneView {
        round: fields.need("round")?,
        status: fields.need("status")?,
        from: fields.get("from")?,
        cursor: fields.get("cursor")?,
        upto: fields.get("upto")?,
        ahead: fields.places("ahead")?,
        last_user: fields.get("last_user")?,
        blocked_user: fields.get("blocked_user")?,
        counts: Counts {
            sent: fields.count("sent")?,
            skipped: fields.count("skipped")?,
            failed: fields.count("failed")?,
            unknown: fields.count("unknown")?,
        },
        stamp: Stamp { epoch: fields.count("epoch")?, version: fields.count("version")? },
        is_fresh_hold: hold.is_some() && fields.get::<String>("call")?.is_none(),
        lease_until_ms: hold.as_ref().map_or(0, |hold| hold.until_ms),
        owner: hold.as_ref().map(|hold| hold.owner.clone()),
        token: hold.map(|hold| hold.token),
        waiting: fields.get("waiting")?,
        waiting_us: fields.get("waiting_at")?,
        entry: fields.get("entry")?,
        is_paused: fields.get::<String>("paused")?.is_some_and(|paused| paused == "1"),
        tries: fields.get("tries")?.unwrap_or(0),
        retry_of: fields.get("retry_of")?,
        queued_us: fields.get("queued_at")?,
        started_us: fields.get("started_at")?,
        ended_us: fields.get("ended_at")?,
        reason: fields.get("reason")?,
    }))
}

/// Who holds a lane, as `lua/shared/lane.lua` writes it: `token until length owner`.
struct Hold {
    token: String,
    until_ms: u64,
    owner: String,
}

impl FromStr for Hold {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.splitn(4, ' ');
        let mut word = || words.next().ok_or(());
        let (token, until) = (word()?.to_owned(), word()?.parse());
        let length: Result<u64, _> = word()?.parse();
        let owner = word()?.to_owned();
        let until_ms = length.and(until).map_err(|_| ())?;
        if token.is_empty() { Err(()) } else { Ok(Self { token, until_ms, owner }) }
    }
}

struct Fields<'a>(&'a HashMap<String, String>);

impl Fields<'_> {
    fn get<T: FromStr>(&self, name: &str) -> Result<Option<T>, RedisError> {
        match self.0.get(name).map(String::as_str) {
            None | Some("") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| unreadable(name, text)),
        }
    }

    fn need<T: FromStr>(&self, name: &str) -> Result<T, RedisError> {
        self.get(name)?.ok_or_else(|| unreadable(name, ""))
    }

    fn places(&self, name: &str) -> Result<Vec<Place>, RedisError> {
        let text = self.0.get(name).map_or("", String::as_str);
        decode_places(text).map_err(|_| unreadable(name, text))
    }

    fn count(&self, name: &str) -> Result<u64, RedisError> {
        Ok(self.get(name)?.unwrap_or(0))
    }
}

fn unreadable(field: &str, text: &str) -> RedisError {
    RedisError::Unreadable { what: "lane", field: field.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_stands_in_a_lane_is_read_or_refused(
            fields in prop::collection::hash_map(
                "round|status|from|cursor|upto|ahead|last_user|sent|epoch|version|hold|waiting|tries|started_at",
                "QUEUED|[a-z]{1,3} [0-9]{1,25} [0-9]{1,3} [a-z ]{0,5}|COMPLETED|[0-9]{1,25}|-?[0-9]{1,18}|[0-9,]{0,40}|.{0,12}",
                0..14,
            ),
        ) {
            if let Ok(Some(view)) = view(&fields) {
                prop_assert_eq!(fields["status"].as_str(), view.status.as_str());
                prop_assert!(fields["round"].parse() == Ok(view.round));
            }
        }
    }
}
