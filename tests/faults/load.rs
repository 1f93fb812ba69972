//! The shop at work: one shopkeeper for each product announces restocks, sells out, cancels, pauses and resumes.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use restock::{
    clock::wall_us,
    ids::{IdempotencyKey, ProductId},
    producer::{ProducerError, Resume},
    redis::scripts::StockChange,
    round::Status,
};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    ledger::{Promise, Sale},
    stage::{Stage, webhook},
};

const PAUSE: Duration = Duration::from_millis(150);
/// A call to stores that are down does not hold up a shopkeeper for longer.
const CALL_MAX: Duration = Duration::from_secs(10);

/// What came of a try to resume a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resumed {
    /// It goes on, or a store failed: what happens to it is seen in MySQL.
    Perhaps,
    /// Stock is gone: it goes on with the next restock.
    NothingToSell,
}

/// Looks after one product.
#[derive(Debug)]
pub(crate) struct Shopkeeper {
    stage: Arc<Stage>,
    product: i64,
    random: StdRng,
    announced: u32,
    /// Stock is gone, since this moment.
    gone_us: Option<i64>,
    /// Others raise the stock of the last product at any time: of that nothing is sold out.
    sells: bool,
}

impl Shopkeeper {
    pub(crate) fn new(stage: Arc<Stage>, product: i64, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed ^ product.unsigned_abs().rotate_left(32));
        let sells = product != *stage.products().end();
        Self { stage, product, random, announced: 0, gone_us: None, sells }
    }

    /// Works until the stop.
    pub(crate) async fn work(mut self, stop: CancellationToken) -> Self {
        while !stop.is_cancelled() {
            self.announce().await;
            let calm = Duration::from_millis(self.random.random_range(0..2500));
            match self.random.random_range(0..10) {
                0..=2 if self.sells => {
                    sleep(calm).await;
                    self.sell_out(&stop).await;
                }
                3 => {
                    sleep(calm).await;
                    self.cancel().await;
                }
                4 => {
                    sleep(calm).await;
                    let lasts = Duration::from_millis(self.random.random_range(50..1000));
                    self.pause_for(lasts, &stop).await;
                }
                _ => {}
            }
            while !stop.is_cancelled() && !self.has_ended(false).await {
                sleep(PAUSE).await;
            }
            sleep(calm / 4).await;
        }
        self
    }

    /// What is open comes to its end.
    ///
    /// # Errors
    /// Where it stands, when that does not come in time.
    pub(crate) async fn settle(self, deadline: Instant) -> Result<Self, String> {
        self.unpause().await;
        self.wait_for_the_end(false, deadline).await
    }

    /// Everybody in line is told once more, while nothing fails.
    ///
    /// # Errors
    /// As [`Shopkeeper::settle`].
    pub(crate) async fn tell_everybody(mut self, deadline: Instant) -> Result<Self, String> {
        self.announce().await;
        self.wait_for_the_end(true, deadline).await
    }

    async fn wait_for_the_end(mut self, completed: bool, deadline: Instant) -> Result<Self, String> {
        while !self.has_ended(completed).await {
            if Instant::now() > deadline {
                return Err(self.standing().await);
            }
            sleep(PAUSE).await;
        }
        Ok(self)
    }

    fn id(&self) -> ProductId {
        ProductId(self.product)
    }

    fn act(&self) {
        self.stage.ledger.act(self.product, wall_us());
    }

    /// Announces a restock, again and again until the outbox has it.
    async fn announce(&mut self) {
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
    async fn pending(&self) -> Option<i64> {
        let count =
            sqlx::query_scalar("SELECT COUNT(*) FROM restock_request WHERE product_id = ? AND state = 'PENDING'")
                .bind(self.product)
                .fetch_one(&self.stage.stores.mysql);
        timeout(CALL_MAX, count).await.ok()?.ok()
    }

    /// The stock goes to zero, once no request is on its way that would raise it again.
    async fn sell_out(&mut self, stop: &CancellationToken) {
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

    async fn cancel(&self) {
        self.act();
        let channel = webhook();
        let cancel = self.stage.producer.cancel(self.id(), &channel, "a shopkeeper's whim");
        // Whatever comes of it: what happens to the round is seen in MySQL.
        drop(timeout(CALL_MAX, cancel).await);
        self.act();
    }

    async fn pause_for(&self, lasts: Duration, stop: &CancellationToken) {
        self.act();
        let pause = self.stage.producer.pause(self.id(), true);
        drop(timeout(CALL_MAX, pause).await);
        tokio::select! {
            () = sleep(lasts) => {}
            () = stop.cancelled() => {}
        }
        self.unpause().await;
    }

    async fn unpause(&self) {
        loop {
            self.act();
            if matches!(timeout(CALL_MAX, self.stage.producer.pause(self.id(), false)).await, Ok(Ok(_))) {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// The newest round, its status, and whether somebody blocks it.
    async fn newest(&self) -> Option<(u32, Status, Option<i64>)> {
        let newest = sqlx::query_as(
            "SELECT restock_round, status, blocked_user_id FROM product_notification_history
             WHERE product_id = ? ORDER BY restock_round DESC LIMIT 1",
        )
        .bind(self.product)
        .fetch_one(&self.stage.stores.mysql);
        let (round, status, blocked): (u32, String, Option<i64>) = timeout(CALL_MAX, newest).await.ok()?.ok()?;
        Some((round, status.parse().ok()?, blocked))
    }

    /// Whether its newest round has ended, and no request waits for another one. One that was cut off by an error is
    /// resumed while there is stock; `completed` is meant to be the last, whatever cuts it off.
    async fn has_ended(&mut self, completed: bool) -> bool {
        if self.pending().await != Some(0) {
            return false;
        }
        let Some((_, status, blocked)) = self.newest().await else { return false };
        match status {
            Status::Completed => true,
            status if status.is_open() => false,
            Status::CanceledByError if self.resume(blocked.is_some()).await != Resumed::NothingToSell => false,
            _ if completed => {
                self.announce().await;
                false
            }
            _ => true,
        }
    }

    async fn resume(&mut self, is_blocked: bool) -> Resumed {
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

    /// Where it stands, for a complaint.
    async fn standing(&self) -> String {
        let (newest, pending) = (self.newest().await, self.pending().await);
        format!(
            "product {} does not come to rest: its newest round is {newest:?}, pending requests: {pending:?}",
            self.product
        )
    }
}
