//! Where Redis names a person: a lane that is resumed, parked or logged again would bring the name back to MySQL.

use crate::{
    ids::UserId,
    mysql::erase,
    stores::{Stores, lane_stamps},
};

/// Takes the name out of all lanes, also those of channels that are disabled.
pub(super) async fn forget(stores: &Stores, user: UserId) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let products = erase::products_after(&stores.mysql, after).await?;
        let Some(last) = products.last() else { return Ok(()) };
        after = Some(*last);
        let recorded = lane_stamps(&stores.mysql, &products).await?;
        for product in products {
            let mut channels = stores.settings.channels.clone();
            for (_, channel) in recorded.keys().filter(|(of, _)| *of == product) {
                if !channels.contains(channel) {
                    channels.push(channel.clone());
                }
            }
            stores.redis.forget(stores.partition_of(product), product, &channels, user).await?;
        }
    }
}
