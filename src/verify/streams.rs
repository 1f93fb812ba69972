//! The job streams: their group, their entries, what is pending, and who reads them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Kind, Mend, Report, Subject, Verifier};
use crate::{
    ids::{Channel, LaneId, Partition, ProductId},
    mysql::setting::KNOWN_CHANNELS,
    redis::{
        entry_id::EntryId,
        inspect::{GroupView, JobStream, job_streams},
    },
    stores::StoreError,
};

/// Entries read at once.
const PAGE_ENTRIES: usize = 500;

/// A consumer over all streams.
#[derive(Debug, Default)]
struct Consumer {
    idle_ms: u64,
    pending: u64,
    streams: Vec<JobStream>,
}

impl Verifier {
    fn channels(&self) -> BTreeSet<Channel> {
        let known = KNOWN_CHANNELS.iter().filter_map(|name| name.parse().ok());
        known.chain(self.stores.settings.channels.iter().cloned()).collect()
    }

    fn streams_of(&self, partition: Partition) -> impl Iterator<Item = JobStream> {
        self.channels().into_iter().flat_map(move |channel| job_streams(partition, &channel))
    }

    pub(super) async fn check_streams(&self, partition: Partition, report: &mut Report) -> Result<(), StoreError> {
        for stream in self.streams_of(partition) {
            report.checked.entries += self.stores.redis.stream_len(&stream).await?;
            report.extend(self.confirmed(|| self.look_at_stream(&stream)).await?);
        }
        Ok(())
    }

    async fn look_at_stream(&self, stream: &JobStream) -> Result<Vec<Finding>, StoreError> {
        let group = self.stores.redis.read_group(stream).await?;
        let mut findings = Vec::new();
        // The first worker creates it, and every worker that finds it gone: work that is young has nothing to fear.
        let oldest = self.stores.redis.entries_after(stream, &EntryId::ZERO.to_string(), 1).await?;
        let added_ms = oldest.first().and_then(|(id, _)| id.parse::<EntryId>().ok()).map(|id| id.ms);
        let now_ms = u64::try_from(self.stores.redis.now_ms(stream.partition).await?).unwrap_or(0);
        if group.is_none() && added_ms.is_some_and(|ms| now_ms.saturating_sub(ms) >= self.patience.lease_ms) {
            let detail = "it holds work, and the group `workers` is not there";
            let finding = Finding::new(Kind::GroupMissing, Subject::Stream(stream.clone()), detail);
            findings.push(finding.mended_by(Mend::CreateGroup(stream.clone())));
        }
        self.look_at_entries(stream, group.as_ref(), &mut findings).await?;
        if group.is_some() {
            self.look_at_pending(stream, &mut findings).await?;
        }
        Ok(findings)
    }

    /// Each entry against its lane. The group was read before the entries: what was given out then and is not pending
    /// now was acknowledged.
    async fn look_at_entries(
        &self,
        stream: &JobStream,
        group: Option<&GroupView>,
        findings: &mut Vec<Finding>,
    ) -> Result<(), StoreError> {
        let mut after = EntryId::ZERO.to_string();
        loop {
            let page = self.stores.redis.entries_after(stream, &after, PAGE_ENTRIES as u64).await?;
            let Some((last, _)) = page.last().cloned() else { return Ok(()) };
            let pending = self.pending_between(stream, &after, &last).await?;
            let lane_of = |product: ProductId| LaneId { product, channel: stream.channel.clone() };
            let lanes: Vec<LaneId> = page.iter().filter_map(|(_, product)| product.map(lane_of)).collect();
            let pointed = self.pointed_at(stream.partition, &lanes).await?;
            for (id, product) in &page {
                let wrong = |kind, detail: &str, mend: Mend| {
                    let subject = Subject::Entry(stream.clone(), id.clone());
                    Finding::new(kind, subject, detail).mended_by(mend)
                };
                let drop = Mend::DropEntry(stream.clone(), id.clone());
                let Some(product) = product else {
                    let bury = Mend::Bury(stream.clone(), id.clone());
                    findings.push(wrong(Kind::EntryUnreadable, "it names no product", bury));
                    continue;
                };
                let was_given = group.is_some_and(|group| is_upto(id, group.last_delivered));
                if !pointed.contains(&(*product, stream.name_of(id))) {
                    let detail = format!("it names product {product}, whose lane points elsewhere");
                    findings.push(wrong(Kind::EntryOrphaned, &detail, drop));
                } else if was_given && !pending.contains(id) {
                    let detail = format!("the lane of product {product} waits for it, and it was acknowledged by hand");
                    let mend = Mend::ReplaceEntry(stream.clone(), id.clone(), *product);
                    findings.push(wrong(Kind::EntryUnclaimable, &detail, mend));
                }
            }
            after = last;
        }
    }

