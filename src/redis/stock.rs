//! The stock of a product as it stands, and the name of that state.

use std::str::FromStr;

use fred::{interfaces::HashesInterface, types::Value};

use super::{Redis, RedisError};
use crate::{
    ids::{Partition, ProductId},
    round::Stamp,
};

/// A product's stock as Redis holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveStock {
    /// The stock.
    pub stock: Stock,
    /// The newest round; 0 before the first.
    pub round: u32,
    /// How new this is: MySQL may have heard of more than a Redis that came back with older data.
    pub stamp: Stamp,
}

/// The stock at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// Pieces, not below zero.
    pub units: i64,
    /// Names the state of the product: another one after every change of it, and never the same again as long as Redis
    /// does not lose all that it holds.
    pub tag: String,
}

/// The name that MySQL's state of a product has, and keeps when it is installed in Redis.
#[must_use]
pub fn tag_of(stamp: Stamp) -> String {
    format!("{}-{}", stamp.epoch, stamp.version)
}

impl Redis {
    /// The stock of a product with its newest round; `None` when Redis does not hold it.
    ///
    /// # Errors
    /// As any call; [`RedisError::Unreadable`] when a field does not have its form.
    pub async fn read_stock(&self, partition: Partition, product: ProductId) -> Result<Option<LiveStock>, RedisError> {
        let fields = vec!["stock", "round", "epoch", "version", "tag", "tagged"];
        type Fields = (Option<Value>, Option<Value>, Option<Value>, Option<Value>, Option<Value>, Option<Value>);
        let (units, round, epoch, version, tag, tagged): Fields =
            self.client.hmget(self.keys.product(partition, product), fields).await?;
        let Some(units) = number("stock", units)? else { return Ok(None) };
        let (epoch, version) = (number("epoch", epoch)?.unwrap_or(0), number("version", version)?.unwrap_or(0));
        let stamp = Stamp { epoch, version };
        // As `tag_of` in the scripts.
        let tag = tag.map(text).filter(|_| tagged.map(text) == Some(version.to_string()));
        let tag = tag.unwrap_or_else(|| tag_of(stamp));
        Ok(Some(LiveStock { stock: Stock { units, tag }, round: number("round", round)?.unwrap_or(0), stamp }))
    }
}

fn text(value: Value) -> String {
    value.into_bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn number<T: FromStr>(field: &str, value: Option<Value>) -> Result<Option<T>, RedisError> {
    let Some(text) = value.filter(|value| !value.is_null()).map(text) else { return Ok(None) };
    let unreadable = || RedisError::Unreadable { what: "product", field: field.to_owned(), text: text.clone() };
    text.parse().map(Some).map_err(|_| unreadable())
}
