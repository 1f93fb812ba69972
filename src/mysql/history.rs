//! Reading rounds and what became of people: for those who ask, and to rebuild Redis.

mod outcomes;
mod seen;

use chrono::NaiveDateTime;
use sqlx::{FromRow, MySql, MySqlConnection, MySqlExecutor, QueryBuilder, Row, mysql::MySqlRow};

use super::decode_error;
use crate::{
    ids::{Channel, LaneId, Place, ProductId, Round, Sku, UserId},
    round::{Counts, RoundState, Stamp, decode_places},
};

pub use outcomes::{PeopleOf, PersonRow, failed, next_with_outcomes, people, person};
pub use seen::{Seen, newest_upto};

/// The reason of a round that was cancelled before its turn came: it says nothing about where its lane stands.
pub const CANCELED_WHILE_WAITING: &str = "canceled while waiting";
/// The reason of a round whose end MySQL never learned, when a later one is known.
const STALE: &str = "a later round is known, and not what became of this one";

/// A round of a lane with what people want to see beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundRow {
    /// Its absolute state.
    pub state: RoundState,
    /// The code of its product.
    pub sku: Option<Sku>,
    /// People in (from, upto]; `None` until they are counted.
    pub total: Option<u64>,
    /// Whether its product stands still until it is unpaused.
    pub is_paused: bool,
}

impl<'r> FromRow<'r, MySqlRow> for RoundRow {
    fn from_row(row: &'r MySqlRow) -> sqlx::Result<Self> {
        let text = |column: &str| row.try_get::<String, _>(column);
        let place = |column: &str| Ok::<_, sqlx::Error>(time(row, column)?.map(Place::from_datetime));
        let time_us = |column: &str| Ok::<_, sqlx::Error>(time(row, column)?.map(|at| at.and_utc().timestamp_micros()));
        let user = |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(UserId));
        let sku: Option<String> = row.try_get("sku")?;
        let state = RoundState {
            lane: LaneId {
                product: ProductId(row.try_get("product_id")?),
                channel: text("channel")?.parse().map_err(decode_error)?,
            },
            round: Round(row.try_get("restock_round")?),
            status: text("status")?.parse().map_err(decode_error)?,
            from: place("from_place")?,
            cursor: place("cursor_place")?,
            upto: place("upto_place")?,
            ahead: decode_places(&text("ahead")?).map_err(decode_error)?,
            last_user: user("last_user_id")?,
            blocked_user: user("blocked_user_id")?,
            counts: Counts {
                sent: row.try_get("sent_count")?,
                skipped: row.try_get("skipped_count")?,
                failed: row.try_get("failed_count")?,
                unknown: row.try_get("unknown_count")?,
            },
            stamp: Stamp { epoch: row.try_get("epoch")?, version: row.try_get("version")? },
            retry_of: row
                .try_get::<Option<String>, _>("retry_of")?
                .map(|status| status.parse())
                .transpose()
                .map_err(decode_error)?,
            reason: row.try_get("reason")?,
            queued_us: time_us("queued_at")?,
            started_us: time_us("started_at")?,
            ended_us: time_us("ended_at")?,
        };
        let sku = sku.map(|sku| sku.parse()).transpose().map_err(decode_error)?;
        Ok(Self {
            state,
            sku,
            total: row.try_get("total")?,
            is_paused: row.try_get::<Option<bool>, _>("is_paused")?.unwrap_or(false),
        })
    }
}

fn time(row: &MySqlRow, column: &str) -> sqlx::Result<Option<NaiveDateTime>> {
    row.try_get(column)
}

/// Where every lane stands, of one product or of all: its current or last round, then the one that waits behind it.
///
/// The last round of a lane is the highest that has begun or ended, and was neither superseded nor cancelled while it
/// waited. If it is open it is current, and a higher round that never began waits behind it; if it has ended, that round is
/// current. A row that is open below the last round is stale: MySQL was set back, or refused how that round ended. Sorted by
/// product, channel, round.
///
/// # Errors
/// Those of MySQL.
pub async fn rounds(db: impl MySqlExecutor<'_>, product: Option<ProductId>) -> sqlx::Result<Vec<RoundRow>> {
    sqlx::query_as(
        "SELECT h.*, p.sku, p.is_paused FROM product_notification_history h
         JOIN (SELECT product_id, channel,
                 MAX(CASE WHEN (started_at IS NOT NULL OR status NOT IN ('QUEUED', 'IN_PROGRESS'))
                      AND status <> 'SUPERSEDED' AND NOT (reason <=> ?) THEN restock_round END) AS last_round,
                 MAX(CASE WHEN status = 'QUEUED' AND started_at IS NULL THEN restock_round END) AS waiting_round
               FROM product_notification_history WHERE ? IS NULL OR product_id = ? GROUP BY product_id, channel) lane
           ON lane.product_id = h.product_id AND lane.channel = h.channel
          AND h.restock_round IN (lane.last_round, lane.waiting_round)
          AND h.restock_round >= COALESCE(lane.last_round, 0)
          AND NOT (h.restock_round <=> lane.last_round AND h.status NOT IN ('QUEUED', 'IN_PROGRESS')
                   AND COALESCE(lane.waiting_round, 0) > lane.last_round)
         LEFT JOIN product p ON p.id = h.product_id
         ORDER BY h.product_id, h.channel, h.restock_round",
    )
    .bind(CANCELED_WHILE_WAITING)
    .bind(product.map(|id| id.0))
    .bind(product.map(|id| id.0))
    .fetch_all(db)
    .await
}

