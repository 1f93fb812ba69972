//! The names of all keys. `docs/architecture.md` lists them in one table.
//!
//! All of one product lies in one partition, which is one hash slot: `{restock:3}`.

use std::sync::{Arc, Mutex, PoisonError};

use super::jobs::Line;
use crate::ids::{Channel, LaneId, Namespace, Partition, ProductId};

/// Builds key names for one namespace.
#[derive(Debug, Clone)]
pub struct Keys {
    namespace: Arc<Namespace>,
    /// As many as there are partitions and channels.
    around: Arc<Mutex<Vec<Arc<Around>>>>,
}

impl Keys {
    /// The names of this namespace.
    #[must_use]
    pub fn new(namespace: Namespace) -> Self {
        Self { namespace: Arc::new(namespace), around: Arc::default() }
    }

    /// `{ns:P}`: the hash tag, and the name of the partition's stop signal.
    #[must_use]
    pub fn signal(&self, partition: Partition) -> String {
        format!("{{{}:{partition}}}", self.namespace)
    }

    fn within(&self, partition: Partition, rest: std::fmt::Arguments<'_>) -> String {
        format!("{{{}:{partition}}}:{rest}", self.namespace)
    }

    /// Hash: stock, round, epoch, version, and the server run under which it was last checked.
    #[must_use]
    pub fn product(&self, partition: Partition, product: ProductId) -> String {
        self.within(partition, format_args!("product:{product}"))
    }

    /// Hash: everything of a lane.
    #[must_use]
    pub fn lane(&self, partition: Partition, lane: &LaneId) -> String {
        self.within(partition, format_args!("lane:{}:{}", lane.product, lane.channel))
    }

    /// Stream: fresh work of a channel.
    #[must_use]
    pub fn jobs(&self, partition: Partition, channel: &Channel) -> String {
        self.within(partition, format_args!("jobs:{channel}"))
    }

    /// Stream: work of a channel that was handed back.
    #[must_use]
    pub fn again(&self, partition: Partition, channel: &Channel) -> String {
        self.within(partition, format_args!("jobs:{channel}:again"))
    }

    /// The one of a channel's two streams.
    #[must_use]
    pub fn stream(&self, partition: Partition, channel: &Channel, line: Line) -> String {
        match line {
            Line::Fresh => self.jobs(partition, channel),
            Line::Again => self.again(partition, channel),
        }
    }

    /// Stream: lanes given up, with the reason.
    #[must_use]
    pub fn dead(&self, partition: Partition, channel: &Channel) -> String {
        self.within(partition, format_args!("dead:{channel}"))
    }

    /// Stream: every change that MySQL must learn of.
    #[must_use]
    pub fn log(&self, partition: Partition) -> String {
        self.within(partition, format_args!("log"))
    }

    /// String: what an idempotency key led to.
    #[must_use]
    pub fn seen(&self, partition: Partition, product: ProductId, key: &str) -> String {
        self.within(partition, format_args!("seen:{product}:{key}"))
    }

    /// String: what a call led to, for a client that sends it again.
    #[must_use]
    pub fn call(&self, partition: Partition, call: &str) -> String {
        self.within(partition, format_args!("call:{call}"))
    }

    /// Hash: incarnation of the log, enabled channels.
    #[must_use]
    pub fn meta(&self, partition: Partition) -> String {
        self.within(partition, format_args!("meta"))
    }

    /// Sorted set: products in Redis by the time of their last change, in ms.
    #[must_use]
    pub fn products(&self, partition: Partition) -> String {
        self.within(partition, format_args!("products"))
    }

    /// Hash: the shared pace of this name.
    #[must_use]
    pub fn pace(&self, name: &str) -> String {
        format!("{{{}}}:pace:{name}", self.namespace)
    }

    /// String: that a call to the pace was made, for a client that sends it again.
    #[must_use]
    pub fn pace_call(&self, call: &str) -> String {
        format!("{{{}}}:call:{call}", self.namespace)
    }

    /// String: what one process counted in MySQL, for the others.
    #[must_use]
    pub fn census(&self) -> String {
        format!("{{{}}}:census", self.namespace)
    }

    /// String: that some process counts now.
    #[must_use]
    pub fn census_taking(&self) -> String {
        format!("{{{}}}:census:taking", self.namespace)
    }

    /// `{ns}:inbox`: the channel of hints that there are new messages in the inbox.
    #[must_use]
    pub fn inbox_hint(&self) -> String {
        format!("{{{}}}:inbox", self.namespace)
    }

    /// The keys that the scripts of one lane need, built once per hold.
    #[must_use]
    pub fn of_lane(&self, partition: Partition, lane: &LaneId) -> LaneKeys {
        LaneKeys {
            lane: self.lane(partition, lane),
            product: self.product(partition, lane.product),
            around: self.around(partition, &lane.channel),
        }
    }

    /// The same for all lanes of a partition and channel: made once.
    fn around(&self, partition: Partition, channel: &Channel) -> Arc<Around> {
        let mut known = self.around.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(around) = known.iter().find(|around| around.partition == partition && around.channel == *channel) {
            return around.clone();
        }
        let around = Arc::new(Around {
            partition,
            channel: channel.clone(),
            log: self.log(partition),
            jobs: self.jobs(partition, channel),
            again: self.again(partition, channel),
            dead: self.dead(partition, channel),
            products: self.products(partition),
            signal: self.signal(partition),
        });
        known.push(around.clone());
        around
    }
}

/// The keys of one lane and of its surroundings.
#[derive(Debug, Clone)]
pub struct LaneKeys {
    pub(crate) lane: String,
    pub(crate) product: String,
    pub(crate) around: Arc<Around>,
}

/// What the lanes of one partition and channel have around them.
#[derive(Debug)]
pub(crate) struct Around {
    partition: Partition,
    channel: Channel,
    pub(crate) log: String,
    pub(crate) jobs: String,
    pub(crate) again: String,
    pub(crate) dead: String,
    pub(crate) products: String,
    pub(crate) signal: String,
}

impl Around {
    /// Those that shared scripts name, in the order in which they do.
    pub(crate) fn shared(&self) -> [&String; 4] {
        [&self.log, &self.jobs, &self.again, &self.dead]
    }
}
