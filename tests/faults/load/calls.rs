//! What a shopkeeper asks of the shop: each again and again, or dropped, when the stores are down.

use std::time::Duration;

use rand::RngExt;
use restock::{
    clock::wall_us,
    ids::{IdempotencyKey, ProductId},
    producer::{ProducerError, Resume},
    redis::scripts::StockChange,
    round::Status,
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{PAUSE, Shopkeeper};
use crate::{
    ledger::{Promise, Sale},
    stage::webhook,
};

/// A call to stores that are down does not hold up a shopkeeper for longer.
const CALL_MAX: Duration = Duration::from_secs(10);

/// What came of a try to resume a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resumed {
    /// It goes on, or a store failed: what happens to it is seen in MySQL.
    Perhaps,
    /// Stock is gone: it goes on with the next restock.
    NothingToSell,
}

impl Shopkeeper {
    fn id(&self) -> ProductId {
        ProductId(self.product)
    }

    fn act(&self) {
        self.stage.ledger.act(self.product, wall_us());
    }

    /// Announces a restock, again and again until the outbox has it.
    pub(super) async fn announce(&mut self) {
        self.announced += 1;
        let key = format!("delivery-{}", self.announced);
        if let Some(gone_us) = self.gone_us.take() {
            self.stage.ledger.sell(Sale { product: self.product, gone_us, until_us: wall_us() });
        }
        let quantity = self.random.random_range(1..5_u32);
        let by_hand = self.random.random_range(0..3) == 0;
        loop {
            self.act();
            let done = if by_hand { self.insert(&key, quantity).await } else { self.enqueue(&key, quantity).await };
            if done {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    async fn enqueue(&self, key: &str, quantity: u32) -> bool {
        let key: IdempotencyKey = key.parse().expect("a key");
        match timeout(CALL_MAX, self.stage.producer.enqueue(self.id(), quantity, Some(&key))).await {
            Ok(Ok(accepted)) => {
                let request = accepted.request.expect("it went through the outbox");
                let round = accepted.round.map(|round| round.0);
                self.stage.ledger.promise(Promise { product: self.product, request, round, at_us: wall_us() });
                true
            }
            Ok(Err(error @ (ProducerError::KeyConflict { .. } | ProducerError::Refused { .. }))) => {
                self.stage.ledger.complain(format!("enqueue of product {}: {error}", self.product));
                true
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// As another program does it.
    async fn insert(&self, key: &str, quantity: u32) -> bool {
        let insert =
            sqlx::query("INSERT IGNORE INTO restock_request (product_id, quantity, idempotency_key) VALUES (?, ?, ?)")
                .bind(self.product)
                .bind(quantity)
                .bind(key)
                .execute(&self.stage.stores.mysql);
        if !matches!(timeout(CALL_MAX, insert).await, Ok(Ok(_))) {
            return false;
        }
        let find = sqlx::query_scalar("SELECT id FROM restock_request WHERE product_id = ? AND idempotency_key = ?")
            .bind(self.product)
            .bind(key)
            .fetch_one(&self.stage.stores.mysql);
        let Ok(Ok(request)) = timeout(CALL_MAX, find).await else { return false };
        self.stage.ledger.promise(Promise { product: self.product, request, round: None, at_us: wall_us() });
        true
    }

    /// Requests that have no round yet; `None` when MySQL does not answer.
    pub(super) async fn pending(&self) -> Option<i64> {
        let count =
            sqlx::query_scalar("SELECT COUNT(*) FROM restock_request WHERE product_id = ? AND state = 'PENDING'")
                .bind(self.product)
                .fetch_one(&self.stage.stores.mysql);
        timeout(CALL_MAX, count).await.ok()?.ok()
    }

    /// The stock goes to zero, once no request is on its way that would raise it again.
    pub(super) async fn sell_out(&mut self, stop: &CancellationToken) {
        while self.pending().await != Some(0) {
            if stop.is_cancelled() {
                return;
            }
            sleep(PAUSE).await;
        }
        loop {
            self.act();
            let set = self.stage.producer.change_stock(self.id(), StockChange::Set(0));
            if matches!(timeout(CALL_MAX, set).await, Ok(Ok(_))) {
                self.gone_us = Some(wall_us());
                return;
            }
            if stop.is_cancelled() {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    pub(super) async fn cancel(&self) {
        self.act();
        let channel = webhook();
        let cancel = self.stage.producer.cancel(self.id(), &channel, "a shopkeeper's whim");
        // Whatever comes of it: what happens to the round is seen in MySQL.
        drop(timeout(CALL_MAX, cancel).await);
        self.act();
    }

    pub(super) async fn pause_for(&self, lasts: Duration, stop: &CancellationToken) {
        self.act();
        let pause = self.stage.producer.pause(self.id(), true);
        drop(timeout(CALL_MAX, pause).await);
        tokio::select! {
            () = sleep(lasts) => {}
            () = stop.cancelled() => {}
        }
        self.unpause().await;
    }

    pub(super) async fn unpause(&self) {
        loop {
            self.act();
            if matches!(timeout(CALL_MAX, self.stage.producer.pause(self.id(), false)).await, Ok(Ok(_))) {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// The newest round, its status, and whether somebody blocks it.
    pub(super) async fn newest(&self) -> Option<(u32, Status, Option<i64>)> {
        let newest = sqlx::query_as(
            "SELECT restock_round, status, blocked_user_id FROM product_notification_history
             WHERE product_id = ? ORDER BY restock_round DESC LIMIT 1",
        )
        .bind(self.product)
        .fetch_one(&self.stage.stores.mysql);
        let (round, status, blocked): (u32, String, Option<i64>) = timeout(CALL_MAX, newest).await.ok()?.ok()?;
        Some((round, status.parse().ok()?, blocked))
    }

    pub(super) async fn resume(&mut self, is_blocked: bool) -> Resumed {
        self.act();
        let how = if is_blocked && self.random.random_range(0..2) == 0 { Resume::Skip } else { Resume::Plain };
        let channel = webhook();
        let resume = self.stage.producer.resume(self.id(), &channel, how);
        let resumed = timeout(CALL_MAX, resume).await;
        self.act();
        match resumed {
            Ok(Err(ProducerError::NoStock { .. })) => Resumed::NothingToSell,
            _ => Resumed::Perhaps,
        }
    }
}
