//! What Redis holds of a product against what MySQL has, and each lane against what it needs to go on.
//!
//! MySQL is read first: state only gets newer, so a Redis that is older than what MySQL was a moment ago is behind. A
//! Redis that is newer is not flushed yet, or its change was lost: which of the two is known once the log is flushed.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
};

use futures_util::TryStreamExt;

use super::{
    Finding, Kind, Mend, PAGE_PRODUCTS, Report, Subject, Verifier,
    compare::{compare_lane, compare_product},
    record::Record,
};
use crate::{
    ids::{Channel, LaneId, Partition, ProductId},
    redis::{RedisError, inspect::ProductView, lane::LaneView},
    round::Stamp,
    stores::{StoreError, all_channels},
};

/// A product with its lanes, as Redis holds them.
pub(super) struct Live {
    pub(super) product: Option<ProductView>,
    /// Why the product cannot be read, though it is there.
    pub(super) product_error: Option<RedisError>,
    pub(super) lanes: Vec<(LaneId, Option<LaneView>)>,
    /// Lanes whose entry is on its stream.
    with_entry: BTreeSet<LaneId>,
    unreadable: Vec<(LaneId, RedisError)>,
    now_ms: i64,
}

impl Live {
    /// How long ago the lease of a lane ran out, ms; negative while it runs.
    fn lapsed_ms(&self, view: &LaneView) -> i64 {
        self.now_ms - i64::try_from(view.lease_until_ms).unwrap_or(i64::MAX)
    }
}

/// How new Redis was when it was looked at first; no channel for the product itself.
pub(super) type Seen = BTreeMap<Option<Channel>, Stamp>;

/// One look at a product.
struct Look {
    findings: Vec<Finding>,
    seen: Seen,
}

impl Verifier {
    /// Every product that Redis holds, and every one with an open round.
    pub(super) async fn check_lanes_of(&self, partition: Partition, report: &mut Report) -> Result<(), StoreError> {
        let mut done: BTreeSet<ProductId> = BTreeSet::new();
        let mut pages = pin!(self.stores.redis.scan_products(partition, PAGE_PRODUCTS));
        while let Some(products) = pages.try_next().await? {
            for product in products {
                if done.insert(product) {
                    self.check_live(product, report).await?;
                }
            }
        }
        let mut after = 0_i64;
        loop {
            let products: Vec<i64> = sqlx::query_scalar(
                "SELECT DISTINCT product_id FROM product_notification_history
                 WHERE status IN ('QUEUED', 'IN_PROGRESS') AND ended_at IS NULL AND product_id > ? AND MOD(product_id, ?) = ?
                 ORDER BY product_id LIMIT ?",
            )
            .bind(after)
            .bind(self.stores.settings.partitions)
            .bind(partition.0)
            .bind(PAGE_PRODUCTS)
            .fetch_all(&self.stores.mysql)
            .await?;
            let Some(last) = products.last() else { return Ok(()) };
            after = *last;
            for product in products.into_iter().map(ProductId) {
                if done.insert(product) {
                    self.check_live(product, report).await?;
                }
            }
        }
    }

    /// One product in both stores.
    pub(super) async fn check_live(&self, product: ProductId, report: &mut Report) -> Result<(), StoreError> {
        let first = self.look(product, None).await?;
        report.checked.products += 1;
        report.checked.lanes += (first.seen.len() as u64).saturating_sub(1);
        if first.findings.is_empty() {
            return Ok(());
        }
        let flushed = self.flushed(self.stores.partition_of(product)).await?;
        tokio::time::sleep(super::LOOK_AGAIN).await;
        let again = self.look(product, Some(&first.seen)).await?;
        let needs_flush = |finding: &Finding| {
            matches!(finding.kind, Kind::ProductUnrecorded | Kind::LaneUnrecorded | Kind::RoundForgotten)
        };
        if !flushed && again.findings.iter().any(needs_flush) {
            report.unjudged += 1;
            self.check_log(self.stores.partition_of(product), report).await?;
        }
        for finding in again.findings {
            let is_known = first.findings.iter().any(|before| before.is_same(&finding));
            if is_known && (flushed || !needs_flush(&finding)) {
                report.add(self.decide(finding).await?);
            }
        }
        Ok(())
    }

    async fn look(&self, product: ProductId, before: Option<&Seen>) -> Result<Look, StoreError> {
        let record = Record::read(&self.stores.mysql, product).await?;
        let live = self.read_live(product, &record).await?;
        let enabled = &self.stores.settings.channels;
        let mut seen = Seen::new();
        let mut findings: Vec<Finding> = live.unreadable.iter().map(unreadable).collect();
        if let Some(view) = &live.product {
            seen.insert(None, view.stamp);
        }
        findings.extend(
            live.product_error
                .as_ref()
                .map(|error| Finding::new(Kind::ProductUnreadable, Subject::Product(product), error.to_string())),
        );
        findings.extend(compare_product(product, &record, &live, before));
        for (lane, view) in &live.lanes {
            let Some(view) = view else {
                if let Some(open) = record.open_rounds(&lane.channel).next() {
                    let detail =
                        format!("round {} is {} in MySQL, and Redis does not hold the lane", open.round, open.status);
                    let finding = Finding::new(Kind::LaneAbsent, Subject::Lane(lane.clone()), detail);
                    findings.push(finding.mended_by(Mend::Check(product)));
                }
                continue;
            };
            // What a hold began is logged by its first call, perhaps after the log was looked at; where that never comes,
            // by whoever takes the lane over.
            let may_be_unlogged = view.is_fresh_hold && !self.is_stuck(view, &live);
            let version = view.stamp.version.saturating_sub(u64::from(may_be_unlogged));
            let logged = Stamp { version, ..view.stamp };
            seen.insert(Some(lane.channel.clone()), logged);
            let before = before.and_then(|seen| seen.get(&Some(lane.channel.clone()))).copied();
            findings.extend(compare_lane(lane, view, &record, before, logged));
            findings.extend(self.needs(lane, view, &live, enabled.contains(&lane.channel)));
        }
        Ok(Look { findings, seen })
    }

