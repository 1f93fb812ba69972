//! Why a producer is refused.

use crate::{
    ids::{Channel, ProductId, Round},
    mysql::setting::SettingError,
    redis::{RedisError, stock::Stock},
    round::Status,
    stores::StoreError,
};

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ProducerError {
    /// MySQL has no such product.
    #[error("there is no product {0}; see `restock-cli product list`")]
    NotFound(ProductId),
    /// There is nothing to announce.
    #[error("product {product} has no stock to announce (it would be {stock}); give --quantity, or `stock add` first")]
    NoStock {
        /// Which product.
        product: ProductId,
        /// The stock it has, or would have had.
        stock: i64,
    },
    /// The key means another restock already.
    #[error("the key `{key}` of product {product} was used with the quantity {quantity}; choose another key")]
    KeyConflict {
        /// Which product.
        product: ProductId,
        /// The key, or `#<request>`.
        key: String,
        /// The quantity it stands for.
        quantity: i64,
    },
    /// The same request was refused for good before.
    #[error("request {request} for product {product} was refused: {reason}; enqueue again with another key")]
    Refused {
        /// Which product.
        product: ProductId,
        /// The row in `restock_request`.
        request: i64,
        /// Why, as stored.
        reason: String,
    },
    /// MySQL is behind with the log.
    #[error("MySQL is too far behind with what was sent; start a restock-flusher, or enqueue without --direct")]
    Backlog,
    /// The lane has no round that was cut off.
    #[error(
        "product {product} has nothing to resume on {channel}: its round is {}; see `restock-cli status {product}`",
        .status.map_or("none yet", Status::as_str)
    )]
    NothingToResume {
        /// Which product.
        product: ProductId,
        /// On which channel.
        channel: Channel,
        /// Where its round stands; none without one.
        status: Option<Status>,
    },
    /// The round was not cut off by a person who could not be told.
    #[error("nobody blocks product {product} on {channel}; run `resume` without --skip")]
    NobodyBlocks {
        /// Which product.
        product: ProductId,
        /// On which channel.
        channel: Channel,
    },
    /// There is nobody to tell again.
    #[error(
        "nobody FAILED in round {round} of product {product} on {channel}; see `restock-cli history {product} --round {round}`"
    )]
    NobodyFailed {
        /// Which product.
        product: ProductId,
        /// On which channel.
        channel: Channel,
        /// Its last round.
        round: Round,
    },
    /// The lane has no open round.
    #[error(
        "product {product} has nothing to cancel on {}: no round is open; see `restock-cli status {product}`", names(.channels)
    )]
    NothingToCancel {
        /// Which product.
        product: ProductId,
        /// On which channels.
        channels: Vec<Channel>,
    },
    /// Nobody works this channel.
    #[error("the channel {channel} is not enabled, only {}; see `restock-cli settings`", names(.enabled))]
    NotEnabled {
        /// Which was asked for.
        channel: Channel,
        /// Those that are.
        enabled: Vec<Channel>,
    },
    /// The product is not in the state that was to be changed any more.
    #[error("product {product} has changed since, and has {} in stock now; look at it again", .stock.units)]
    Moved {
        /// Which product.
        product: ProductId,
        /// As it is now.
        stock: Stock,
    },
    /// The stock cannot be negative.
    #[error("product {product} has {stock} in stock, and it cannot go below zero; take fewer")]
    BelowZero {
        /// Which product.
        product: ProductId,
        /// The stock as it is.
        stock: i64,
    },
    /// More pieces than a product can have.
    #[error("product {product} cannot have more than {most} pieces; give fewer")]
    AboveMost {
        /// Which product.
        product: ProductId,
        /// The most pieces that a product can have.
        most: i64,
    },
    /// Redis kept asking for a check, or for other channels.
    #[error("product {0} is being changed by too many at once; try again")]
    Unsettled(ProductId),
    /// The settings cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ProducerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<RedisError> for ProducerError {
    fn from(error: RedisError) -> Self {
        Self::Store(error.into())
    }
}

fn names(channels: &[Channel]) -> String {
    channels.iter().map(Channel::as_str).collect::<Vec<_>>().join(", ")
}

impl ProducerError {
    pub(super) fn nothing_to_cancel(product: ProductId, channels: &[Channel]) -> Self {
        Self::NothingToCancel { product, channels: channels.to_vec() }
    }

    /// Whether it says that this restock will never be a round, and not only that it is none yet.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::NotFound(_) | Self::NoStock { .. } | Self::KeyConflict { .. } | Self::Refused { .. })
    }

    /// Whether Redis did not answer.
    #[must_use]
    pub fn is_redis_unreachable(&self) -> bool {
        matches!(self, Self::Store(StoreError::Redis(error)) if error.is_unreachable())
    }
}
