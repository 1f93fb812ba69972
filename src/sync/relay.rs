//! The outbox: pushes rows without a round into Redis, in the order of their ids.
//!
//! The flusher writes the round that a row got; until then the row stays pending, and after a while is pushed again.
//! That does no harm: its key counts once. A row has the trace of whoever put it there, which goes on from here.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::answers::refuse_request;
use crate::{
    ids::{IdempotencyKey, Partition, ProductId},
    mysql::{
        answered,
        request::{self, Request, RequestState},
        setting::Settings,
    },
    redis::scripts::{Enqueue, Enqueued, channel_list},
    stores::{Checked, StoreError, Stores},
    trace::{self, TARGET, Traceparent},
};

/// Rows read at once.
const PAGE_ROWS: u32 = 500;
/// Rows looked at in one step, so that other work is not held up.
const ROWS_MAX: usize = 10_000;
/// How long what was read of a page is believed. A row that was answered since, by a Redis that was emptied after that,
/// would be given a second round.
const PAGE_AGE_MAX: Duration = Duration::from_millis(50);
/// How long a row that was pushed is left alone: at first, and at most. It is longer each time, so that a MySQL that
/// takes no answers does not fill the log with them.
const PUSHED_MIN: Duration = Duration::from_secs(5);
const PUSHED_MAX: Duration = Duration::from_secs(300);
/// How often a row is tried in one step when the product had to be checked or the channels differed.
const TRIES_MAX: usize = 3;
const REASON_CHARS_MAX: usize = 255;

/// What a step of the relay did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relayed {
    /// So many rows were pushed or refused.
    Done(usize),
    /// MySQL is behind with the log: later.
    Full,
}

enum Pushed {
    /// Redis has it; the flusher writes the answer.
    Taken,
    /// It can never have a round, for this reason.
    Refused(String),
    /// Somebody else pushed it, and it was answered meanwhile.
    Answered,
    /// Nothing was written.
    Full,
    /// It could not be settled now.
    Later,
}

/// The relay of one partition.
#[derive(Debug)]
pub(super) struct Relay {
    stores: Stores,
    partition: Partition,
    backlog_max: u64,
    pushed: HashMap<i64, Push>,
}

/// The last time a row was pushed, and how long it is left alone then.
#[derive(Debug, Clone, Copy)]
struct Push {
    at: Instant,
    pause: Duration,
}

impl Relay {
    pub(super) fn new(stores: Stores, partition: Partition, backlog_max: u64) -> Self {
        Self { stores, partition, backlog_max, pushed: HashMap::new() }
    }

    /// Pushes what is pending and was not pushed just now.
    pub(super) async fn step(&mut self) -> Result<Relayed, StoreError> {
        // Beyond its pause a row is remembered for as long again, to be left alone for longer if it is still there.
        self.pushed.retain(|_, push| push.at.elapsed() < push.pause * 2);
        let mut after = answered(request::held_upto(&self.stores.mysql, self.partition)).await?;
        let (mut done, mut looked_at, partitions) = (0, 0, self.stores.settings.partitions);
        // Of one product no request overtakes another.
        let mut held: HashSet<ProductId> = HashSet::new();
        while looked_at < ROWS_MAX {
            let pending = request::pending(&self.stores.mysql, self.partition, partitions, after, PAGE_ROWS);
            let rows = answered(pending).await?;
            let (read_at, page_rows) = (Instant::now(), rows.len());
            let mut page_done = 0;
            for row in rows {
                if page_done > 0 && read_at.elapsed() > PAGE_AGE_MAX {
                    break;
                }
                after = row.id;
                page_done += 1;
                let is_left_alone = self.pushed.get(&row.id).is_some_and(|push| push.at.elapsed() < push.pause);
                if is_left_alone || held.contains(&row.product) {
                    continue;
                }
                match followed(&row, Box::pin(self.push_or_put_off(&row))).await? {
                    Pushed::Taken => self.leave_alone(row.id),
                    Pushed::Refused(reason) => self.refuse(&row, &reason).await?,
                    Pushed::Answered => continue,
                    Pushed::Full => return Ok(Relayed::Full),
                    Pushed::Later => {
                        held.insert(row.product);
                        continue;
                    }
                }
                done += 1;
            }
            looked_at += page_done;
            if page_done == page_rows && page_rows < PAGE_ROWS as usize {
                break;
            }
        }
        Ok(Relayed::Done(done))
    }

    fn leave_alone(&mut self, id: i64) {
        let before = self.pushed.get(&id).map_or(Duration::ZERO, |push| push.pause);
        let pause = (before * 2).clamp(PUSHED_MIN, PUSHED_MAX);
        self.pushed.insert(id, Push { at: Instant::now(), pause });
    }