    async fn read_live(&self, product: ProductId, record: &Record) -> Result<Live, StoreError> {
        let (redis, partition) = (&self.stores.redis, self.stores.partition_of(product));
        let channels = all_channels(&self.stores.settings.channels, record.stamps.keys().cloned());
        let ids: Vec<LaneId> = channels.into_iter().map(|channel| LaneId { product, channel }).collect();
        let now_ms = redis.now_ms(partition).await?;
        let (mut lanes, mut unreadable) = (Vec::new(), Vec::new());
        let views = redis.read_each_lane(partition, &ids).await?;
        for (lane, view) in ids.into_iter().zip(views) {
            match view {
                Ok(view) => lanes.push((lane, view)),
                Err(error) => unreadable.push((lane, error)),
            }
        }
        let named: Vec<(LaneId, String)> =
            lanes.iter().filter_map(|(lane, view)| Some((lane.clone(), view.as_ref()?.entry.clone()?))).collect();
        let alive = redis.have_entries(partition, &named).await?;
        let with_entry = named.into_iter().zip(alive).filter(|(_, alive)| *alive).map(|((lane, _), _)| lane).collect();
        let (product, product_error) = match redis.read_product(partition, product).await {
            Err(error @ RedisError::Unreadable { .. }) => (None, Some(error)),
            product => (product?, None),
        };
        Ok(Live { product, product_error, lanes, with_entry, unreadable, now_ms })
    }

    /// Whether its holder fell silent, and somebody should have taken it over by now.
    fn is_stuck(&self, view: &LaneView, live: &Live) -> bool {
        view.token.is_some() && u64::try_from(live.lapsed_ms(view)).is_ok_and(|ms| ms > self.patience.lease_ms)
    }

    /// What a lane needs to go on.
    fn needs(&self, lane: &LaneId, view: &LaneView, live: &Live, is_enabled: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut wrong = |kind, detail: String, mend| {
            findings.push(Finding { kind, subject: Subject::Lane(lane.clone()), detail, mend });
        };
        let (product, open) = (lane.product, view.status.is_open());
        let is_paused = live.product.is_some_and(|product| product.is_paused);
        if live.product.is_some() && is_enabled && view.is_paused != is_paused {
            let stands = |paused| if paused { "stands still" } else { "goes on" };
            let detail = format!("the lane {}, its product {}", stands(view.is_paused), stands(is_paused));
            wrong(Kind::LanePauseDiffers, detail, Some(Mend::Check(product)));
        }
        if open && !is_enabled {
            let detail = format!("round {} is {}, and the channel is not enabled", view.round, view.status);
            wrong(Kind::LaneDisabled, detail, Some(Mend::Cancel(lane.clone())));
        }
        if open && !view.is_paused && !live.with_entry.contains(lane) {
            let entry = view.entry.as_deref().map_or("it names none".to_owned(), |entry| format!("{entry} is gone"));
            let detail = format!("round {} is {}, and no entry stands for it: {entry}", view.round, view.status);
            wrong(Kind::LaneWithoutEntry, detail, Some(Mend::Check(product)));
        }
        if open && self.is_stuck(view, live) {
            let owner = view.owner.as_deref().unwrap_or("nobody");
            let seconds = live.lapsed_ms(view) / 1000;
            let detail = format!("the lease of {owner} ran out {seconds} s ago and nobody took the lane over");
            wrong(Kind::LaneStuck, detail, None);
        }
        findings
    }

    /// Of two different contents of one version, which one the people's outcomes agree with.
    async fn decide(&self, finding: Finding) -> Result<Finding, StoreError> {
        let (Kind::LaneDiffers, Subject::Lane(lane)) = (finding.kind, &finding.subject) else { return Ok(finding) };
        let partition = self.stores.partition_of(lane.product);
        let Some(Some(view)) = self.stores.redis.read_lanes(partition, std::slice::from_ref(lane)).await?.pop() else {
            return Ok(finding);
        };
        let record = Record::read(&self.stores.mysql, lane.product).await?;
        let row = record.rounds.iter().find(|row| row.lane == *lane && row.round == view.round);
        let in_redis = self.agrees(&view.state(lane)).await?;
        let in_mysql = match row {
            Some(row) => self.agrees(row).await?,
            None => false,
        };
        let mend = match (in_redis, in_mysql) {
            (true, _) => Some(Mend::Relog(lane.product)),
            (false, true) if view.token.is_none() => {
                Some(Mend::Reinstall { lane: lane.clone(), round: view.round, stamp: view.stamp })
            }
            _ => None,
        };
        Ok(Finding { mend, ..finding })
    }
}

fn unreadable((lane, error): &(LaneId, RedisError)) -> Finding {
    Finding::new(Kind::LaneUnreadable, Subject::Lane(lane.clone()), error.to_string())
}
