//! How each kind of row is written, many at a time.
//!
//! Invariant: writing the same rows twice changes nothing, and an older state never replaces a newer one.

use std::{fmt, future::Future};

use sqlx::{MySql, MySqlConnection, QueryBuilder};

use super::{
    batch::{Person, Said},
    entry::{ProductState, Subject},
    words::{self, Words},
};
use crate::{
    ids::{LaneId, Place, UserId},
    mysql,
    round::{RoundState, Stamp, Status, encode_places},
};

/// The sizes of statements: few different ones, so that each is prepared once.
const PORTIONS: [usize; 4] = [512, 64, 8, 1];

/// A kind of row.
pub(super) trait Row: fmt::Debug + Sized + Send + Sync {
    /// What it is, for `log_dead`.
    const KIND: &'static str;

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
}

/// Splits rows into portions of those sizes.
pub(super) fn portions<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = PORTIONS.into_iter().find(|size| *size <= rows.len())?;
        let (portion, rest) = rows.split_at(size);
        rows = rest;
        Some(portion)
    })
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

impl Row for Person {
    const KIND: &'static str = "person";

    fn about(&self) -> Subject {
        Subject { product: Some(self.product), channel: Some(self.channel.clone()), round: Some(self.round) }
    }

    fn words(&self) -> Words {
        words::of_person(self)
    }

    fn name(&self) -> String {
        let Self { product, round, channel, settled } = self;
        // Of those who were erased there may be many in a round.
        let whose = match settled.user {
            UserId::NOBODY => format!("somebody at {}", settled.place),
            user => format!("user {user}"),
        };
        format!("{whose} in round {round} of {product}/{channel}")
    }

    /// For one person SENT beats any other outcome, else the later one stands. `sent_at` is assigned before the
    /// outcome that its rule looks at; once assigned, the rule still gives the same answer.
    ///
    /// Nearly always all rows are new, and to say what is to become of an old one makes the statement dearer: so that is
    /// said only after one was found.
    async fn write(rows: &[Said<Self>], db: &mut MySqlConnection) -> sqlx::Result<()> {
        match insert(rows).build().execute(&mut *db).await {
            Err(error) if mysql::is_duplicate(&error) => {}
            inserted => return inserted.map(drop),
        }
        const STANDS: &str = "outcome = 'SENT' OR (VALUES(outcome) <> 'SENT' AND VALUES(sent_at) < sent_at)";
        let mut query = insert(rows);
        query.push(" ON DUPLICATE KEY UPDATE tries = IF(").push(STANDS);
        query.push(", tries, VALUES(tries)), sent_at = IF(").push(STANDS);
        query.push(", sent_at, VALUES(sent_at)), outcome = IF(").push(STANDS);
        query.push(", outcome, VALUES(outcome))");
        query.build().execute(db).await.map(drop)
    }
}

fn insert(rows: &[Said<Person>]) -> QueryBuilder<MySql> {
    let mut query = QueryBuilder::new(
        "INSERT INTO product_user_notification_history
         (product_id, restock_round, channel, place, user_id, outcome, sent_at, tries) ",
    );
    query.push_values(rows, |mut row, Said { what, .. }| {
        row.push_bind(what.product.0)
            .push_bind(what.round.0)
            .push_bind(what.channel.as_str())
            .push_bind(what.settled.place.datetime())
            .push_bind(what.settled.user.0)
            .push_bind(what.settled.outcome.as_str())
            .push_bind(Place(what.settled.at_us).datetime())
            .push_bind(u16::try_from(what.settled.tries).unwrap_or(u16::MAX));
    });
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_have_few_sizes_and_lose_nobody() {
        let rows = vec![0; 1_099];
        let sizes: Vec<usize> = portions(&rows).map(<[i32]>::len).collect();
        assert_eq!(sizes, [512, 512, 64, 8, 1, 1, 1]);
    }
}
