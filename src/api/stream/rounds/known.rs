//! What those who follow the lanes know: the whole for who joins, and what has changed for all others.

use std::collections::BTreeMap;

use axum::body::Bytes;
use chrono::{TimeDelta, Utc};
use serde::Serialize;

use crate::{
    api::stream::frame,
    ids::{Channel, ProductId, Round, rfc3339},
    mysql::request::Outbox,
    report::moment::{Lag, LaneNow, Moment},
    round::Status,
};

/// For how long a round that went to its end is shown, in minutes.
const COMPLETED_MINUTES: i64 = 5;
/// Lanes that are shown: those that are open, then those that ended last.
const LANES_MAX: usize = 1_000;

/// A lane in one round.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Key {
    product: ProductId,
    channel: Channel,
    round: Round,
}

/// What surrounds the lanes.
#[derive(Debug, Serialize)]
struct Head {
    at: String,
    live: bool,
    paused: bool,
    limit: u32,
    used: Option<i64>,
    lag: Option<Lag>,
    outbox: Outbox,
    /// Lanes beyond the most that are shown.
    more: usize,
}

/// What is sent: everything, or what has changed since.
#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    head: &'a Head,
    lanes: Vec<&'a LaneNow>,
    /// Lanes that are not shown any more.
    gone: Vec<&'a Key>,
}

/// The lanes at one look.
#[derive(Debug)]
pub(super) struct Known {
    head: Head,
    lanes: BTreeMap<Key, LaneNow>,
    /// As a frame, once somebody has wanted that.
    whole: Option<Bytes>,
}

impl Known {
    pub(super) fn new(moment: Moment) -> Self {
        let Moment { lanes, live, paused, limit, used, lag, outbox } = moment;
        let (shown, more) = choose(lanes);
        let head = Head { at: rfc3339(Utc::now().naive_utc()), live, paused, limit, used, lag, outbox, more };
        let key = |LaneNow { row, .. }: &LaneNow| Key {
            product: row.product,
            channel: row.channel.clone(),
            round: row.round,
        };
        Self { head, lanes: shown.into_iter().map(|lane| (key(&lane), lane)).collect(), whole: None }
    }

    /// Everything, for who knows nothing: written when the first one wants it, since most looks end without one.
    pub(super) fn whole(&mut self) -> Bytes {
        let Self { head, lanes, whole } = self;
        let write = || frame::event("state", &Report { head, lanes: lanes.values().collect(), gone: Vec::new() });
        whole.get_or_insert_with(write).clone()
    }

    /// What is otherwise than before.
    pub(super) fn change_since(&self, before: &Self) -> Bytes {
        let changed = self.lanes.iter().filter(|(key, lane)| before.lanes.get(*key) != Some(*lane));
        let gone = before.lanes.keys().filter(|key| !self.lanes.contains_key(*key));
        let (lanes, gone) = (changed.map(|(_, lane)| lane).collect(), gone.collect());
        frame::event("change", &Report { head: &self.head, lanes, gone })
    }
}

/// The lanes that are shown, and how many more there are.
fn choose(lanes: Vec<LaneNow>) -> (Vec<LaneNow>, usize) {
    let recent = rfc3339((Utc::now() - TimeDelta::minutes(COMPLETED_MINUTES)).naive_utc());
    let is_shown = |lane: &LaneNow| match lane.row.status {
        Status::Completed | Status::Superseded => lane.row.ended_at.as_ref().is_some_and(|at| *at >= recent),
        _ => true,
    };
    let mut shown: Vec<LaneNow> = lanes.into_iter().filter(is_shown).collect();
    // An open one has no end, and stands before all others.
    shown.sort_by(|a, b| {
        let is_open = |lane: &LaneNow| lane.row.status.is_open();
        is_open(b).cmp(&is_open(a)).then_with(|| b.row.ended_at.cmp(&a.row.ended_at))
    });
    let more = shown.len().saturating_sub(LANES_MAX);
    shown.truncate(LANES_MAX);
    (shown, more)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::report::status::StatusRow;

    fn lane(product: i64, sent: u64) -> LaneNow {
        let row = StatusRow {
            product: ProductId(product),
            sku: None,
            round: Round(1),
            channel: "null".parse().expect("a channel"),
            status: Status::InProgress,
            cursor: None,
            last_user: None,
            total: Some(9),
            sent,
            skipped: 0,
            failed: 0,
            unknown: 0,
            started_at: None,
            ended_at: None,
            reason: None,
            paused: false,
            refused: 0,
        };
        LaneNow { row, owner: None, lease_ms: None, waiting_ms: None }
    }

    fn look(lanes: Vec<LaneNow>) -> Known {
        let outbox = Outbox { pending: 0, oldest_ms: 0 };
        Known::new(Moment { lanes, live: true, paused: false, limit: 0, used: None, lag: None, outbox })
    }

    /// The products and the counts of an event, and the products that are gone.
    fn read(frame: &Bytes) -> (String, Vec<(i64, u64)>, Vec<i64>) {
        let text = String::from_utf8(frame.to_vec()).expect("text");
        let (name, data) = text.split_once("\ndata: ").expect("an event");
        let data: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!((&data["live"], &data["more"]), (&json!(true), &json!(0)));
        let number = |value: &Value| value.as_u64().expect("a number");
        let of = |name: &str| data[name].as_array().expect("a list").clone();
        let product = |value: &Value| number(&value["product"]).cast_signed();
        let lanes = of("lanes").iter().map(|lane| (product(lane), number(&lane["sent"]))).collect();
        (name.to_owned(), lanes, of("gone").iter().map(product).collect())
    }

    #[test]
    fn who_joins_gets_all_and_the_others_what_has_changed() {
        let mut first = look(vec![lane(1, 0), lane(2, 3), lane(3, 4)]);
        assert_eq!(read(&first.whole()), ("event: state".to_owned(), vec![(1, 0), (2, 3), (3, 4)], vec![]));
        let mut second = look(vec![lane(1, 2), lane(2, 3), lane(4, 0)]);
        assert_eq!(read(&second.change_since(&first)), ("event: change".to_owned(), vec![(1, 2), (4, 0)], vec![3]));
        let whole = second.whole();
        assert_eq!(read(&whole), ("event: state".to_owned(), vec![(1, 2), (2, 3), (4, 0)], vec![]));
        assert_eq!(whole.as_ptr(), second.whole().as_ptr(), "it is written once");
    }
}
