//! What there is once both backends have answered.

use std::sync::Arc;

use tokio::sync::watch;

use super::{
    line::LineWrites,
    problem::{Kind, Problem},
    stream::Library,
};
use crate::{
    ids::{ProductId, ProductRef},
    mysql::{
        product::{self, ProductRow},
        setting::Settings,
    },
    producer::Producer,
    redis::Redis,
    report::Sources,
    stores::Stores,
};

/// The backends, and what is known of the deployment.
pub(super) struct Ready {
    pub(super) producer: Producer,
    pub(super) settings: watch::Receiver<Settings>,
    pub(super) lines: LineWrites,
    /// What streams have missed.
    pub(super) library: Arc<Library>,
}

impl Ready {
    /// The producer, with the channels that are enabled by what was last heard.
    pub(super) fn producer(&self) -> &Producer {
        self.producer.follow(&self.settings.borrow().channels);
        &self.producer
    }

    /// The producer, with the channels that are enabled at this moment.
    pub(super) async fn exact_producer(&self) -> Result<&Producer, Problem> {
        self.producer.look_up_channels().await?;
        Ok(&self.producer)
    }

    /// What is read from: MySQL, and Redis while it is connected.
    pub(super) fn sources(&self) -> Sources {
        let Stores { redis, mysql, .. } = self.producer.stores();
        let redis = redis.is_connected().then(|| redis.clone());
        Sources { mysql: mysql.clone(), redis, settings: self.settings.borrow().clone() }
    }

    /// Redis, for what cannot be done without it: a call would wait for the connection.
    pub(super) fn redis(&self) -> Result<&Redis, Problem> {
        let redis = &self.producer.stores().redis;
        let gone = || Problem::new(Kind::Unavailable, "Redis does not answer: nothing was done; ask again");
        if redis.is_connected() { Ok(redis) } else { Err(gone()) }
    }

    /// The product of that number, as MySQL knows it.
    pub(super) async fn product(&self, product: ProductId) -> Result<ProductRow, Problem> {
        let named = ProductRef::Id(product);
        let found = product::find(&self.producer.stores().mysql, &named).await?;
        found.ok_or_else(|| Problem::no_product(product))
    }
}
