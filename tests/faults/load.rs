//! The shop at work: one shopkeeper for each product announces restocks, sells out, cancels, pauses and resumes.

mod calls;

use std::{sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use restock::round::Status;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::calls::Resumed;
use super::stage::Stage;

const PAUSE: Duration = Duration::from_millis(150);

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

    /// Where it stands, for a complaint.
    async fn standing(&self) -> String {
        let (newest, pending) = (self.newest().await, self.pending().await);
        format!(
            "product {} does not come to rest: its newest round is {newest:?}, pending requests: {pending:?}",
            self.product
        )
    }
}
