//! What follows when a batch was applied: refused rows are logged again, keys may expire, and the log is deleted so far.

use std::time::Duration;

use sqlx::MySqlConnection;

use super::{
    apply::Applied,
    batch::Batch,
    dead::Dead,
    flush::{Flush, Flushed},
    position::Position,
    totals::Begun,
};
use crate::{
    ids::ProductId,
    mysql::answered,
    redis::{
        RedisError,
        scripts::{ReadFrom, Relogged},
    },
    stores::{StoreError, all_channels, lane_stamps},
};

/// How long an idempotency key is remembered after MySQL has what it led to.
const SEEN_TTL_S: i64 = 24 * 60 * 60;

impl Flush {
    /// Goes on from what became of a batch; how the step ends if it cannot go on.
    pub(super) async fn applied(
        &mut self,
        db: &mut MySqlConnection,
        batch: &Batch,
        to: Position,
        applied: Applied,
        took: Duration,
    ) -> Result<Option<Flushed>, StoreError> {
        let (dead, mended) = match applied {
            Applied::Committed { dead, mended } => (dead, mended),
            Applied::Deposed => return Ok(Some(Flushed::Deposed)),
            Applied::Unknown(error) => return Err(error.into()),
            Applied::Gone => {
                let (partition, entries) = (self.partition, batch.ids.len());
                tracing::warn!(%partition, entries, "Redis lost what was read of the log before MySQL had it");
                self.doubt();
                return Ok(Some(Flushed::Applied { entries: 0, more: true }));
            }
        };
        self.meters.applied(batch.ids.len(), batch.rows(), took);
        self.meters.refused.increment(dead.len() as u64);
        self.position = to;
        self.after = batch.last().unwrap_or(self.after);
        self.totals.expect(batch.rounds.iter().filter_map(|said| Begun::of(&said.what)));
        self.refusals.forget(&mended);
        self.log_again(db, &dead).await?;
        self.clean_up(batch, &dead).await?;
        Ok(None)
    }

    /// Lets keys expire, then deletes the entries: the other way round a key might stay for ever.
    ///
    /// The key of an answer that MySQL refused stays: its row is still pending, and is pushed again.
    async fn clean_up(&mut self, batch: &Batch, dead: &[Dead]) -> Result<(), RedisError> {
        let redis = self.stores.redis.clone();
        let is_dead = |entry| dead.iter().any(|dead| dead.entry == entry);
        let answers = batch.answers.iter().filter(|said| !is_dead(said.entry));
        let seen: Vec<(ProductId, String)> = answers.map(|said| (said.what.product, said.what.key.clone())).collect();
        redis.expire_seen(self.partition, &seen, SEEN_TTL_S).await?;
        let newest = batch.answers.iter().filter_map(|said| said.what.request).max();
        if newest > self.newest_request {
            let known = redis.newest_request(self.partition).await?;
            if newest > known {
                redis.set_newest_request(self.partition, newest.unwrap_or(0)).await?;
            }
            self.newest_request = known.max(newest);
        }
        let read = ReadFrom { incarnation: &self.position.incarnation, run_id: &self.run_id };
        redis.delete_log(self.partition, read, &batch.ids).await
    }

    /// Logs the state of products with refused rows again, once for each content: what is refused again is left.
    async fn log_again(&mut self, db: &mut MySqlConnection, dead: &[Dead]) -> Result<(), StoreError> {
        for Dead { name, kind, sqlstate, entry, .. } in dead {
            tracing::warn!(row = name, kind, sqlstate, %entry, "MySQL refused a row; set aside in log_dead");
        }
        for product in self.refusals.news(dead) {
            let recorded = answered(lane_stamps(&mut *db, &[product])).await?.into_keys().map(|(_, channel)| channel);
            let channels: Vec<_> = all_channels(&self.stores.settings.channels, recorded).into_iter().collect();
            if self.stores.redis.relog(self.partition, product, &channels).await? == Relogged::Absent {
                tracing::debug!(%product, "nothing to log again: Redis does not hold it");
            }
        }
        // Not before: if Redis fails in between, the batch is applied once more and finds the same rows refused.
        self.refusals.remember(dead);
        Ok(())
    }
}
