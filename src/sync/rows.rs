//! How each kind of row is written, many at a time.
//!
//! Invariant: writing the same rows twice changes nothing, and an older state never replaces a newer one.

use std::{fmt, future::Future};

use sqlx::{MySqlConnection, QueryBuilder};

use super::{
    batch::Said,
    entry::{ProductState, Subject},
    words::{self, Words},
};
use crate::{
    ids::{LaneId, Place},
    mysql::sizes::portions,
    round::{RoundState, Stamp, Status, encode_places},
};

/// A kind of row.
pub(super) trait Row: fmt::Debug + Sized + Send + Sync {
    /// What it is, for `log_dead`.
    const KIND: &'static str;
    /// The most that are written by one statement.
    const ROWS_MAX: usize = 512;

    /// What it is about.
    fn about(&self) -> Subject;

    /// Which row it is, for `log_dead` and to tell its versions apart from others'.
    fn name(&self) -> String;

    /// How new it is, if Redis can log it again.
    fn stamp(&self) -> Option<Stamp> {
        None
    }

    /// All of it, as an entry of the log.
    fn words(&self) -> Words;

    /// All of it but how new it is: to log the same content again, which was refused, would be of no use.
    fn content(&self) -> String {
        format!("{self:?}")
    }

    /// Writes all of them with one statement.
    fn write(rows: &[Said<Self>], db: &mut MySqlConnection) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Writes them with one statement after the other.
    fn write_all(rows: &[Said<Self>], db: &mut MySqlConnection) -> impl Future<Output = sqlx::Result<()>> + Send {
        async move {
            for portion in portions(rows, Self::ROWS_MAX) {
                Self::write(portion, db).await?;
            }
            Ok(())
        }
    }
}

impl Row for ProductState {
    const KIND: &'static str = "product";

    fn about(&self) -> Subject {
        Subject { product: Some(self.product), ..Subject::default() }
    }

    fn content(&self) -> String {
        format!("{:?}", Self { stamp: Stamp::default(), ..self.clone() })
    }

    fn words(&self) -> Words {
        words::of_product(self)
    }

    fn name(&self) -> String {
        format!("product {}", self.product)
    }

    fn stamp(&self) -> Option<Stamp> {
        Some(self.stamp)
    }

    async fn write(rows: &[Said<Self>], db: &mut MySqlConnection) -> sqlx::Result<()> {
        let mut query = QueryBuilder::new("UPDATE product p JOIN (");
        for (at, Said { what, .. }) in rows.iter().enumerate() {
            query.push(if at == 0 { "SELECT CAST(" } else { " UNION ALL SELECT CAST(" });
            query.push_bind(what.product.0).push(" AS SIGNED) AS id, CAST(");
            query.push_bind(what.stock).push(" AS SIGNED) AS stock, CAST(");
            query.push_bind(what.round).push(" AS UNSIGNED) AS round, CAST(");
            query.push_bind(what.paused).push(" AS UNSIGNED) AS is_paused, CAST(");
            query.push_bind(what.stamp.epoch).push(" AS UNSIGNED) AS epoch, CAST(");
            query.push_bind(what.stamp.version).push(" AS UNSIGNED) AS version");
        }
        query.push(
            ") n ON n.id = p.id
             SET p.stock = n.stock, p.restock_round = n.round, p.is_paused = n.is_paused, p.epoch = n.epoch, p.version = n.version,
                 p.reserved_epoch = GREATEST(p.reserved_epoch, n.epoch)
             WHERE n.epoch > p.epoch OR (n.epoch = p.epoch AND n.version > p.version)",
        );
        query.build().execute(db).await.map(drop)
    }
}

/// The columns of a round that follow its newest state, the stamp excepted.
const ROUND_STATE: [&str; 16] = [
    "status",
    "from_place",
    "cursor_place",
    "upto_place",
    "ahead",
    "last_user_id",
    "blocked_user_id",
    "sent_count",
    "skipped_count",
    "failed_count",
    "unknown_count",
    "queued_at",
    "started_at",
    "ended_at",
    "retry_of",
    "reason",
];

/// The version must still be the old one where it is compared, and MySQL assigns from left to right: so the columns
/// come first, then the version, then the epoch, whose greatest is right in any case.
fn round_update() -> String {
    const NEWER: &str = "VALUES(epoch) > epoch OR (VALUES(epoch) = epoch AND VALUES(version) > version)";
    let columns = ROUND_STATE.iter().chain(&["version"]);
    let assigned: Vec<String> = columns.map(|c| format!("{c} = IF({NEWER}, VALUES({c}), {c})")).collect();
    let assigned = assigned.join(", ");
    // A total that was counted stands.
    format!(
        " ON DUPLICATE KEY UPDATE {assigned}, epoch = GREATEST(epoch, VALUES(epoch)), total = COALESCE(total, VALUES(total))"
    )
}

impl Row for RoundState {
    const KIND: &'static str = "round";

    fn about(&self) -> Subject {
        let LaneId { product, channel } = self.lane.clone();
        Subject { product: Some(product), channel: Some(channel), round: Some(self.round) }
    }

    fn content(&self) -> String {
        format!("{:?}", Self { stamp: Stamp::default(), ..self.clone() })
    }

    fn words(&self) -> Words {
        words::of_round(self)
    }

    fn name(&self) -> String {
        format!("round {} of {}", self.round, self.lane)
    }

    fn stamp(&self) -> Option<Stamp> {
        Some(self.stamp)
    }

    async fn write(rows: &[Said<Self>], db: &mut MySqlConnection) -> sqlx::Result<()> {
        let columns = ROUND_STATE.join(", ");
        let mut query = QueryBuilder::new(format!(
            "INSERT INTO product_notification_history
             (product_id, restock_round, channel, {columns}, epoch, version, total) "
        ));
        let at = |us: Option<i64>| us.map(|us| Place(us).datetime());
        query.push_values(rows, |mut row, Said { what, .. }| {
            row.push_bind(what.lane.product.0)
                .push_bind(what.round.0)
                .push_bind(what.lane.channel.as_str())
                .push_bind(what.status.as_str())
                .push_bind(what.from.map(Place::datetime))
                .push_bind(what.cursor.map(Place::datetime))
                .push_bind(what.upto.map(Place::datetime))
                .push_bind(encode_places(&what.ahead))
                .push_bind(what.last_user.map(|user| user.0))
                .push_bind(what.blocked_user.map(|user| user.0))
                .push_bind(what.counts.sent)
                .push_bind(what.counts.skipped)
                .push_bind(what.counts.failed)
                .push_bind(what.counts.unknown)
                .push_bind(at(what.queued_us))
                .push_bind(at(what.started_us))
                .push_bind(at(what.ended_us))
                .push_bind(what.retry_of.map(Status::as_str))
                .push_bind(what.reason.as_deref())
                .push_bind(what.stamp.epoch)
                .push_bind(what.stamp.version)
                .push_bind(what.total());
        });
        query.push(round_update());
        query.build().execute(db).await.map(drop)
    }
}
