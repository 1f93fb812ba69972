//! How new the lanes of products are in MySQL.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{MySqlExecutor, QueryBuilder};

use crate::{
    ids::{Channel, ParseError, ProductId},
    mysql::{setting::KNOWN_CHANNELS, sizes::push_filled},
    round::Stamp,
};

/// What MySQL knows of a lane, over all its rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneStamps {
    /// The newest stamp of any of its rows.
    pub newest: Stamp,
    /// The greatest round it has a row for.
    pub last_round: u32,
    /// The greatest that is queued and was never begun; 0 without any.
    pub unbegun: u32,
}

/// The stamps of all lanes of these products that have a row, by product and channel.
///
/// # Errors
/// Those of MySQL.
pub async fn lane_stamps(
    db: impl MySqlExecutor<'_>,
    products: &[ProductId],
) -> sqlx::Result<BTreeMap<(ProductId, Channel), LaneStamps>> {
    let mut lanes: BTreeMap<_, LaneStamps> = BTreeMap::new();
    if products.is_empty() {
        return Ok(lanes);
    }
    let mut query = QueryBuilder::new(
        "SELECT product_id, channel, epoch, MAX(version), MAX(restock_round),
           MAX(CASE WHEN status = 'QUEUED' AND started_at IS NULL THEN restock_round END)
         FROM product_notification_history FORCE INDEX (PRIMARY) WHERE product_id IN (",
    );
    push_filled(&mut query, products, |product| product.0);
    query.push(") GROUP BY product_id, channel, epoch");
    let rows: Vec<(i64, String, u64, u64, u32, Option<u32>)> = query.build_query_as().fetch_all(db).await?;
    for (product, channel, epoch, version, round, unbegun) in rows {
        let channel = channel.parse().map_err(|error: ParseError| sqlx::Error::Decode(Box::new(error)))?;
        let lane = lanes.entry((ProductId(product), channel)).or_default();
        lane.newest = lane.newest.max(Stamp { epoch, version });
        lane.last_round = lane.last_round.max(round);
        lane.unbegun = lane.unbegun.max(unbegun.unwrap_or(0));
    }
    Ok(lanes)
}

/// Every channel on which a product may have a lane: those that are known, those that are enabled, and those of its rows.
#[must_use]
pub fn all_channels(enabled: &[Channel], recorded: impl IntoIterator<Item = Channel>) -> BTreeSet<Channel> {
    let known = KNOWN_CHANNELS.iter().filter_map(|name| name.parse().ok());
    known.chain(enabled.iter().cloned()).chain(recorded).collect()
}