    /// The entries that these lanes point at, by product.
    async fn pointed_at(
        &self,
        partition: Partition,
        lanes: &[LaneId],
    ) -> Result<BTreeSet<(ProductId, String)>, StoreError> {
        let mut pointed = BTreeSet::new();
        for lane in lanes {
            // A lane that cannot be read is reported by itself.
            let views = self.stores.redis.read_lanes(partition, std::slice::from_ref(lane)).await;
            let entry = views.ok().and_then(|mut views| views.pop().flatten()).and_then(|view| view.entry);
            pointed.extend(entry.map(|entry| (lane.product, entry)));
        }
        Ok(pointed)
    }

    /// What is pending after `after`, up to `upto`.
    async fn pending_between(
        &self,
        stream: &JobStream,
        after: &str,
        upto: &str,
    ) -> Result<BTreeSet<String>, StoreError> {
        let upto: EntryId = upto.parse().unwrap_or(EntryId::ZERO);
        let (mut after, mut ids) = (after.to_owned(), BTreeSet::new());
        loop {
            let page = self.stores.redis.read_pending(stream, Some(&after), PAGE_ENTRIES as u64).await?;
            let Some(last) = page.last() else { return Ok(ids) };
            after = last.id.clone();
            let is_beyond = !is_upto(&after, upto);
            ids.extend(page.into_iter().map(|pending| pending.id).filter(|id| is_upto(id, upto)));
            if is_beyond {
                return Ok(ids);
            }
        }
    }

    async fn look_at_pending(&self, stream: &JobStream, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.stores.redis.read_pending(stream, after.as_deref(), PAGE_ENTRIES as u64).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id.clone());
            let ids: Vec<String> = page.iter().map(|pending| pending.id.clone()).collect();
            let held = self.stores.redis.hold_entries(stream, &ids).await?;
            for (pending, _) in page.iter().zip(held).filter(|(_, held)| !held) {
                let detail = format!("it is pending for {}, and the stream does not hold it", pending.consumer);
                let subject = Subject::Entry(stream.clone(), pending.id.clone());
                let finding = Finding::new(Kind::PendingOrphaned, subject, detail);
                findings.push(finding.mended_by(Mend::DropEntry(stream.clone(), pending.id.clone())));
            }
        }
    }

    /// Consumers that gave no sign of life on any stream. A live worker gives one every few seconds.
    pub(super) async fn check_consumers(&self, report: &mut Report) -> Result<(), StoreError> {
        report.extend(self.confirmed(|| self.look_at_consumers()).await?);
        Ok(())
    }

    async fn look_at_consumers(&self) -> Result<Vec<Finding>, StoreError> {
        let mut consumers: BTreeMap<String, Consumer> = BTreeMap::new();
        for partition in self.stores.partitions() {
            for stream in self.streams_of(partition) {
                for view in self.stores.redis.read_consumers(&stream).await? {
                    let consumer = consumers
                        .entry(view.name)
                        .or_insert_with(|| Consumer { idle_ms: u64::MAX, ..Consumer::default() });
                    consumer.idle_ms = consumer.idle_ms.min(view.idle_ms);
                    consumer.pending += view.pending;
                    consumer.streams.push(stream.clone());
                }
            }
        }
        let silent = consumers.into_iter().filter(|(_, consumer)| consumer.idle_ms >= self.patience.consumer_ms);
        Ok(silent.map(|(name, consumer)| self.dead(name, consumer)).collect())
    }

    fn dead(&self, name: String, Consumer { idle_ms, pending, streams }: Consumer) -> Finding {
        let detail = format!("no sign of life for {} s; {pending} entries are pending for it", idle_ms / 1000);
        let finding = Finding::new(Kind::ConsumerDead, Subject::Consumer(name.clone()), detail);
        if pending > 0 {
            return finding;
        }
        finding.mended_by(Mend::DropConsumer { name, streams, idle_ms: self.patience.consumer_ms })
    }
}

fn is_upto(id: &str, upto: EntryId) -> bool {
    id.parse::<EntryId>().is_ok_and(|id| id <= upto)
}