    /// An error that is about this row alone puts it off, and holds back no other product's.
    async fn push_or_put_off(&mut self, row: &Request) -> Result<Pushed, StoreError> {
        match self.push(row).await {
            Err(error) if error.is_contended() => {
                tracing::debug!(request = row.id, %error, "somebody else holds its product; later");
                Ok(Pushed::Later)
            }
            Err(error) if !error.is_passing() => {
                tracing::warn!(request = row.id, %error, "a request of the outbox cannot be pushed; later");
                self.leave_alone(row.id);
                Ok(Pushed::Later)
            }
            pushed => pushed,
        }
    }

    async fn push(&mut self, row: &Request) -> Result<Pushed, StoreError> {
        let (quantity, key) = match examine(row) {
            Ok(sound) => sound,
            Err(reason) => return Ok(Pushed::Refused(reason)),
        };
        for _ in 0..TRIES_MAX {
            let enqueue = Enqueue {
                partition: self.partition,
                product: row.product,
                quantity,
                key: Some(&key),
                request: Some(row.id),
                backlog_max: self.backlog_max,
                channels: &self.stores.settings.channels,
            };
            match self.stores.redis.enqueue(&enqueue).await? {
                Enqueued::Queued(_) | Enqueued::Known(_) | Enqueued::NoStock(_) | Enqueued::Above(_) => {
                    return Ok(Pushed::Taken);
                }
                Enqueued::Conflict(other) => {
                    return Ok(Pushed::Refused(format!("the key was used with the quantity {other}")));
                }
                Enqueued::Full => return Ok(Pushed::Full),
                Enqueued::Channels(_) => self.agree_on_channels().await?,
                Enqueued::Unchecked => {
                    if self.stores.check(row.product).await? == Checked::NoSuchProduct {
                        return Ok(Pushed::Refused(format!("there is no product {}", row.product)));
                    }
                    // An emptied Redis has forgotten the key: only MySQL knows whether the row was answered.
                    let now = answered(request::find(&self.stores.mysql, row.id)).await?;
                    if now.is_none_or(|now| now.state != RequestState::Pending) {
                        return Ok(Pushed::Answered);
                    }
                }
            }
        }
        Ok(Pushed::Later)
    }

    /// MySQL's settings stand, here and in Redis.
    async fn agree_on_channels(&mut self) -> Result<(), StoreError> {
        reload(&mut self.stores).await?;
        let channels = channel_list(&self.stores.settings.channels);
        Ok(self.stores.redis.mirror_channels(self.partition, &channels).await?)
    }

    async fn refuse(&self, row: &Request, reason: &str) -> Result<(), StoreError> {
        tracing::warn!(request = row.id, product = %row.product, reason, "refused a request of the outbox");
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        let mut db = self.stores.mysql.acquire().await?;
        Ok(answered(refuse_request(&mut db, row.id, row.product, &reason)).await?)
    }
}

/// Goes on with the trace of whoever put the row there; of a row that nobody follows none is begun.
async fn followed<T>(row: &Request, work: impl Future<Output = T>) -> T {
    match row.traceparent.clone().filter(Traceparent::is_sampled) {
        None => work.await,
        Some(parent) => {
            let span =
                || tracing::info_span!(target: TARGET, "relay", otel.kind = "producer", restock.product = %row.product);
            trace::follow(span, Some(parent), work).await
        }
    }
}

/// The quantity and the key of a row, or why it can never have a round.
fn examine(row: &Request) -> Result<(u32, String), String> {
    if row.product.0 <= 0 {
        return Err(format!("there is no product {}", row.product));
    }
    let quantity = u32::try_from(row.quantity).map_err(|_| "the quantity is below zero".to_owned())?;
    if let Some(key) = &row.key {
        key.parse::<IdempotencyKey>().map_err(|error| error.to_string())?;
    }
    Ok((quantity, row.key_or_number()))
}

/// Reads the settings again; where they cannot be used, those at hand stay.
pub(super) async fn reload(stores: &mut Stores) -> Result<(), StoreError> {
    use crate::mysql::setting::SettingError;
    match answered(Settings::load(&stores.mysql)).await {
        Ok(settings) => {
            if settings.channels != stores.settings.channels {
                tracing::info!(channels = channel_list(&settings.channels), "the enabled channels changed");
            }
            stores.settings.channels = settings.channels;
            stores.settings.rate = settings.rate;
            Ok(())
        }
        Err(SettingError::Sql(error)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "a setting cannot be used; going on with the last ones");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_rows_are_told_from_possible_ones() {
        let row = |product, quantity, key: Option<&str>| Request {
            id: 9,
            product: ProductId(product),
            quantity,
            key: key.map(str::to_owned),
            state: RequestState::Pending,
            round: None,
            reason: None,
            traceparent: None,
        };
        assert_eq!(examine(&row(7, 0, None)), Ok((0, "#9".to_owned())));
        assert_eq!(examine(&row(7, 3, Some("k"))), Ok((3, "k".to_owned())));
        for bad in [row(0, 1, None), row(-7, 1, None), row(7, -1, None), row(7, 1, Some("#1")), row(7, 1, Some(""))] {
            assert!(examine(&bad).is_err(), "{bad:?}");
        }
    }
}
