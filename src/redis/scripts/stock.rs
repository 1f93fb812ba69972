//! `stock.lua`: set or change stock.

use std::sync::LazyLock;

use super::{Arity, Redis, Reply, Script, call_name};
use crate::{
    ids::{Partition, ProductId},
    limit::STOCK_MAX,
    redis::{RedisError, stock::Stock},
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/stock.lua");
    Script::new(
        "stock",
        source,
        Arity::exactly(5),
        Arity::exactly(5),
        &["ok", "below", "above", "moved", "absent", "aged"],
    )
});

/// A change of stock, in units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockChange {
    /// To this.
    Set(i64),
    /// By this, which may be negative.
    Add(i64),
}

/// What `stock` answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockChanged {
    /// The new stock.
    Ok(i64),
    /// Refused: it would be below zero; the stock as it is.
    Below(i64),
    /// Refused: it would be above this, the most that a product can have.
    Above(i64),
    /// Check the product against MySQL and call again.
    Unchecked,
}

/// What `stock` answered to who named the state that is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StockSet {
    /// The new stock.
    Ok(Stock),
    /// Refused: the product has changed since, and is like this.
    Moved(Stock),
    /// Refused: it would be above this, the most that a product can have.
    Above(i64),
    /// Check the product against MySQL and call again.
    Unchecked,
}

impl Redis {
    /// Changes the stock; rounds in progress are told at once when it is gone.
    ///
    /// # Errors
    /// As any call.
    pub async fn change_stock(
        &self,
        partition: Partition,
        product: ProductId,
        change: StockChange,
    ) -> Result<StockChanged, RedisError> {
        let reply = self.call_stock(partition, product, change, "").await?;
        Ok(match reply.verdict() {
            "ok" => StockChanged::Ok(reply.parse(1)?),
            "below" => StockChanged::Below(reply.parse(1)?),
            "above" => StockChanged::Above(reply.parse(1)?),
            "absent" | "aged" => StockChanged::Unchecked,
            _ => return Err(reply.unknown()),
        })
    }

    /// Sets the stock, to `units` that are not below zero; with a tag only where the product still is in that state.
    ///
    /// # Errors
    /// As any call.
    pub async fn set_stock(
        &self,
        partition: Partition,
        product: ProductId,
        units: i64,
        tag: Option<&str>,
    ) -> Result<StockSet, RedisError> {
        let reply = self.call_stock(partition, product, StockChange::Set(units), tag.unwrap_or_default()).await?;
        let stock = |reply: &Reply| Ok::<_, RedisError>(Stock { units: reply.parse(1)?, tag: reply.parse(2)? });
        Ok(match reply.verdict() {
            "ok" => StockSet::Ok(stock(&reply)?),
            "moved" => StockSet::Moved(stock(&reply)?),
            "above" => StockSet::Above(reply.parse(1)?),
            "absent" | "aged" => StockSet::Unchecked,
            _ => return Err(reply.unknown()),
        })
    }

    async fn call_stock(
        &self,
        partition: Partition,
        product: ProductId,
        change: StockChange,
        tag: &str,
    ) -> Result<Reply, RedisError> {
        let k = self.keys();
        let keys = vec![
            k.product(partition, product),
            k.log(partition),
            k.products(partition),
            k.signal(partition),
            k.call(partition, &call_name()),
        ];
        let (verb, units) = match change {
            StockChange::Set(units) => ("set", units),
            StockChange::Add(units) => ("add", units),
        };
        let (product, most) = (product.to_string(), STOCK_MAX.to_string());
        self.run(&SCRIPT, keys, vec![product, verb.to_owned(), units.to_string(), most, tag.to_owned()]).await
    }
}
