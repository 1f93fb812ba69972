//! A channel that stores one message per person in MySQL, from where the HTTP API lists and streams them.
//!
//! ```text
//! send ─► queue ─► writer: one transaction for all that wait ─► commit ─► every call of the batch gets its answer
//!                                                                  └─► a hint to the APIs, by Redis
//! ```
//!
//! Nobody is answered before the commit. While one batch is written the next one gathers, so that batches grow with the load
//! by themselves. All attempts for a person in a round leave one row ([`inbox`]), so an attempt whose answer was lost
//! may be made again.

use std::time::Duration;

use chrono::DateTime;
use futures_util::future::BoxFuture;
use sqlx::MySqlPool;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{Answer, Message, Sender};
use crate::{
    meter,
    mysql::{
        self,
        inbox::{self, NewMessage, STORE_ROWS_MAX},
    },
    redis::Redis,
    stores::Stores,
};

/// The most messages that wait to be written, or are being written.
const WAITING_MAX: usize = 4 * STORE_ROWS_MAX;

/// A hint that takes longer is none.
const HINT_MAX: Duration = Duration::from_millis(100);

/// Writes messages to the inbox, in the order of the calls.
#[derive(Debug)]
pub struct InboxSender {
    queue: mpsc::UnboundedSender<Waiting>,
    send_timeout: Duration,
}

/// A message, and who waits for it to be written.
#[derive(Debug)]
struct Waiting {
    message: Message,
    answer: oneshot::Sender<Answer>,
}

impl InboxSender {
    /// Starts the writer; it ends with the sender, after what is queued. Must be called in a runtime.
    #[must_use]
    pub fn start(stores: &Stores, send_timeout: Duration) -> Self {
        // No more than `WAITING_MAX` are ever in it: whoever calls keeps to `connections_max`.
        let (queue, waiting) = mpsc::unbounded_channel();
        tokio::spawn(write_batches(stores.mysql.clone(), stores.redis.clone(), waiting));
        Self { queue, send_timeout }
    }
}

impl Sender for InboxSender {
    fn send(&self, message: Message) -> BoxFuture<'_, Answer> {
        let (answer, answered) = oneshot::channel();
        // It takes its place here, not when the future is first polled: that keeps the order of the calls.
        let queued = self.queue.send(Waiting { message, answer });
        Box::pin(async move {
            if queued.is_err() {
                return unanswered("the writer of the inbox ended");
            }
            match timeout(self.send_timeout, answered).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => unanswered("the writer of the inbox ended"),
                Err(_) => unanswered(&format!("timed out after {} ms", self.send_timeout.as_millis())),
            }
        })
    }

    fn connections_max(&self) -> usize {
        WAITING_MAX
    }
}

fn unanswered(why: &str) -> Answer {
    Answer::Retry { reason: format!("no answer: {why}"), after: None, answered: false }
}

async fn write_batches(db: MySqlPool, redis: Redis, mut waiting: mpsc::UnboundedReceiver<Waiting>) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, STORE_ROWS_MAX).await > 0 {
        // Who has given up has nobody to hear of it; the attempt that follows writes the same row.
        batch.retain(|one| !one.answer.is_closed());
        let answer = write(&db, &batch).await;
        for one in batch.drain(..) {
            // Nobody listens any more: see above.
            let _ = one.answer.send(answer.clone());
        }
        if answer == Answer::Delivered && redis.is_connected() {
            let hinted = timeout(HINT_MAX, redis.hint_inbox()).await;
            if !matches!(hinted, Ok(Ok(()))) {
                tracing::debug!("no hint of new messages could be given; the APIs look by themselves");
            }
        }
    }
}

/// What the whole batch is answered.
async fn write(db: &MySqlPool, batch: &[Waiting]) -> Answer {
    let rows: Vec<NewMessage<'_>> = batch
        .iter()
        .map(|Waiting { message, .. }| NewMessage {
            product: message.product.id,
            round: message.round,
            user: message.user,
            sku: message.product.sku.as_ref(),
            name: &message.product.name,
            started_at: DateTime::from_timestamp_micros(message.started_us).unwrap_or_default().naive_utc(),
        })
        .collect();
    match inbox::store(db, &rows).await {
        Ok(()) => Answer::Delivered,
        Err(error) => {
            meter::count_sql_error(mysql::is_unreachable(&error));
            failed(&error)
        }
    }
}

/// In our own words: those of MySQL may repeat a part of the message.
fn failed(error: &sqlx::Error) -> Answer {
    if mysql::is_full(error) {
        return Answer::Retry { reason: mysql::in_short(error), after: None, answered: true };
    }
    if mysql::is_unreachable(error) {
        // It may be committed all the same.
        return unanswered("MySQL does not answer");
    }
    if mysql::is_deadlock(error) {
        return Answer::Retry { reason: "the inbox is locked by others".to_owned(), after: None, answered: true };
    }
    let why = mysql::in_short(error);
    Answer::Misconfigured(format!(
        "messages for the inbox are not taken: {why}; `restock-cli migrate` makes its tables"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_go_well_later_ends_the_round_and_the_rest_is_tried_again() {
        assert!(matches!(failed(&sqlx::Error::RowNotFound), Answer::Misconfigured(_)));
        assert!(matches!(failed(&sqlx::Error::PoolTimedOut), Answer::Retry { answered: false, .. }));
    }
}
