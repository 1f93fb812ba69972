//! What is said of lanes in words: the tail of a row on the screen, and whole lines where there is no screen.

use super::speed::{Speeds, settled, span};
use crate::{
    report::{
        moment::{LaneNow, Moment},
        status::StatusRow,
    },
    round::Status,
};

/// `412/881`, or `412/?` before somebody has counted.
pub(super) fn people(row: &StatusRow) -> String {
    let total = row.total.map_or_else(|| "?".to_owned(), |total| total.to_string());
    format!("{}/{total}", settled(row))
}

/// What there is to say of a lane beside its numbers: speed, time left and owner while it runs, the reason when not.
pub(super) fn remark(lane: &LaneNow, speeds: &Speeds) -> String {
    let LaneNow { row, owner, lease_ms, waiting_ms } = lane;
    let mut said = Vec::new();
    if row.paused && row.status.is_open() {
        said.push(format!("`restock-cli unpause {}`", row.product));
    }
    match row.status {
        Status::Queued => said.extend(waiting_ms.map(|ms| format!("waits for {}", span(ms)))),
        Status::InProgress => {
            said.extend(speeds.of(row).map(|speed| format!("{speed:.0}/s")));
            said.extend(speeds.left_ms(row).map(|ms| format!("{} left", span(ms))));
            said.push(owner.as_ref().map_or_else(|| "held by nobody".to_owned(), |owner| format!("by {owner}")));
            // Any worker takes it over now: with none alive, nobody does.
            let silent_ms = lease_ms.filter(|ms| *ms < 0);
            said.extend(silent_ms.map(|ms| format!("whose lease ran out {} ago", span(-ms))));
        }
        _ => said.extend(row.reason.clone()),
    }
    for (count, what) in [(row.failed, "failed"), (row.skipped, "skipped"), (row.unknown, "unknown")] {
        if count > 0 {
            said.push(format!("{count} {what}"));
        }
    }
    if row.refused > 0 {
        said.push(format!("MySQL refused {} rows: `restock-cli dead list`", row.refused));
    }
    said.join(", ")
}

/// `412 of 500/s`
pub(super) fn pace(moment: &Moment) -> String {
    let used = moment.used.map_or_else(|| "?".to_owned(), |used| used.to_string());
    let limit = if moment.limit == 0 { "no limit".to_owned() } else { format!("{}/s", moment.limit) };
    format!("{used} of {limit}")
}

/// How many lanes run and wait, and for how long.
pub(super) fn counts(moment: &Moment) -> String {
    let count = |word: &str| moment.lanes.iter().filter(|lane| word_of(&lane.row) == word).count();
    let paused = match count("paused") {
        0 => String::new(),
        paused => format!("{paused} paused, "),
    };
    let oldest_ms = moment.lanes.iter().filter_map(|lane| lane.waiting_ms).max();
    let oldest = oldest_ms.map(|ms| format!(", the oldest for {}", span(ms))).unwrap_or_default();
    format!("{} running, {paused}{} waiting{oldest}", count("running"), count("queued"))
}

/// A short word for where a lane stands.
pub(super) fn word_of(row: &StatusRow) -> &'static str {
    match row.status {
        status if status.is_open() && row.paused => "paused",
        Status::Queued => "queued",
        Status::InProgress => "running",
        Status::Completed => "completed",
        Status::CanceledBySoldOut => "sold out",
        Status::CanceledByError => "error",
        Status::CanceledByAdmin => "canceled",
        Status::Superseded => "superseded",
    }
}

/// How far MySQL is behind, and what the outbox holds.
pub(super) fn lag(moment: &Moment) -> String {
    let flush = match moment.lag {
        None => "unknown".to_owned(),
        Some(lag) if lag.entries == 0 => "none".to_owned(),
        Some(lag) if lag.entries == 1 => format!("{}, 1 entry", span(lag.oldest_ms)),
        Some(lag) => format!("{}, {} entries", span(lag.oldest_ms), lag.entries),
    };
    let outbox = match moment.outbox.pending {
        0 => "empty".to_owned(),
        pending => format!("{pending} waiting, the oldest for {}", span(moment.outbox.oldest_ms)),
    };
    format!("flush lag {flush}; outbox {outbox}")
}

/// The lines that tell of what is not as in `before`; at first of all that is open.
pub(super) fn news(before: Option<&Moment>, now: &Moment, speeds: &Speeds) -> Vec<String> {
    let mut lines: Vec<String> =
        now.lanes.iter().filter(|lane| is_news(before, lane)).map(|lane| line(lane, speeds)).collect();
    let has_switched = before.is_none_or(|before| (before.paused, before.live) != (now.paused, now.live));
    if !lines.is_empty() || has_switched {
        let paused = if now.paused { "; all sending is paused" } else { "" };
        let live = if now.live { "" } else { "; Redis does not answer: this is what MySQL knows" };
        lines.insert(0, format!("rate {}; {}; {}{paused}{live}", pace(now), counts(now), lag(now)));
    }
    lines
}

fn is_news(before: Option<&Moment>, lane: &LaneNow) -> bool {
    let row = &lane.row;
    let Some(before) = before else { return row.status.is_open() };
    let is_same = |other: &&LaneNow| {
        (other.row.product, &other.row.channel, other.row.round) == (row.product, &row.channel, row.round)
    };
    before.lanes.iter().find(is_same).is_none_or(|old| {
        let of = |lane: &LaneNow| (lane.row.status, settled(&lane.row), lane.row.paused, lane.row.refused);
        of(old) != of(lane) || old.owner != lane.owner
    })
}

fn line(lane: &LaneNow, speeds: &Speeds) -> String {
    let row = &lane.row;
    let sku = row.sku.as_ref().map(|sku| format!(" ({sku})")).unwrap_or_default();
    let remark = Some(remark(lane, speeds)).filter(|remark| !remark.is_empty());
    let remark = remark.map(|remark| format!(", {remark}")).unwrap_or_default();
    let paused = if row.paused && row.status.is_open() { ", paused" } else { "" };
    let StatusRow { product, round, channel, status, .. } = row;
    format!("product {product}{sku} round {round} {channel}: {status}{paused} {}{remark}", people(row))
}
