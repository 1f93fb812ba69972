//! Rows that MySQL refused: set aside in `log_dead`, which marks their lane until MySQL has a newer state of them.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use sqlx::MySqlConnection;

use super::{
    batch::{Batch, Said, Unreadable},
    entry::Subject,
    rows::Row,
};
use crate::{
    ids::{Channel, Partition, ProductId},
    redis::{entry_id::EntryId, log_entry::LogEntry},
    round::Stamp,
};

/// The most of a refused row that is kept; a `TEXT` holds as many in any alphabet.
const DETAIL_CHARS_MAX: usize = 15_000;
const MESSAGE_CHARS_MAX: usize = 255;
/// What is not read at all counts as bad data.
const UNREADABLE: &str = "22000";
/// The most refused rows remembered.
const REMEMBERED_MAX: u32 = 10_000;

/// A row that MySQL refused.
#[derive(Debug)]
pub(super) struct Dead {
    pub(super) entry: EntryId,
    pub(super) about: Subject,
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) sqlstate: String,
    stamp: Option<Stamp>,
    content: u64,
    detail: String,
    message: String,
}

impl Dead {
    pub(super) fn refused<T: Row>(row: &Said<T>, error: &sqlx::Error) -> Self {
        let error = error.as_database_error();
        let mut hasher = DefaultHasher::new();
        row.what.content().hash(&mut hasher);
        Self {
            entry: row.entry,
            about: row.what.about(),
            kind: T::KIND,
            name: row.what.name(),
            stamp: row.what.stamp(),
            content: hasher.finish(),
            sqlstate: error.and_then(sqlx::error::DatabaseError::code).unwrap_or_default().into_owned(),
            detail: serde_json::to_string(&row.what.words()).unwrap_or_default(),
            message: error.map_or_else(String::new, |error| error.message().to_owned()),
        }
    }

    pub(super) fn unreadable(row: &Said<Unreadable>) -> Self {
        Self {
            entry: row.entry,
            about: row.what.about.clone(),
            kind: "entry",
            name: format!("entry {}", row.entry),
            stamp: None,
            content: 0,
            sqlstate: UNREADABLE.to_owned(),
            detail: row.what.fields.clone(),
            message: row.what.error.clone(),
        }
    }

    /// Sets it aside; a row that was before stands there once, as it is now.
    pub(super) async fn bury(&self, tx: &mut MySqlConnection, partition: Partition) -> sqlx::Result<()> {
        let first = |text: &str, chars_max: usize| text.chars().take(chars_max).collect::<String>();
        sqlx::query(
            "INSERT INTO log_dead (partition_id, kind, name, entry, product_id, channel, restock_round, epoch, version,
               detail, `sqlstate`, message) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON DUPLICATE KEY UPDATE times = times + (entry <> VALUES(entry)), entry = VALUES(entry),
               epoch = VALUES(epoch), version = VALUES(version), detail = VALUES(detail),
               `sqlstate` = VALUES(`sqlstate`), message = VALUES(message), mended_at = NULL",
        )
        .bind(partition.0)
        .bind(self.kind)
        .bind(&self.name)
        .bind(self.entry.to_string())
        .bind(self.about.product.map(|product| product.0))
        .bind(self.about.channel.as_ref().map(Channel::as_str))
        .bind(self.about.round.map(|round| round.0))
        .bind(self.stamp.map(|stamp| stamp.epoch))
        .bind(self.stamp.map(|stamp| stamp.version))
        .bind(first(&self.detail, DETAIL_CHARS_MAX))
        .bind(&self.sqlstate)
        .bind(first(&self.message, MESSAGE_CHARS_MAX))
        .execute(tx)
        .await
        .map(drop)
    }
}