/// Ends what is stale by the rule of [`rounds`]: rows of a product's lanes that are open below the current or last round
/// of their lane, by channel and number.
///
/// # Errors
/// Those of MySQL.
pub async fn end_stale(
    db: &mut MySqlConnection,
    product: ProductId,
    current: &[(&Channel, Round)],
) -> sqlx::Result<u64> {
    if current.is_empty() {
        return Ok(0);
    }
    let mut sql = QueryBuilder::<MySql>::new(
        "UPDATE product_notification_history SET status = 'SUPERSEDED', ended_at = UTC_TIMESTAMP(6), reason = ",
    );
    sql.push_bind(STALE).push(" WHERE product_id = ").push_bind(product.0);
    sql.push(" AND status IN ('QUEUED', 'IN_PROGRESS') AND (");
    let mut lanes = sql.separated(" OR ");
    for (channel, round) in current {
        lanes.push("(channel = ").push_bind_unseparated(channel.as_str());
        lanes.push_unseparated(" AND restock_round < ").push_bind_unseparated(round.0).push_unseparated(")");
    }
    sql.push(")");
    Ok(sql.build().execute(db).await?.rows_affected())
}

/// One round of a lane, whatever became of it.
///
/// # Errors
/// Those of MySQL.
pub async fn round_of(db: impl MySqlExecutor<'_>, lane: &LaneId, round: Round) -> sqlx::Result<Option<RoundRow>> {
    sqlx::query_as(
        "SELECT h.*, p.sku, p.is_paused FROM product_notification_history h LEFT JOIN product p ON p.id = h.product_id
         WHERE h.product_id = ? AND h.restock_round = ? AND h.channel = ?",
    )
    .bind(lane.product.0)
    .bind(round.0)
    .bind(lane.channel.as_str())
    .fetch_optional(db)
    .await
}

/// The newest `limit` rounds of a product in all channels, whatever became of them, in order.
///
/// # Errors
/// Those of MySQL.
pub async fn newest_rounds(db: impl MySqlExecutor<'_>, product: ProductId, limit: u32) -> sqlx::Result<Vec<RoundRow>> {
    let mut rows: Vec<RoundRow> = sqlx::query_as(
        "SELECT h.*, p.sku, p.is_paused FROM product_notification_history h LEFT JOIN product p ON p.id = h.product_id
         WHERE h.product_id = ? ORDER BY h.restock_round DESC, h.channel DESC LIMIT ?",
    )
    .bind(product.0)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.reverse();
    Ok(rows)
}

/// The rounds of a product in all channels, of the newest `limit` rounds before `before`, whatever became of them; the
/// newest first.
///
/// # Errors
/// Those of MySQL.
pub async fn rounds_before(
    db: impl MySqlExecutor<'_>,
    product: ProductId,
    before: Option<Round>,
    limit: u32,
) -> sqlx::Result<Vec<RoundRow>> {
    sqlx::query_as(
        "SELECT h.*, p.sku, p.is_paused FROM product_notification_history h
         JOIN (SELECT DISTINCT restock_round FROM product_notification_history
               WHERE product_id = ? AND restock_round < ? ORDER BY restock_round DESC LIMIT ?) newest
           ON newest.restock_round = h.restock_round
         LEFT JOIN product p ON p.id = h.product_id
         WHERE h.product_id = ? ORDER BY h.restock_round DESC, h.channel",
    )
    .bind(product.0)
    .bind(before.map_or(u64::MAX, |round| u64::from(round.0)))
    .bind(limit)
    .bind(product.0)
    .fetch_all(db)
    .await
}

/// What rebuilds the lanes of a product in Redis: per channel the rows of [`rounds`].
///
/// # Errors
/// Those of MySQL.
pub async fn lanes_of(db: impl MySqlExecutor<'_>, product: ProductId) -> sqlx::Result<Vec<RoundState>> {
    Ok(rounds(db, Some(product)).await?.into_iter().map(|row| row.state).collect())
}

/// The channels in which a product had a round, sorted; none when there was no such round.
///
/// # Errors
/// Those of MySQL.
pub async fn channels_of(db: impl MySqlExecutor<'_>, product: ProductId, round: Round) -> sqlx::Result<Vec<Channel>> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT channel FROM product_notification_history WHERE product_id = ? AND restock_round = ? ORDER BY channel",
    )
    .bind(product.0)
    .bind(round.0)
    .fetch_all(db)
    .await?;
    names.into_iter().map(|name| name.parse().map_err(decode_error)).collect()
}

/// Whether MySQL has this state of a round, or a newer one.
///
/// # Errors
/// Those of MySQL.
pub async fn is_recorded(db: impl MySqlExecutor<'_>, of: &PeopleOf, stamp: Stamp) -> sqlx::Result<bool> {
    let found: Option<(u64, u64)> = sqlx::query_as(
        "SELECT epoch, version FROM product_notification_history
         WHERE product_id = ? AND restock_round = ? AND channel = ?",
    )
    .bind(of.product.0)
    .bind(of.round.0)
    .bind(of.channel.as_str())
    .fetch_optional(db)
    .await?;
    Ok(found.is_some_and(|(epoch, version)| Stamp { epoch, version } >= stamp))
}
