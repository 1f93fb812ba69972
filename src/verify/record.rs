//! What MySQL knows of a product, as it is compared with Redis.

use std::collections::BTreeMap;

use sqlx::MySqlPool;

use crate::{
    ids::{Channel, ProductId},
    mysql::history::{CANCELED_WHILE_WAITING, RoundRow},
    round::{RoundState, Stamp},
    stores::{LaneStamps, lane_stamps},
};

/// A product's own row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProductRecord {
    pub(super) stock: i64,
    pub(super) round: u32,
    pub(super) is_paused: bool,
    pub(super) stamp: Stamp,
}

/// A product with its lanes.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) product: Option<ProductRecord>,
    pub(super) stamps: BTreeMap<Channel, LaneStamps>,
    /// Every open round, and the last one that has ended and was not overtaken.
    pub(super) rounds: Vec<RoundState>,
}

impl Record {
    /// Reads the stamps first: rounds that change meanwhile are newer than these, never older.
    pub(super) async fn read(db: &MySqlPool, product: ProductId) -> sqlx::Result<Self> {
        let row: Option<(i64, u32, bool, u64, u64)> =
            sqlx::query_as("SELECT stock, restock_round, is_paused, epoch, version FROM product WHERE id = ?")
                .bind(product.0)
                .fetch_optional(db)
                .await?;
        let stamps = lane_stamps(db, &[product]).await?;
        let rounds: Vec<RoundRow> = sqlx::query_as(
            "SELECT h.*, p.sku, p.is_paused FROM product_notification_history h LEFT JOIN product p ON p.id = h.product_id
             WHERE h.product_id = ? AND (h.status IN ('QUEUED', 'IN_PROGRESS') OR (h.channel, h.restock_round) IN
                (SELECT channel, MAX(restock_round) FROM product_notification_history
                 WHERE product_id = ? AND status NOT IN ('QUEUED', 'IN_PROGRESS', 'SUPERSEDED') AND NOT (reason <=> ?)
                 GROUP BY channel))
             ORDER BY h.channel, h.restock_round",
        )
        .bind(product.0)
        .bind(product.0)
        .bind(CANCELED_WHILE_WAITING)
        .fetch_all(db)
        .await?;
        Ok(Self {
            product: row.map(|(stock, round, is_paused, epoch, version)| ProductRecord {
                stock,
                round,
                is_paused,
                stamp: Stamp { epoch, version },
            }),
            stamps: stamps.into_iter().map(|((_, channel), stamps)| (channel, stamps)).collect(),
            rounds: rounds.into_iter().map(|row| row.state).collect(),
        })
    }

    pub(super) fn open_rounds(&self, channel: &Channel) -> impl Iterator<Item = &RoundState> {
        self.rounds.iter().filter(move |round| round.lane.channel == *channel && round.status.is_open())
    }
}
