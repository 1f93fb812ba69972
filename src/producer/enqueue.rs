//! Announcing a restock, through the outbox or past it.

use serde::Serialize;
use sqlx::{MySqlConnection, MySqlPool};
use utoipa::ToSchema;

use super::{BACKLOG_MAX, Producer, ProducerError, TRIES_MAX};
use crate::{
    ids::{IdempotencyKey, ProductId, ProductRef, Round},
    mysql::{
        product,
        request::{self, Request, RequestState},
    },
    redis::{
        Redis,
        scripts::{Enqueue, Enqueued},
    },
};

/// A restock that will be announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Accepted {
    /// What is restocked.
    pub product: ProductId,
    /// Its round; none until Redis answers, or while MySQL is behind.
    pub round: Option<Round>,
    /// The row in the outbox; none past it.
    pub request: Option<i64>,
}

/// A restock to be announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What is restocked.
    pub product: ProductId,
    /// Pieces that came in.
    pub quantity: u32,
    /// What makes a repetition count once.
    pub key: Option<IdempotencyKey>,
}

/// Puts a restock into the outbox. From then on it cannot be lost; [`Producer::push`] makes it a round now.
///
/// # Errors
/// [`ProducerError::NotFound`], [`ProducerError::KeyConflict`], [`ProducerError::Refused`], and those of MySQL.
pub async fn accept(
    mysql: &MySqlPool,
    product: ProductId,
    quantity: u32,
    key: Option<&IdempotencyKey>,
) -> Result<Request, ProducerError> {
    accept_one(&mut *mysql.acquire().await?, product, quantity, key).await
}

/// Puts restocks into the outbox, all of them or none. `on_row` hears of each.
///
/// # Errors
/// As [`accept`], with the number of the order, from 0, that is refused.
pub async fn accept_all(
    mysql: &MySqlPool,
    orders: &[Order],
    on_row: impl Fn(),
) -> Result<Vec<Request>, (usize, ProducerError)> {
    let mut tx = mysql.begin().await.map_err(|error| (0, error.into()))?;
    let mut rows = Vec::with_capacity(orders.len());
    for (at, Order { product, quantity, key }) in orders.iter().enumerate() {
        rows.push(accept_one(&mut tx, *product, *quantity, key.as_ref()).await.map_err(|error| (at, error))?);
        on_row();
    }
    tx.commit().await.map_err(|error| (0, error.into()))?;
    Ok(rows)
}

async fn accept_one(
    db: &mut MySqlConnection,
    product: ProductId,
    quantity: u32,
    key: Option<&IdempotencyKey>,
) -> Result<Request, ProducerError> {
    if product::find(&mut *db, &ProductRef::Id(product)).await?.is_none() {
        return Err(ProducerError::NotFound(product));
    }
    let quantity = i64::from(quantity);
    let row = request::insert_or_find(db, product, quantity, key).await?;
    if row.quantity != quantity {
        return Err(ProducerError::KeyConflict { product, key: row.key_or_number(), quantity: row.quantity });
    }
    match row.state {
        RequestState::Pending | RequestState::Accepted => Ok(row),
        RequestState::Refused => Err(refused(row)),
    }
}

fn refused(row: Request) -> ProducerError {
    let reason = row.reason.unwrap_or_else(|| "no reason was stored".to_owned());
    ProducerError::Refused { product: row.product, request: row.id, reason }
}

impl Producer {
    /// Announces a restock. The same key gives the same round; a Redis that does not answer gives none yet.
    ///
    /// # Errors
    /// As [`accept`] and [`Producer::push`].
    pub async fn enqueue(
        &self,
        product: ProductId,
        quantity: u32,
        key: Option<&IdempotencyKey>,
    ) -> Result<Accepted, ProducerError> {
        let row = accept(&self.stores.mysql, product, quantity, key).await?;
        self.push(&row).await
    }

    /// Makes a row of the outbox a round now, unless it is one already.
    ///
    /// # Errors
    /// [`ProducerError::NoStock`], [`ProducerError::AboveMost`], [`ProducerError::KeyConflict`], and those of the stores; none for a Redis that does
    /// not answer, or a MySQL that is behind: the relay goes on with the row.
    pub async fn push(&self, row: &Request) -> Result<Accepted, ProducerError> {
        let accepted = |round| Accepted { product: row.product, round, request: Some(row.id) };
        if row.round.is_some() {
            return Ok(accepted(row.round));
        }
        let quantity = u32::try_from(row.quantity).unwrap_or(0);
        match self.call(row.product, quantity, Some(&row.key_or_number()), Some(row.id)).await {
            Ok(round) => Ok(accepted(Some(round))),
            Err(ProducerError::Backlog) => Ok(accepted(None)),
            Err(error) if error.is_redis_unreachable() => {
                tracing::warn!(request = row.id, %error, "the restock waits in the outbox");
                Ok(accepted(None))
            }
            Err(error) => Err(error),
        }
    }

