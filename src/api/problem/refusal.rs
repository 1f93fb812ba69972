//! Which problem the library's errors are, in words for those who call over HTTP.

use super::{FieldError, Kind, Problem};
use crate::{
    ids::Channel,
    mysql::{self, product::AddError, setting::SettingError, subscription::SubscribeError},
    producer::ProducerError,
    redis::RedisError,
    report::ReportError,
    stores::StoreError,
};

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if mysql::is_unreachable(&error) {
            let what = match &error {
                error if mysql::is_full(error) => "MySQL has no room left to write",
                error if mysql::is_read_only(error) => "MySQL may only be read",
                _ => "MySQL does not answer",
            };
            tracing::warn!(%error, "{what}");
            Self::in_doubt(Kind::Unavailable, what)
        } else if mysql::is_deadlock(&error) {
            Self::in_doubt(Kind::Overloaded, "the rows are held by others")
        } else {
            Self::internal(&error)
        }
    }
}

impl From<RedisError> for Problem {
    fn from(error: RedisError) -> Self {
        if error.is_unreachable() {
            tracing::warn!(%error, "Redis does not answer");
            Self::in_doubt(Kind::Unavailable, "Redis does not answer")
        } else {
            Self::internal(&error)
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Redis(error) => error.into(),
            StoreError::Sql(error) => error.into(),
            StoreError::Contended(product) => Self::new(
                Kind::Overloaded,
                format!("product {product} is being changed by too many at once; ask again"),
            ),
        }
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Redis(error) => error.into(),
            ReportError::Sql(error) => error.into(),
        }
    }
}

impl From<SettingError> for Problem {
    fn from(error: SettingError) -> Self {
        match error {
            SettingError::Sql(error) => error.into(),
            SettingError::Invalid { name, expected, .. } => Self::of_field(Kind::InvalidFields, name, expected),
            error => Self::internal(&error),
        }
    }
}

impl From<AddError> for Problem {
    fn from(error: AddError) -> Self {
        match error {
            AddError::Sql(error) => error.into(),
            AddError::SkuTaken { sku, by } => {
                let detail = format!("sku `{sku}` is product {by} already");
                let errors = vec![FieldError { field: "sku".to_owned(), detail: detail.clone() }];
                Self::new(Kind::SkuTaken, detail).with_errors(errors)
            }
            AddError::IdTaken(product) => {
                Self::new(Kind::Overloaded, format!("product {product} is being added by another; ask again"))
            }
        }
    }
}

impl From<SubscribeError> for Problem {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Sql(error) => error.into(),
            SubscribeError::NoSuchProduct(product) => Self::no_product(product),
        }
    }
}

impl From<ProducerError> for Problem {
    fn from(error: ProducerError) -> Self {
        match error {
            ProducerError::Store(error) => error.into(),
            ProducerError::Setting(error) => error.into(),
            ProducerError::NotFound(product) => Self::no_product(product),
            ProducerError::NoStock { product, stock } => Self::new(
                Kind::NoStock,
                format!("product {product} would have {stock} in stock; give a quantity, or set the stock first"),
            ),
            ProducerError::KeyConflict { product, key, quantity } => {
                let detail = format!("`{key}` stands for a restock of product {product} by {quantity}; choose another");
                Self::of_field(Kind::KeyReused, "Idempotency-Key", detail)
            }
            ProducerError::Refused { product, request, reason } => Self::new(
                Kind::RefusedBefore,
                format!("request {request} for product {product} was refused: {reason}; ask again with another key"),
            ),
            ProducerError::NothingToResume { product, channel, status } => {
                let status = status.map_or("none yet", |status| status.as_str());
                Self::new(
                    Kind::NothingToResume,
                    format!("product {product} has nothing to resume on {channel}: its round is {status}"),
                )
            }
            ProducerError::NobodyBlocks { product, channel } => Self::new(
                Kind::NothingToResume,
                format!("nobody blocks product {product} on {channel}; resume without `skip`"),
            ),
            ProducerError::NobodyFailed { product, channel, round } => Self::new(
                Kind::NothingToResume,
                format!("nobody FAILED in round {round} of product {product} on {channel}"),
            ),
            ProducerError::NothingToCancel { product, channels } => {
                Self::new(Kind::NothingToCancel, format!("product {product} has no open round on {}", names(&channels)))
            }
            ProducerError::NotEnabled { channel, enabled } => {
                Self::new(Kind::NotEnabled, format!("the channel {channel} is not enabled, only {}", names(&enabled)))
            }
            ProducerError::Moved { product, stock } => Self::new(
                Kind::StockHasChanged,
                format!("product {product} has {} in stock now; look at it again", stock.units),
            ),
            ProducerError::BelowZero { .. } => Self::of_field(Kind::InvalidFields, "stock", "it cannot be below zero"),
            ProducerError::AboveMost { most, .. } => {
                Self::of_field(Kind::InvalidFields, "stock", format!("a product has {most} pieces at most"))
            }
            error @ (ProducerError::Backlog | ProducerError::Unsettled(_)) => {
                tracing::warn!(%error, "a request was turned away");
                Self::new(Kind::Overloaded, "too much happens here at once; ask again")
            }
        }
    }
}

fn names(channels: &[Channel]) -> String {
    channels.iter().map(Channel::as_str).collect::<Vec<_>>().join(", ")
}