/// Writes that MySQL has a newer state of these rows.
pub(super) async fn mend(tx: &mut MySqlConnection, partition: Partition, names: &[String]) -> sqlx::Result<()> {
    for name in names {
        sqlx::query(
            "UPDATE log_dead SET mended_at = UTC_TIMESTAMP(6)
             WHERE partition_id = ? AND kind IN ('product', 'round') AND name = ? AND mended_at IS NULL",
        )
        .bind(partition.0)
        .bind(name)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// The mark of a refused row that an entry tries again; whoever set the row aside meanwhile has written another entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) row: i64,
    pub(super) entry: String,
}

impl Mark {
    /// Where an entry says it.
    pub(super) const FIELD: &str = "mark";

    /// The mark that an entry lifts, if it can be read.
    pub(super) fn of(entry: &LogEntry) -> Option<Self> {
        let (row, entry) = entry.fields.get(Self::FIELD)?.split_once(':')?;
        Some(Self { row: row.parse().ok()?, entry: entry.to_owned() })
    }

    /// Lifts it, unless the row was refused again; to be called after [`Dead::bury`].
    pub(super) async fn lift(&self, tx: &mut MySqlConnection, partition: Partition) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE log_dead SET mended_at = UTC_TIMESTAMP(6)
             WHERE id = ? AND partition_id = ? AND entry = ? AND mended_at IS NULL",
        )
        .bind(self.row)
        .bind(partition.0)
        .bind(&self.entry)
        .execute(tx)
        .await
        .map(drop)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.row, self.entry)
    }
}

#[derive(Debug, Clone, Copy)]
struct Refusal {
    stamp: Stamp,
    /// None when an earlier leader met it.
    content: Option<u64>,
}

/// The refused products and rounds of a partition of which MySQL has nothing newer, by name.
#[derive(Debug, Default)]
pub(super) struct Refusals(HashMap<String, Refusal>);

impl Refusals {
    pub(super) async fn read(db: &mut MySqlConnection, partition: Partition) -> sqlx::Result<Self> {
        let rows: Vec<(String, u64, u64)> = sqlx::query_as(
            "SELECT name, epoch, version FROM log_dead
             WHERE partition_id = ? AND kind IN ('product', 'round') AND mended_at IS NULL AND version IS NOT NULL
             LIMIT ?",
        )
        .bind(partition.0)
        .bind(REMEMBERED_MAX)
        .fetch_all(db)
        .await?;
        let refusal = |(name, epoch, version)| (name, Refusal { stamp: Stamp { epoch, version }, content: None });
        Ok(Self(rows.into_iter().map(refusal).collect()))
    }

    /// Which of them a batch mends, of which these rows were refused.
    pub(super) fn mended_by(&self, batch: &Batch, dead: &[Dead]) -> Vec<String> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let products = batch.products.iter().map(|said| (said.what.name(), said.what.stamp));
        let rounds = batch.rounds.iter().map(|said| (said.what.name(), said.what.stamp));
        products
            .chain(rounds)
            .filter(|(name, stamp)| self.0.get(name).is_some_and(|refusal| *stamp >= refusal.stamp))
            .map(|(name, _)| name)
            .filter(|name| !dead.iter().any(|dead| dead.name == *name))
            .collect()
    }

    pub(super) fn forget(&mut self, names: &[String]) {
        for name in names {
            self.0.remove(name);
        }
    }

    /// The products that are worth being logged again: those with a content that was not refused before.
    pub(super) fn news(&self, dead: &[Dead]) -> BTreeSet<ProductId> {
        let known = |row: &Dead| self.0.get(&row.name).and_then(|before| before.content);
        let is_news = |row: &&Dead| row.stamp.is_some() && known(row) != Some(row.content);
        dead.iter().filter(is_news).filter_map(|row| row.about.product).collect()
    }

    /// Remembers refused rows, once what is worth it was logged again: what is remembered is not logged another time.
    pub(super) fn remember(&mut self, dead: &[Dead]) {
        for row in dead {
            let Some(stamp) = row.stamp else { continue };
            if self.0.len() >= REMEMBERED_MAX as usize {
                self.0.clear();
            }
            self.0.insert(row.name.clone(), Refusal { stamp, content: Some(row.content) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(content: u64, version: u64) -> Dead {
        Dead {
            entry: EntryId::ZERO,
            about: Subject { product: Some(ProductId(7)), ..Subject::default() },
            kind: "product",
            name: "product 7".to_owned(),
            sqlstate: "22001".to_owned(),
            stamp: Some(Stamp { epoch: 1, version }),
            content,
            detail: String::new(),
            message: String::new(),
        }
    }

    #[test]
    fn a_content_is_news_until_it_is_remembered() {
        let (mut refusals, again) = (Refusals::default(), BTreeSet::from([ProductId(7)]));
        assert_eq!(refusals.news(&[refused(1, 1)]), again);
        assert_eq!(refusals.news(&[refused(1, 1)]), again, "Redis failed before it was logged again");
        refusals.remember(&[refused(1, 1)]);
        assert_eq!(refusals.news(&[refused(1, 2)]), BTreeSet::new());
        assert_eq!(refusals.news(&[refused(2, 2)]), again);
    }
}
