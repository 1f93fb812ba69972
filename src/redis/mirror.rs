//! What of MySQL is mirrored in the `meta` hashes, for the scripts, and for those who go on without MySQL.

use fred::interfaces::HashesInterface;

use super::{Redis, RedisError};
use crate::ids::{Channel, Partition, ProductId};

/// Where the number of partitions is found: there always is a first one.
const FIRST: Partition = Partition(0);

impl Redis {
    /// Mirrors the enabled channels, for the scripts that must know them all.
    ///
    /// # Errors
    /// As any call.
    pub async fn mirror_channels(&self, partition: Partition, channels: &str) -> Result<(), RedisError> {
        let _: () = self.client.hset(self.keys.meta(partition), ("channels", channels)).await?;
        Ok(())
    }

    /// Mirrors the number of partitions, which never changes, and the enabled channels where none are mirrored yet.
    ///
    /// # Errors
    /// As any call.
    pub async fn mirror_first(&self, partition: Partition, partitions: u16, channels: &str) -> Result<(), RedisError> {
        let _: () = self.client.hset(self.keys.meta(FIRST), ("partitions", partitions)).await?;
        let _: bool = self.client.hsetnx(self.keys.meta(partition), "channels", channels).await?;
        Ok(())
    }

    /// Over how many partitions the products here are spread; `None` where that is not mirrored.
    ///
    /// # Errors
    /// As any call.
    pub async fn mirrored_partitions(&self) -> Result<Option<u16>, RedisError> {
        let partitions: Option<u16> = self.client.hget(self.keys.meta(FIRST), "partitions").await?;
        Ok(partitions.filter(|count| *count > 0))
    }

    /// Where a product lies, and the enabled channels there; `None` where they are not mirrored.
    ///
    /// # Errors
    /// As any call.
    pub async fn mirrored(&self, product: ProductId) -> Result<Option<(Partition, Vec<Channel>)>, RedisError> {
        let Some(partitions) = self.mirrored_partitions().await? else { return Ok(None) };
        let partition = Partition::of(product, partitions);
        let channels = self.mirrored_channels(partition).await?;
        Ok(channels.as_deref().and_then(parse_list).map(|channels| (partition, channels)))
    }

    /// The enabled channels of every partition; `None` where they are not mirrored.
    ///
    /// # Errors
    /// As any call.
    pub async fn mirrored_everywhere(&self) -> Result<Option<Vec<(Partition, Vec<Channel>)>>, RedisError> {
        let Some(partitions) = self.mirrored_partitions().await? else { return Ok(None) };
        let mut all = Vec::new();
        for partition in (0..partitions).map(Partition) {
            let Some(channels) = self.mirrored_channels(partition).await?.as_deref().and_then(parse_list) else {
                return Ok(None);
            };
            all.push((partition, channels));
        }
        Ok(Some(all))
    }

    /// Whether Redis holds this product and it was checked against MySQL under the server's present run.
    ///
    /// # Errors
    /// As any call.
    pub async fn is_checked(&self, partition: Partition, product: ProductId) -> Result<bool, RedisError> {
        let run: Option<String> = self.client.hget(self.keys.product(partition, product), "run").await?;
        Ok(run.is_some() && run == Some(self.run_id_of(partition).await?))
    }

    /// The epoch of a product; `None` when Redis does not hold it.
    ///
    /// # Errors
    /// As any call.
    pub async fn product_epoch(&self, partition: Partition, product: ProductId) -> Result<Option<u64>, RedisError> {
        Ok(self.client.hget(self.keys.product(partition, product), "epoch").await?)
    }

    /// The greatest request of the outbox that was answered, as [`Redis::set_newest_request`] left it.
    ///
    /// # Errors
    /// As any call.
    pub async fn newest_request(&self, partition: Partition) -> Result<Option<i64>, RedisError> {
        Ok(self.client.hget(self.keys.meta(partition), "newest_request").await?)
    }

    /// Remembers the greatest request of the outbox that was answered, for a MySQL that is set back.
    ///
    /// # Errors
    /// As any call.
    pub async fn set_newest_request(&self, partition: Partition, request: i64) -> Result<(), RedisError> {
        let _: () = self.client.hset(self.keys.meta(partition), ("newest_request", request)).await?;
        Ok(())
    }
}

fn parse_list(names: &str) -> Option<Vec<Channel>> {
    names.split(',').map(|name| name.parse().ok()).collect()
}
