//! The end of the demo: the rounds as MySQL has them, the receiver's own count, and whether all of it is right.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::ensure;
use serde::Serialize;
use tokio::time::sleep;

use super::{
    data::Product,
    receiver::Recording,
    stage::{RATE, Stage, WINDOW, println},
    story::Told,
    watch::lane_of,
};
use crate::{
    cli::output::{self, Output, Record, or_dash, time_us},
    ids::{ProductId, Round, UserId},
    mysql::history::{self, PeopleOf, RoundRow},
    outcome::Outcome,
    redis::lane::LaneView,
    stores::Stores,
};

#[derive(Serialize)]
struct Line {
    sku: String,
    row: [String; 7],
}

impl Record for Line {
    const HEADINGS: &'static [&'static str] =
        &["PRODUCT", ">ROUND", "STATUS", ">TOLD", ">OF", ">LAST CUSTOMER", "STARTED", "ENDED"];

    fn cells(&self) -> Vec<String> {
        std::iter::once(self.sku.clone()).chain(self.row.clone()).collect()
    }
}

/// The next person of a line after a round was cut off.
pub(super) fn next_after(product: &Product, view: &LaneView) -> Option<UserId> {
    let last = view.last_user?.0;
    let at = product.line.iter().position(|(customer, _)| *customer == last)?;
    product.line.get(at + 1).map(|(customer, _)| UserId(*customer))
}

/// Prints the tables; `false` when a figure is wrong.
pub(super) async fn give(stage: &Stage, stores: &Stores, told: &Told<'_>) -> anyhow::Result<bool> {
    let rounds = settled_rounds(stores, told).await?;
    println("\nThe rounds, as MySQL has them:")?;
    let lines: Vec<Line> = rounds.iter().map(line).collect();
    output::records(Output::Table, &lines)?;

    let recording = stage.receiver.recording();
    let mut wrong = Vec::new();
    let (mut people, mut out_of_order) = (0, 0);
    for product in &told.products {
        people += product.line.len();
        out_of_order += check_product(stores, &recording, told, product, &mut wrong).await?;
    }
    let mut told_people = HashSet::new();
    let accepted: Vec<_> = recording.deliveries().iter().filter(|delivery| delivery.is_accepted()).collect();
    told_people.extend(accepted.iter().map(|delivery| (delivery.key.lane.product, delivery.key.user)));
    let repeats = accepted.len() - told_people.len();
    let repeats_max = told.lanes_lost * WINDOW;
    let (starts, arrivals) = (recording.starts_in_a_second_max(), recording.arrivals_in_a_second_max());

    println("\nThe receiver's own count:")?;
    for (what, figure, limit, right) in [
        ("people told", told_people.len(), format!("of {people} in line"), told_people.len() == people),
        ("told out of order", out_of_order, "pairs of first attempts".to_owned(), out_of_order == 0),
        (
            "told twice",
            repeats,
            format!("at most {repeats_max}: {} lanes killed × window {WINDOW}", told.lanes_lost),
            repeats <= repeats_max,
        ),
        ("most starts in any second", starts, format!("at most {RATE}"), starts <= RATE as usize),
        ("most arrivals in any second", arrivals, format!("about {RATE}, as the network delivers"), true),
    ] {
        println(&format!("  {} {what:<28} {figure:>6}  {limit}", if right { "✓" } else { "✗" }))?;
        if !right {
            wrong.push(what.to_owned());
        }
    }
    for what in &wrong {
        println(&format!("  ✗ {what}"))?;
    }
    Ok(wrong.is_empty())
}

/// All rounds, once MySQL knows of the end of each.
async fn settled_rounds(stores: &Stores, told: &Told<'_>) -> anyhow::Result<Vec<RoundRow>> {
    let start = Instant::now();
    loop {
        let mut rounds = Vec::new();
        for product in &told.products {
            rounds.extend(history::rounds(&stores.mysql, Some(ProductId(product.id))).await?);
        }
        let expected = told.products.len() + told.second.len();
        let settled = rounds.iter().all(|row| !row.state.status.is_open() && row.total.is_some());
        if rounds.len() == expected && settled {
            return Ok(rounds);
        }
        ensure!(start.elapsed() < Duration::from_secs(10), "MySQL does not have all rounds after 10 s");
        sleep(Duration::from_millis(50)).await;
    }
}

fn line(row: &RoundRow) -> Line {
    let state = &row.state;
    let time = |at: Option<i64>| at.map_or_else(|| "-".to_owned(), |at| time_us(at)[11..23].to_owned());
    let (status, round) = (state.status.to_string(), state.round.to_string());
    let cells = [round, status, state.counts.sent.to_string(), or_dash(row.total), or_dash(state.last_user)];
    let [round, status, sent, total, last] = cells;
    Line {
        sku: row.sku.as_ref().map_or_else(|| state.lane.product.to_string(), ToString::to_string),
        row: [round, status, sent, total, last, time(state.started_us), time(state.ended_us)],
    }
}

/// Checks one product against its line; returns the pairs of first attempts that were out of order.
async fn check_product(
    stores: &Stores,
    recording: &Recording,
    told: &Told<'_>,
    product: &Product,
    wrong: &mut Vec<String>,
) -> anyhow::Result<usize> {
    let lane = lane_of(product)?;
    let line: Vec<UserId> = product.line.iter().map(|(customer, _)| UserId(*customer)).collect();
    let mut rounds = vec![Round(1)];
    rounds.extend(told.second.get(&product.id));
    let (mut recorded, mut out_of_order) = (Vec::new(), 0);
    for round in rounds {
        out_of_order += usize::try_from(recording.order(&lane, round, &line).out_of_order_pairs)?;
        let of = PeopleOf { product: lane.product, round, channel: lane.channel.clone() };
        let people = history::people(&stores.mysql, &of, None, u32::MAX).await?;
        recorded.extend(people.iter().filter(|row| row.outcome == Outcome::Sent).map(|row| row.user));
    }
    let once: HashSet<_> = recorded.iter().copied().collect();
    if recorded.len() != line.len() || once != line.iter().copied().collect() {
        wrong.push(format!(
            "{}: MySQL has {} people as told, {} stand in line",
            product.sku,
            recorded.len(),
            line.len()
        ));
    }
    if let Some(second) = told.second.get(&product.id) {
        let starts = recording.deliveries().iter().filter(|d| d.key.lane == lane && d.key.round == *second);
        let first = starts.min_by_key(|delivery| delivery.started_us).map(|delivery| delivery.key.user);
        let next = next_after(product, &told.first[&product.id]);
        if first != next {
            wrong.push(format!("{}: round {second} began with {first:?}, not with {next:?}", product.sku));
        }
    }
    Ok(out_of_order)
}
