//! The end of the demo: the rounds as MySQL has them, the receiver's own count, and whether all of it is right.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::ensure;
use console::{StyledObject, style};
use indicatif::HumanCount;
use serde::Serialize;
use tokio::time::sleep;

use super::{
    data::Product,
    receiver::Recording,
    stage::{RATE, Stage, WINDOW, say},
    story::Told,
    watch::lane_of,
};
use crate::{
    cli::output::{self, Output, Record, or_dash},
    ids::{LaneId, Round, UserId, time_us},
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
        &["PRODUCT", ">ROUND", "STATUS", ">TOLD", ">OF", ">LAST", "STARTED", ">TOOK"];

    fn cells(&self) -> Vec<String> {
        std::iter::once(self.sku.clone()).chain(self.row.clone()).collect()
    }
}

/// The next person of a line after a round was cut off.
pub(super) fn next_after(product: &Product, view: &LaneView) -> Option<UserId> {
    let at = match view.last_user {
        Some(last) => product.line.iter().position(|(customer, _)| *customer == last.0)? + 1,
        None => 0,
    };
    product.line.get(at).map(|(customer, _)| UserId(*customer))
}

/// Prints the tables; `false` when a figure is wrong.
pub(super) async fn give(stage: &Stage, stores: &Stores, told: &Told<'_>) -> anyhow::Result<bool> {
    let rounds = settled_rounds(stores, told).await?;
    say("\nThe rounds, as MySQL has them:")?;
    let lines: Vec<Line> = rounds.iter().map(line).collect();
    output::records(Output::Table, &lines)?;

    let recording = stage.receiver.recording();
    let mut wrong = Vec::new();
    let mut out_of_order = 0;
    for product in &told.products {
        out_of_order += check_product(stores, &recording, told, product, &mut wrong).await?;
    }
    say("\nThe receiver's own count:")?;
    let mut right = wrong.is_empty();
    for Figure { what, figure, limit, is_right } in figures(&recording, told, out_of_order) {
        say(&format!("  {} {what:<27} {:>5}  {limit}", mark(is_right), HumanCount(figure as u64).to_string()))?;
        right &= is_right;
    }
    for what in &wrong {
        say(&format!("  {} {what}", mark(false)))?;
    }
    Ok(right)
}

struct Figure {
    what: &'static str,
    figure: usize,
    limit: String,
    is_right: bool,
}

fn mark(is_right: bool) -> StyledObject<&'static str> {
    if is_right { style("✓").green() } else { style("✗").red().bold() }
}

fn figures(recording: &Recording, told: &Told<'_>, out_of_order: usize) -> [Figure; 5] {
    let people: usize = told.products.iter().map(|product| product.line.len()).sum();
    let accepted: Vec<_> = recording.deliveries().iter().filter(|delivery| delivery.is_accepted()).collect();
    let reached: HashSet<_> = accepted.iter().map(|delivery| (delivery.key.lane.product, delivery.key.user)).collect();
    let repeats = accepted.len() - reached.len();
    let (cut, repeats_max) = (told.kill.products.len(), told.kill.products.len() * WINDOW);
    let starts = recording.starts_in_a_second_max();
    let figure = |what, figure, is_right, limit| Figure { what, figure, limit, is_right };
    [
        figure(
            "people told",
            reached.len(),
            reached.len() == people,
            format!("of {} in line", HumanCount(people as u64)),
        ),
        figure("told out of order", out_of_order, out_of_order == 0, "pairs of first attempts".to_owned()),
        figure(
            "told twice",
            repeats,
            repeats <= repeats_max,
            format!("at most {repeats_max}: in {cut} products at the kill × window {WINDOW}"),
        ),
        figure("most starts in any second", starts, starts <= RATE as usize, format!("at most {RATE}")),
        figure(
            "products that sold out",
            told.second.len(),
            told.second.len() == told.scarce,
            format!("of {} that had too little", told.scarce),
        ),
    ]
}

/// All rounds, once MySQL knows of the end of each.
async fn settled_rounds(stores: &Stores, told: &Told<'_>) -> anyhow::Result<Vec<RoundRow>> {
    let start = Instant::now();
    loop {
        let mut rounds = Vec::new();
        for product in &told.products {
            let lane = lane_of(product)?;
            for round in [Some(Round(1)), told.second.get(&product.id).copied()].into_iter().flatten() {
                rounds.extend(history::round_of(&stores.mysql, &lane, round).await?);
            }
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
    let started = or_dash(state.started_us.map(|at_us| time_us(at_us)[11..23].to_owned()));
    let took_ms = state.started_us.zip(state.ended_us).map(|(start_us, end_us)| (end_us - start_us) / 1000);
    let took = or_dash(took_ms.map(|ms| format!("{}.{} s", ms / 1000, ms % 1000 / 100)));
    let (status, round) = (state.status.to_string(), state.round.to_string());
    let cells = [round, status, state.counts.sent.to_string(), or_dash(row.total), or_dash(state.last_user)];
    let [round, status, sent, total, last] = cells;
    Line {
        sku: row.sku.as_ref().map_or_else(|| state.lane.product.to_string(), ToString::to_string),
        row: [round, status, sent, total, last, started, took],
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
        out_of_order += out_of_order_pairs(recording, told, &lane, round, &line)?;
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

/// Pairs of first attempts that started in another order than people stand in line.
///
/// Of what the killed worker started at its last some never reached the receiver, which sees the next attempt for them as
/// their first; so its products are looked at before and after the kill.
fn out_of_order_pairs(
    recording: &Recording,
    told: &Told<'_>,
    lane: &LaneId,
    round: Round,
    line: &[UserId],
) -> anyhow::Result<usize> {
    let parts = if told.kill.products.contains(&lane.product.0) {
        let (before, since) = recording.clone().split(told.kill.gone_us);
        vec![before, since]
    } else {
        vec![recording.clone()]
    };
    let pairs = parts.iter().map(|part| part.order(lane, round, line).out_of_order_pairs).sum::<u64>();
    Ok(usize::try_from(pairs)?)
}
