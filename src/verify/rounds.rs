//! The rounds of MySQL: none missing, each in its bounds, each where the one before it stopped.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Kind, Mend, PAGE_PRODUCTS, Report, Subject, Verifier, people::Scan};
use crate::{
    clock::wall_us,
    ids::{Channel, LaneId, Place, ProductId, Round, rfc3339},
    mysql::history::{self, CANCELED_WHILE_WAITING, RoundRow},
    round::{RoundState, Status},
    stores::StoreError,
};

/// Rounds read at once.
const PAGE_ROUNDS: u32 = 500;

/// How far the walk through the rounds of one product has come.
#[derive(Default)]
struct Walk {
    /// Per channel the last round that people belong to.
    before: BTreeMap<Channel, RoundState>,
    /// The number seen last, with the channels that had it.
    number: u32,
    channels: BTreeSet<Channel>,
    /// The channels of the number before that.
    channels_before: BTreeSet<Channel>,
    number_before: u32,
}

/// Whether people can have an outcome in it: not when it was overtaken or canceled before its turn.
fn is_of_people(round: &RoundState) -> bool {
    round.status != Status::Superseded && round.reason.as_deref() != Some(CANCELED_WHILE_WAITING)
}

impl Verifier {
    /// Every product with a round, in order.
    pub(super) async fn check_history(&self, report: &mut Report) -> Result<(), StoreError> {
        let rounds: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM product_notification_history")
            .fetch_one(&self.stores.mysql)
            .await?;
        self.bar.set_length(rounds.unsigned_abs());
        let mut after = 0_i64;
        loop {
            let products: Vec<i64> = sqlx::query_scalar("SELECT id FROM product WHERE id > ? ORDER BY id LIMIT ?")
                .bind(after)
                .bind(PAGE_PRODUCTS)
                .fetch_all(&self.stores.mysql)
                .await?;
            let Some(last) = products.last() else { return Ok(()) };
            after = *last;
            for product in products {
                self.check_rounds(ProductId(product), report).await?;
            }
        }
    }

    /// All rounds of one product.
    pub(super) async fn check_rounds(&self, product: ProductId, report: &mut Report) -> Result<(), StoreError> {
        let mut walk = Walk::default();
        let mut suspects = Vec::new();
        loop {
            let page = self.rounds_after(product, walk.number).await?;
            if page.is_empty() {
                break;
            }
            for row in page {
                suspects.extend(walk.step(&row.state));
                self.check_round(&row, walk.before.get(&row.state.lane.channel), report).await?;
                if is_of_people(&row.state) {
                    walk.before.insert(row.state.lane.channel.clone(), row.state);
                }
                report.checked.rounds += 1;
                self.bar.inc(1);
            }
        }
        report.extend(self.confirm_rounds(product, suspects).await?);
        report.extend(self.confirmed(|| self.look_for_newest(product)).await?);
        report.extend(self.confirmed(|| self.look_for_orphans(product)).await?);
        Ok(())
    }

