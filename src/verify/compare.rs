//! The same product or lane in both stores: which is newer, and what is not the same. Pure: no clock, no network.

use super::{
    Finding, Kind, Mend, Subject,
    live::{Live, Seen},
    record::Record,
};
use crate::{
    ids::{LaneId, Place, ProductId, rfc3339},
    redis::lane::LaneView,
    round::{RoundState, Stamp, Status},
};

/// A product in both stores; `before` is how new Redis was at a look before the log was flushed.
pub(super) fn compare_product(product: ProductId, record: &Record, live: &Live, before: Option<&Seen>) -> Vec<Finding> {
    let subject = Subject::Product(product);
    let Some(view) = live.product else {
        let is_open = |(_, view): &(LaneId, Option<LaneView>)| view.as_ref().is_some_and(|view| view.status.is_open());
        if live.product_error.is_some() || !live.lanes.iter().any(is_open) {
            return Vec::new();
        }
        let finding = Finding::new(Kind::ProductAbsent, subject, "Redis holds an open lane of it and not the product");
        return vec![finding.mended_by(Mend::Check(product))];
    };
    let Some(row) = record.product else {
        return vec![Finding::new(Kind::ProductUnknown, subject, "Redis holds it, and MySQL has no row of it")];
    };
    if view.stamp < row.stamp {
        let detail = format!("Redis is at {}, MySQL at {}", version(view.stamp), version(row.stamp));
        return vec![Finding::new(Kind::ProductBehind, subject, detail).mended_by(Mend::Check(product))];
    }
    if view.stamp > row.stamp {
        let first = before.map_or(view.stamp, |seen| seen.get(&None).copied().unwrap_or(Stamp::default()));
        if before.is_some() && row.stamp >= first {
            return Vec::new();
        }
        let detail = format!("Redis is at {}, MySQL at {}", version(view.stamp), version(row.stamp));
        return vec![Finding::new(Kind::ProductUnrecorded, subject, detail).mended_by(Mend::Relog(product))];
    }
    let mut differences = Differences::default();
    differences.see("stock", view.stock, row.stock);
    differences.see("round", view.round, row.round);
    differences.see("paused", view.is_paused, row.is_paused);
    let Some(detail) = differences.text() else { return Vec::new() };
    let finding = Finding::new(Kind::ProductDiffers, subject, detail);
    // A round that was given out is never given out again: the smaller number must not be written over the greater.
    vec![if view.round < row.round { finding } else { finding.mended_by(Mend::Relog(product)) }]
}

/// A lane in both stores; `logged` is how new it is without what its hold began, while that waits for the first call.
pub(super) fn compare_lane(
    lane: &LaneId,
    view: &LaneView,
    record: &Record,
    before: Option<Stamp>,
    logged: Stamp,
) -> Vec<Finding> {
    let subject = Subject::Lane(lane.clone());
    let newest = record.stamps.get(&lane.channel).map(|stamps| stamps.newest).unwrap_or_default();
    let versions = || format!("Redis is at {}, MySQL at {}", version(view.stamp), version(newest));
    if view.stamp < newest {
        let finding = Finding::new(Kind::LaneBehind, subject, versions());
        return vec![finding.mended_by(Mend::Check(lane.product))];
    }
    let mut findings: Vec<Finding> = record
        .open_rounds(&lane.channel)
        .filter(|row| row.round != view.round && Some(row.round) != view.waiting && row.stamp < view.stamp)
        .map(|row| {
            let detail = format!("it is {} in MySQL, and the lane is at round {}", row.status, view.round);
            let finding = Finding::new(Kind::RoundForgotten, Subject::Round(lane.clone(), row.round), detail);
            let is_overtaken = row.status == Status::Queued && row.started_us.is_none() && row.round < view.round;
            if is_overtaken { finding.mended_by(Mend::Supersede(lane.clone(), row.round, row.stamp)) } else { finding }
        })
        .collect();
    if view.stamp > newest {
        if logged > newest && before.is_none_or(|first| newest < first) {
            findings.push(Finding::new(Kind::LaneUnrecorded, subject, versions()).mended_by(Mend::Relog(lane.product)));
        }
        return findings;
    }
    findings.extend(differs(lane, view, record).map(|detail| Finding::new(Kind::LaneDiffers, subject, detail)));
    findings
}

/// What is not the same although the version is.
fn differs(lane: &LaneId, view: &LaneView, record: &Record) -> Option<String> {
    let rows: Vec<&RoundState> = record.rounds.iter().filter(|row| row.lane == *lane).collect();
    if rows.iter().any(|row| row.stamp > view.stamp) {
        return None;
    }
    if let Some(waiting) = view.waiting
        && !rows.iter().any(|row| row.round == waiting && row.status == Status::Queued)
    {
        return Some(format!("round {waiting} waits in Redis, and MySQL has it as no open round"));
    }
    let Some(row) = rows.iter().find(|row| row.round == view.round) else {
        return Some(format!("MySQL has no row of round {}, or has it as overtaken", view.round));
    };
    let state = view.state(lane);
    let mut differences = Differences::default();
    differences.see("status", state.status, row.status);
    if state.retry_of != row.retry_of {
        differences.0.push("whether the failed are told again is not the same".to_owned());
    }
    differences.see_option("from", state.from, row.from);
    differences.see_option("cursor", state.cursor, row.cursor);
    differences.see_option("upto", state.upto, row.upto);
    differences.see("people ahead", state.ahead.len(), row.ahead.len());
    differences.see("sent", state.counts.sent, row.counts.sent);
    differences.see("skipped", state.counts.skipped, row.counts.skipped);
    differences.see("failed", state.counts.failed, row.counts.failed);
    differences.see("unknown", state.counts.unknown, row.counts.unknown);
    // Who was erased in MySQL is no difference: Redis forgets them with the lane.
    if row.last_user.is_some() && state.last_user != row.last_user {
        differences.0.push("the last user is another".to_owned());
    }
    differences.text()
}

/// The names of what differs, with both values.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn see<T: PartialEq + std::fmt::Display>(&mut self, name: &str, redis: T, mysql: T) {
        if redis != mysql {
            self.0.push(format!("{name} is {redis} in Redis and {mysql} in MySQL"));
        }
    }

    fn see_option(&mut self, name: &str, redis: Option<Place>, mysql: Option<Place>) {
        let text = |place: Option<Place>| place.map_or_else(|| "none".to_owned(), |place| rfc3339(place.datetime()));
        self.see(name, text(redis), text(mysql));
    }

    fn text(self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join("; "))
    }
}

fn version(Stamp { epoch, version }: Stamp) -> String {
    format!("version {version} of epoch {epoch}")
}