    /// Announces a restock without the outbox: only Redis' own persistence keeps it until it is flushed.
    ///
    /// # Errors
    /// [`ProducerError::NotFound`], [`ProducerError::NoStock`], [`ProducerError::AboveMost`],
    /// [`ProducerError::KeyConflict`], [`ProducerError::Backlog`], and those of the stores. Whether it counts is then known only with a key.
    pub async fn enqueue_direct(
        &self,
        product: ProductId,
        quantity: u32,
        key: Option<&IdempotencyKey>,
    ) -> Result<Accepted, ProducerError> {
        let round = self.call(product, quantity, key.map(IdempotencyKey::as_str), None).await?;
        Ok(Accepted { product, round: Some(round), request: None })
    }

    async fn call(
        &self,
        product: ProductId,
        quantity: u32,
        key: Option<&str>,
        request: Option<i64>,
    ) -> Result<Round, ProducerError> {
        let (partition, backlog_max) = (self.stores.partition_of(product), BACKLOG_MAX);
        for _ in 0..TRIES_MAX {
            let channels = self.channels();
            let enqueue = Enqueue { partition, product, quantity, key, request, backlog_max, channels: &channels };
            match answer(&enqueue, self.stores.redis.enqueue(&enqueue).await?)? {
                Answer::Round(round) => return Ok(round),
                Answer::OtherChannels => self.agree_on_channels(product).await?,
                Answer::Unchecked => {
                    self.check(product).await?;
                    if let Some(id) = request
                        && let Some(round) = self.answered(product, id).await?
                    {
                        return Ok(round);
                    }
                }
            }
        }
        Err(ProducerError::Unsettled(product))
    }

    /// The round that a request got meanwhile; none while it is pending. An emptied Redis has forgotten its key: only
    /// MySQL knows.
    async fn answered(&self, product: ProductId, id: i64) -> Result<Option<Round>, ProducerError> {
        let Some(row) = request::find(&self.stores.mysql, id).await? else {
            return Err(ProducerError::Unsettled(product));
        };
        match row.state {
            RequestState::Pending => Ok(None),
            RequestState::Accepted => Ok(row.round),
            RequestState::Refused => Err(refused(row)),
        }
    }
}

/// Announces a restock with Redis alone; `None` when Redis does not know the product, or not since its restart.
///
/// # Errors
/// As [`Producer::enqueue_direct`], but for those of MySQL.
pub async fn enqueue_known(
    redis: &Redis,
    product: ProductId,
    quantity: u32,
    key: Option<&IdempotencyKey>,
) -> Result<Option<Accepted>, ProducerError> {
    let Some((partition, channels)) = redis.mirrored(product).await? else { return Ok(None) };
    let (key, backlog_max) = (key.map(IdempotencyKey::as_str), BACKLOG_MAX);
    let enqueue = Enqueue { partition, product, quantity, key, request: None, backlog_max, channels: &channels };
    Ok(match answer(&enqueue, redis.enqueue(&enqueue).await?)? {
        Answer::Round(round) => Some(Accepted { product, round: Some(round), request: None }),
        // The channels have changed this very moment: MySQL says which they are.
        Answer::OtherChannels | Answer::Unchecked => None,
    })
}

/// What `enqueue` answered, when it did not refuse.
enum Answer {
    Round(Round),
    OtherChannels,
    Unchecked,
}

fn answer(call: &Enqueue<'_>, enqueued: Enqueued) -> Result<Answer, ProducerError> {
    let product = call.product;
    match enqueued {
        Enqueued::Queued(round) | Enqueued::Known(round) => Ok(Answer::Round(round)),
        Enqueued::NoStock(stock) => Err(ProducerError::NoStock { product, stock }),
        Enqueued::Above(most) => Err(ProducerError::AboveMost { product, most }),
        Enqueued::Conflict(quantity) => {
            let key = call.key.unwrap_or_default().to_owned();
            Err(ProducerError::KeyConflict { product, key, quantity: i64::from(quantity) })
        }
        Enqueued::Full => Err(ProducerError::Backlog),
        Enqueued::Channels(_) => Ok(Answer::OtherChannels),
        Enqueued::Unchecked => Ok(Answer::Unchecked),
    }
}
