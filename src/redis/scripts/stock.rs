//! `stock.lua`: set or change stock.

use std::sync::LazyLock;

use super::{Arity, Redis, Script, call_name};
use crate::{
    ids::{Partition, ProductId},
    limit::STOCK_MAX,
    redis::RedisError,
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/stock.lua");
    Script::new("stock", source, Arity::exactly(5), Arity::exactly(4), &["ok", "below", "above", "absent", "aged"])
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
        let args = vec![product.to_string(), verb.to_owned(), units.to_string(), STOCK_MAX.to_string()];
        let reply = self.run(&SCRIPT, keys, args).await?;
        Ok(match reply.verdict() {
            "ok" => StockChanged::Ok(reply.parse(1)?),
            "below" => StockChanged::Below(reply.parse(1)?),
            "above" => StockChanged::Above(reply.parse(1)?),
            "absent" | "aged" => StockChanged::Unchecked,
            _ => return Err(reply.unknown()),
        })
    }
}
