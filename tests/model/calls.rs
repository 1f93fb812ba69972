//! What an action is on the real side.

use restock::{
    redis::scripts::{Before, Begun, Enqueue, Enqueued, Evict, Evicted, StockChange},
    round::Stamp,
    stores::Checked,
    sync::BACKLOG_MAX,
};
use restock_model::{
    Action, State,
    worker::{Hold, Worker},
};

use super::{
    hold::{Due, Sent},
    install::{Installed, hydrate_of},
    picture::Names,
    reply::Reply,
    stage::{P0, Stage, webhook},
};

/// The real side of a sequence.
pub(crate) struct Real<'a> {
    pub(crate) stage: &'a mut Stage,
    pub(crate) holds: [Option<Box<Begun>>; 2],
    pub(crate) due: [Option<Due>; 2],
    /// What was made since Redis went back; before that it may have forgotten that it was.
    pub(crate) sent: Vec<Sent>,
    /// The numbers of the rows in the outbox.
    requests: [u64; 4],
}

impl<'a> Real<'a> {
    pub(crate) fn new(stage: &'a mut Stage) -> Self {
        Self { stage, holds: [None, None], due: [None, None], sent: Vec::new(), requests: [0; 4] }
    }

    /// Checks the product against MySQL.
    pub(crate) async fn check(&mut self) {
        let checked = self.stage.stores.check(self.stage.product).await.expect("the stores answer");
        assert!(matches!(checked, Checked::Done(_)), "{checked:?}");
    }

    /// Does on the real side what the model has just done, or refused. `None` where only the model has something to do.
    pub(crate) async fn call(
        &mut self,
        action: Action,
        before: &State,
        after: &State,
        names: &mut Names,
    ) -> Option<Reply> {
        use Action::*;
        let (lane, product) = (self.stage.lane(), self.stage.product);
        let redis = self.stage.stores.redis.clone();
        let changed = before != after;
        Some(match action {
            Request(request) if changed => {
                let key = format!("('key-{request}', {product}, 1)");
                let insert = "INSERT INTO restock_request (idempotency_key, product_id, quantity) VALUES ";
                self.requests[request] = self.stage.execute(format!("{insert}{key}")).await;
                Reply::Nothing
            }
            Enqueue(request) => Reply::Enqueued(self.enqueue(request).await),
            SellOut => Reply::Stock(redis.change_stock(P0, product, StockChange::Set(0)).await.expect("Redis answers")),
            Cancel => Reply::Canceled(redis.cancel(P0, &lane, "not wanted").await.expect("Redis answers")),
            Resume => Reply::Resumed(redis.resume(P0, &lane, Before::Nothing).await.expect("Redis answers")),
            Begin(worker) => {
                let Worker::Received(entry, newest) = before.workers[worker] else { return None };
                let token = names.token(before.tokens + 1);
                Reply::Begun(self.begin(worker, names.entry(entry), newest, &token).await)
            }
            Call(worker) if changed => {
                self.compose(worker, after);
                return None;
            }
            AdvanceReleaseOrFinish(worker) => self.settle(worker, before).await?,
            Renew(worker) => {
                matches!(before.workers[worker], Worker::Holds(Hold { call: None, .. })).then_some(())?;
                Reply::Held(self.renew(worker).await)
            }
            FreezeBeyondLease | LeaseOfTheDeadExpires if changed => self.strike(Stage::expire_lease),
            LoseRedis if changed => self.strike(Stage::lose),
            SaveRedis if changed => self.strike(Stage::save),
            AgeRedis if changed => {
                self.stage.age().await;
                self.sent.clear();
                Reply::Nothing
            }
            Check(slot) if changed => {
                let check = after.checks[slot].expect("a check");
                let current = check.current.map_or(0, |row| row.round);
                let stale = "status = 'SUPERSEDED' WHERE status IN ('QUEUED', 'IN_PROGRESS')";
                let sql = format!(
                    "UPDATE product SET reserved_epoch = {} WHERE id = {product};
                     UPDATE product_notification_history SET {stale} AND product_id = {product} AND restock_round < {current}",
                    check.epoch
                );
                self.stage.execute(sql).await;
                Reply::Nothing
            }
            Hydrate(slot) => {
                let hydrate = hydrate_of(product, &before.checks[slot]?);
                Reply::Installed(Installed::of(redis.hydrate(&hydrate).await.expect("Redis answers")))
            }
            Evict => Reply::Evicted(self.evict(before).await),
            _ => return None,
        })
    }

    fn strike(&mut self, fault: impl FnOnce(&mut Stage)) -> Reply {
        fault(self.stage);
        Reply::Nothing
    }

    async fn enqueue(&mut self, request: usize) -> Enqueued {
        let enqueue = Enqueue {
            partition: P0,
            product: self.stage.product,
            quantity: 1,
            key: Some(&format!("key-{request}")),
            request: i64::try_from(self.requests[request]).ok(),
            backlog_max: BACKLOG_MAX,
            channels: &[webhook()],
        };
        self.stage.stores.redis.enqueue(&enqueue).await.expect("Redis answers")
    }

    async fn evict(&mut self, before: &State) -> Evicted {
        let stamp =
            |stamp: restock_model::round::Stamp| Stamp { epoch: stamp.epoch.into(), version: stamp.version.into() };
        let newest = before.mysql.rounds.iter().flatten().map(|row| row.stamp).max().map(stamp);
        let evict = Evict {
            partition: P0,
            product: self.stage.product,
            stamp: stamp(before.mysql.product.stamp),
            lanes: &[(webhook(), newest)],
        };
        self.stage.stores.redis.evict(&evict).await.expect("Redis answers")
    }
}
