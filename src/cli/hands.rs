//! What a product is changed with by hand: both stores, or Redis alone where MySQL does not answer.

use std::time::Duration;

use super::{Context, exit::is_mysql_unreachable, output};
use crate::{
    ids::{Channel, ProductId, ProductRef},
    mysql::{action::Deed, product::ProductRow},
    producer::{Alone, CanceledLane, PausedProduct, Producer, ProducerError},
    redis::{Patience, Redis},
};

/// How long MySQL may take before Redis alone is asked: meanwhile people are told.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// With what.
pub(super) enum Hands {
    /// Both stores, and what MySQL knows of the product.
    Both(Box<Producer>, ProductRow),
    /// Redis, which knows the product.
    Alone(Alone),
}

impl Hands {
    /// Which product.
    pub(super) fn product(&self) -> ProductId {
        match self {
            Self::Both(_, product) => product.id,
            Self::Alone(alone) => alone.product(),
        }
    }

    /// The enabled channels.
    pub(super) fn channels(&self) -> Vec<Channel> {
        match self {
            Self::Both(producer, _) => producer.channels().to_vec(),
            Self::Alone(alone) => alone.channels().to_vec(),
        }
    }

    /// As [`Producer::cancel_all`].
    pub(super) async fn cancel_all(
        &self,
        channels: &[Channel],
        reason: &str,
    ) -> Result<Vec<CanceledLane>, ProducerError> {
        match self {
            Self::Both(producer, product) => producer.cancel_all(product.id, channels, reason).await,
            Self::Alone(alone) => alone.cancel_all(channels, reason).await,
        }
    }

    /// As [`Producer::pause`].
    pub(super) async fn pause(&self, paused: bool) -> Result<PausedProduct, ProducerError> {
        match self {
            Self::Both(producer, product) => producer.pause(product.id, paused).await,
            Self::Alone(alone) => alone.pause(paused).await,
        }
    }
}

impl Context {
    /// What the named product is changed with.
    ///
    /// # Errors
    /// As [`Context::stores`] and [`Context::product`]; that MySQL does not answer only where Redis alone does not know the
    /// product well enough, or it was named by its code.
    pub(super) async fn hands(&self, name: &ProductRef) -> anyhow::Result<Hands> {
        let both = async {
            let producer = Producer::new(self.stores().await?);
            let product = self.product(&producer.stores().mysql, name).await?;
            Ok(Hands::Both(Box::new(producer), product))
        };
        let alone = async {
            let ProductRef::Id(product) = name else { return None };
            Alone::find(self.redis_alone().await?, *product).await.ok().flatten().map(Hands::Alone)
        };
        both_or_alone(both, alone).await
    }

    /// Redis, for who goes on without MySQL; `None` when it does not answer either.
    pub(super) async fn redis_alone(&self) -> Option<Redis> {
        Redis::connect(&self.backends.redis_url, &self.backends.namespace, Patience::Short).await.ok()
    }

    /// As [`Context::act`]; with Redis alone there is no row about it.
    ///
    /// # Errors
    /// As [`Context::act`].
    pub(super) async fn act_with(
        &self,
        hands: &Hands,
        deed: &Deed,
        work: impl Future<Output = anyhow::Result<String>>,
    ) -> anyhow::Result<()> {
        match hands {
            Hands::Both(producer, _) => self.act(&producer.stores().mysql, deed, work).await,
            Hands::Alone(_) => {
                work.await?;
                self.note_no_mysql("done in Redis alone, and not recorded in `actions`");
                Ok(())
            }
        }
    }

    /// Says that MySQL does not answer, and what of it.
    pub(super) fn note_no_mysql(&self, what: &str) {
        output::note(&format!("MySQL at {} does not answer: {what}", self.backends.mysql_address()));
    }
}

/// What both stores come to; what Redis alone comes to, when MySQL does not answer in time and that is anything.
pub(super) async fn both_or_alone<T>(
    both: impl Future<Output = anyhow::Result<T>>,
    alone: impl Future<Output = Option<T>>,
) -> anyhow::Result<T> {
    tokio::pin!(both);
    let error = match tokio::time::timeout(ANSWER_MAX, &mut both).await {
        Ok(Err(error)) if is_mysql_unreachable(&error) => Some(error),
        Ok(answered) => return answered,
        Err(_) => None,
    };
    match (alone.await, error) {
        (Some(alone), _) => Ok(alone),
        (None, Some(error)) => Err(error),
        (None, None) => both.await,
    }
}