    /// A page of rounds, cut so that all channels of a round are on it.
    async fn rounds_after(&self, product: ProductId, number: u32) -> sqlx::Result<Vec<RoundRow>> {
        let upto: Option<u32> = sqlx::query_scalar(
            "SELECT MAX(restock_round) FROM (SELECT restock_round FROM product_notification_history
             WHERE product_id = ? AND restock_round > ? ORDER BY restock_round LIMIT ?) page",
        )
        .bind(product.0)
        .bind(number)
        .bind(PAGE_ROUNDS)
        .fetch_one(&self.stores.mysql)
        .await?;
        let Some(upto) = upto else { return Ok(Vec::new()) };
        sqlx::query_as(
            "SELECT h.*, p.sku, p.is_paused FROM product_notification_history h LEFT JOIN product p ON p.id = h.product_id
             WHERE h.product_id = ? AND h.restock_round > ? AND h.restock_round <= ?
             ORDER BY h.restock_round, h.channel",
        )
        .bind(product.0)
        .bind(number)
        .bind(upto)
        .fetch_all(&self.stores.mysql)
        .await
    }

    /// The people of a round; again with the row as it is then, when something is wrong.
    async fn check_round(
        &self,
        row: &RoundRow,
        before: Option<&RoundState>,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let scan = self.scan(row, before, wall_us()).await?;
        report.checked.people += scan.people;
        if scan.findings.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(super::LOOK_AGAIN).await;
        let (lane, round) = (&row.state.lane, row.state.round);
        let before = match before {
            Some(before) => history::round_of(&self.stores.mysql, lane, before.round).await?.map(|row| row.state),
            None => None,
        };
        let Some(row) = history::round_of(&self.stores.mysql, lane, round).await? else { return Ok(()) };
        let again = self.scan(&row, before.as_ref(), wall_us()).await?;
        let was_there = |finding: &Finding| scan.findings.iter().any(|before| before.is_same(finding));
        report.extend(again.findings.into_iter().filter(was_there));
        Ok(())
    }

    async fn scan(&self, row: &RoundRow, before: Option<&RoundState>, now_us: i64) -> Result<Scan, StoreError> {
        let state = &row.state;
        let mut scan = Scan::default();
        if !is_of_people(state) {
            return Ok(scan);
        }
        scan.findings.extend(bounds(state));
        scan.findings.extend(before.and_then(|before| chain(before, state)));
        let ended_ms = state.ended_us.map(|ended_us| (now_us - ended_us) / 1000);
        if row.total.is_none()
            && state.started_us.is_some()
            && ended_ms.is_some_and(|ms| ms >= i64::try_from(self.patience.total_ms).unwrap_or(i64::MAX))
        {
            let finding =
                Finding::new(Kind::TotalMissing, subject(state), "it has ended, and its people were not counted");
            scan.findings.push(finding.mended_by(Mend::Count(state.lane.clone(), state.round)));
        }
        if state.started_us.is_some() {
            self.scan_people(state, before, &mut scan).await?;
        }
        Ok(scan)
    }

    /// Rounds that were missing while their neighbours were there: are they still?
    async fn confirm_rounds(&self, product: ProductId, suspects: Vec<Round>) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        for round in suspects {
            if history::channels_of(&self.stores.mysql, product, round).await?.is_empty() {
                let detail = "it was given out, and MySQL has no row of it";
                findings.push(Finding::new(Kind::RoundMissing, Subject::RoundOf(product, round), detail));
            }
        }
        Ok(findings)
    }

    /// The newest round of a product, and those that its requests were given, have rows.
    async fn look_for_newest(&self, product: ProductId) -> Result<Vec<Finding>, StoreError> {
        let newest: Option<u32> = sqlx::query_scalar(
            "SELECT p.restock_round FROM product p WHERE p.id = ? AND p.restock_round > 0 AND NOT EXISTS
             (SELECT 1 FROM product_notification_history h WHERE h.product_id = p.id AND h.restock_round >= p.restock_round)",
        )
        .bind(product.0)
        .fetch_optional(&self.stores.mysql)
        .await?;
        let Some(newest) = newest else { return Ok(Vec::new()) };
        let detail = "it is the newest of its product, and MySQL has no row of it";
        let finding = Finding::new(Kind::RoundMissing, Subject::RoundOf(product, Round(newest)), detail);
        Ok(vec![finding.mended_by(Mend::Relog(product))])
    }

    /// Outcomes whose round has no row: the table is skipped through, one look per round and channel.
    async fn look_for_orphans(&self, product: ProductId) -> Result<Vec<Finding>, StoreError> {
        let (mut findings, mut at) = (Vec::new(), None);
        while let Some((round, channel)) = history::next_with_outcomes(&self.stores.mysql, product, at).await? {
            at = Some((round, channel.clone()));
            let lane = LaneId { product, channel };
            if history::round_of(&self.stores.mysql, &lane, round).await?.is_none() {
                let detail = "people have outcomes in it, and MySQL has no row of the round";
                findings.push(Finding::new(Kind::OutcomeWithoutRound, Subject::Round(lane, round), detail));
            }
        }
        Ok(findings)
    }
}

impl Walk {
    /// Goes on to the next row, and names the rounds between that should have been there: those between two rounds of
    /// one channel that no other channel had. A channel that was not enabled meanwhile has none.
    fn step(&mut self, row: &RoundState) -> Vec<Round> {
        let (number, channel) = (row.round.0, row.lane.channel.clone());
        if number != self.number {
            self.channels_before = std::mem::take(&mut self.channels);
            self.number_before = std::mem::replace(&mut self.number, number);
        }
        let was_there = self.channels_before.contains(&channel) && self.channels.is_disjoint(&self.channels_before);
        self.channels.insert(channel);
        if was_there { (self.number_before + 1..number).map(Round).collect() } else { Vec::new() }
    }
}

pub(super) fn subject(state: &RoundState) -> Subject {
    Subject::Round(state.lane.clone(), state.round)
}

pub(super) fn at(place: Option<Place>) -> String {
    place.map_or_else(|| "the start of the line".to_owned(), |place| rfc3339(place.datetime()))
}

fn bounds(state: &RoundState) -> Option<Finding> {
    let RoundState { from, cursor, upto, .. } = *state;
    let is_sound = cursor >= from && (state.started_us.is_none() || cursor <= upto || cursor == from);
    let detail = format!("it starts after {}, stands at {} and ends at {}", at(from), at(cursor), at(upto));
    (!is_sound).then(|| Finding::new(Kind::RoundBounds, subject(state), detail))
}

/// A round that was not cut off is followed by one from the start; else the next goes on, or starts at the first when
/// nobody stood behind.
fn chain(before: &RoundState, state: &RoundState) -> Option<Finding> {
    let from = state.from?;
    let detail = if before.status == Status::Completed {
        format!("it starts after {}, although round {} was completed", at(Some(from)), before.round)
    } else if before.status.is_canceled() && before.cursor != Some(from) {
        format!("it starts after {}, and round {} stopped at {}", at(Some(from)), before.round, at(before.cursor))
    } else {
        return None;
    };
    Some(Finding::new(Kind::ChainBroken, subject(state), detail))
}
