//! Rows in the words of the log, as the scripts write them: so a refused row is kept, and can be logged again.

use std::collections::BTreeMap;

use super::{
    batch::Person,
    entry::{Answer, ProductState},
};
use crate::{
    outcome,
    round::{Counts, RoundState, Stamp, encode_places},
};

/// The fields of an entry.
pub(super) type Words = BTreeMap<&'static str, String>;

fn text<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn stamped(stamp: Stamp, words: impl IntoIterator<Item = (&'static str, String)>) -> Words {
    let stamp = [("e", stamp.epoch.to_string()), ("v", stamp.version.to_string())];
    stamp.into_iter().chain(words).collect()
}

pub(super) fn of_product(state: &ProductState) -> Words {
    let words = [
        ("k", "product".to_owned()),
        ("p", state.product.to_string()),
        ("stock", state.stock.to_string()),
        ("r", state.round.to_string()),
        ("z", if state.paused { "1" } else { "" }.to_owned()),
    ];
    stamped(state.stamp, words)
}

pub(super) fn of_round(state: &RoundState) -> Words {
    let Counts { sent, skipped, failed, unknown } = state.counts;
    let words = [
        ("k", "round".to_owned()),
        ("p", state.lane.product.to_string()),
        ("c", state.lane.channel.to_string()),
        ("r", state.round.to_string()),
        ("s", state.status.to_string()),
        ("from", text(state.from)),
        ("cur", text(state.cursor)),
        ("upto", text(state.upto)),
        ("ahead", encode_places(&state.ahead)),
        ("lu", text(state.last_user)),
        ("bu", text(state.blocked_user)),
        ("n", format!("{sent},{skipped},{failed},{unknown}")),
        ("why", state.reason.clone().unwrap_or_default()),
        ("q", text(state.queued_us)),
        ("b", text(state.started_us)),
        ("x", text(state.ended_us)),
        ("rt", text(state.retry_of)),
        ("people", String::new()),
    ];
    stamped(state.stamp, words)
}

/// No script writes this kind: the people of a round come with its state.
pub(super) fn of_person(person: &Person) -> Words {
    Words::from([
        ("k", "people".to_owned()),
        ("p", person.product.to_string()),
        ("c", person.channel.to_string()),
        ("r", person.round.to_string()),
        ("people", outcome::encode(std::slice::from_ref(&person.settled))),
    ])
}

pub(super) fn of_answer(answer: &Answer) -> Words {
    let (state, round, why) = match &answer.round {
        Ok(round) => ("ACCEPTED", round.to_string(), String::new()),
        Err(why) => ("REFUSED", String::new(), why.clone()),
    };
    Words::from([
        ("k", "request".to_owned()),
        ("p", answer.product.to_string()),
        ("r", round),
        ("id", text(answer.request)),
        ("key", answer.key.clone()),
        ("s", state.to_owned()),
        ("why", why),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{LaneId, Place, ProductId, Round, UserId},
        outcome::{Outcome, Settled},
        redis::log_entry::LogEntry,
        round::Status,
        sync::entry::{Change, read},
    };

    fn read_back(words: Words) -> Change {
        let fields = words.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        read(&LogEntry { id: "1-1".to_owned(), fields, is_text: true }).unwrap()
    }

    #[test]
    fn what_is_kept_of_a_row_says_the_same_when_it_is_logged_again() {
        let (product, channel, stamp) = (ProductId(7), "webhook".parse().unwrap(), Stamp { epoch: 2, version: 9 });
        let state = ProductState { product, stock: 4, round: 3, paused: true, stamp };
        assert_eq!(read_back(of_product(&state)), Change::Product(state));
        let round = RoundState {
            lane: LaneId { product, channel },
            round: Round(3),
            status: Status::InProgress,
            from: Some(Place(1)),
            cursor: Some(Place(2)),
            upto: Some(Place(9)),
            ahead: vec![Place(4), Place(5)],
            last_user: Some(UserId(2)),
            blocked_user: None,
            counts: Counts { sent: 1, skipped: 2, failed: 3, unknown: 4 },
            stamp,
            reason: Some("because".to_owned()),
            queued_us: Some(1),
            started_us: Some(2),
            ended_us: None,
            retry_of: Some(Status::CanceledByError),
        };
        assert_eq!(read_back(of_round(&round)), Change::Round(Box::new(round.clone()), vec![]));
        let settled = Settled { place: Place(2), user: UserId(101), outcome: Outcome::Failed, at_us: 5, tries: 3 };
        let person = Person { product, round: Round(3), channel: round.lane.channel, settled };
        assert_eq!(read_back(of_person(&person)), Change::People(vec![person]));
        for round in [Ok(Round(3)), Err("no stock".to_owned())] {
            let answer = Answer { product, request: Some(4), key: "#4".to_owned(), round };
            assert_eq!(read_back(of_answer(&answer)), Change::Request(answer));
        }
    }
}
