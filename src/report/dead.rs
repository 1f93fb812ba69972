//! Dead letters: rounds that were given up, entries that could not be read, rows that MySQL refused.

use std::{collections::BTreeSet, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::{ReportError, Sources};
use crate::{
    ids::{Channel, ParseError, Partition, ProductId, Round, rfc3339},
    mysql::{
        refused::{self, RefusedRow},
        setting::KNOWN_CHANNELS,
    },
    redis::{Redis, RedisError, dead::DeadLetter, entry_id::EntryId},
};

/// Letters, or rows, read at a time.
const PAGE: u32 = 500;
/// Letters looked at for one page: those of one product may be few among many.
const LOOKED_AT_MAX: usize = 5_000;

/// Names one of them: `webhook:0:1763700000000-0` on the dead stream of a channel and partition, `row:17` in `log_dead`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadId {
    /// On a dead stream.
    Letter {
        /// Of which channel.
        channel: Channel,
        /// In which partition.
        partition: Partition,
        /// Its id there.
        id: String,
    },
    /// In `log_dead`.
    Row(i64),
}

impl fmt::Display for DeadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Letter { channel, partition, id } => write!(f, "{channel}:{partition}:{id}"),
            Self::Row(id) => write!(f, "row:{id}"),
        }
    }
}

impl FromStr for DeadId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || ParseError::new("dead letter", text, "it is one of the ids that `restock-cli dead list` shows");
        match text.split(':').collect::<Vec<_>>().as_slice() {
            ["row", id] => id.parse().map(Self::Row).map_err(|_| bad()),
            [channel, partition, id] => {
                let channel = channel.parse().map_err(|_| bad())?;
                let partition = Partition(partition.parse().map_err(|_| bad())?);
                let id: EntryId = id.parse().map_err(|_| bad())?;
                // Redis gives the greatest id to no entry, and refuses to be asked for what is behind it.
                if id == EntryId::MAX {
                    return Err(bad());
                }
                Ok(Self::Letter { channel, partition, id: id.to_string() })
            }
            _ => Err(bad()),
        }
    }
}

impl Serialize for DeadId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One of them, as people see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeadRow {
    /// Its name.
    #[schema(value_type = String)]
    pub id: DeadId,
    /// `round`: given up; `job`: an entry that could not be read; `log:…`: a row of that kind that MySQL refused.
    pub kind: String,
    /// Of which product; null where that cannot be read.
    pub product: Option<ProductId>,
    /// Of which round; null where it concerns all, or none.
    pub round: Option<Round>,
    /// On which channel; null where it concerns all.
    pub channel: Option<Channel>,
    /// Why it is dead.
    pub reason: String,
    /// Since when.
    pub at: Option<String>,
    /// What it holds; null for a round.
    pub detail: Option<String>,
    /// Where it comes from, for whoever deals with it.
    #[serde(skip)]
    pub source: Source,
}

/// What a [`DeadRow`] was made of.
#[derive(Debug, Clone)]
pub enum Source {
    /// A letter on a dead stream.
    Letter(DeadLetter),
    /// A row of `log_dead`.
    Row(RefusedRow),
}

/// Some of them.
#[derive(Debug, Clone)]
pub struct DeadPage {
    /// They.
    pub rows: Vec<DeadRow>,
    /// After which the next page begins; none after the last. There may be one though the page is not full.
    pub next: Option<DeadId>,
}

/// All of them, or those of one product: letters by channel and partition, then rows, each from the oldest on. Without
/// Redis only the rows.
///
/// # Errors
/// Those of MySQL; those of Redis other than that it does not answer.
pub async fn all(sources: &Sources, product: Option<ProductId>) -> Result<Vec<DeadRow>, ReportError> {
    let mut rows = match &sources.redis {
        None => Vec::new(),
        Some(redis) => {
            let all = Reach { product, after: None, limit: usize::MAX, looked_at_max: usize::MAX };
            match letters(redis, sources, &all).await {
                Err(error) if error.is_unreachable() => Vec::new(),
                letters => letters?.rows,
            }
        }
    };
    add_rows(sources, product, 0, usize::MAX, &mut rows).await?;
    Ok(rows)
}

/// The first `limit` of them after `after`, in the order of [`all`]; fewer where too many of other products lie between.
///
/// # Errors
/// Those of both stores.
pub async fn page(
    redis: &Redis,
    sources: &Sources,
    product: Option<ProductId>,
    after: Option<&DeadId>,
    limit: usize,
) -> Result<DeadPage, ReportError> {
    let (mut rows, last_row) = match after {
        Some(DeadId::Row(id)) => (Vec::new(), *id),
        after => {
            let page = letters(redis, sources, &Reach { product, after, limit, looked_at_max: LOOKED_AT_MAX }).await?;
            if page.next.is_some() {
                return Ok(page);
            }
            (page.rows, 0)
        }
    };
    add_rows(sources, product, last_row, limit, &mut rows).await?;
    let next = rows.last().filter(|_| rows.len() >= limit).map(|row| row.id.clone());
    Ok(DeadPage { rows, next })
}

/// Adds refused rows until there are `limit` in all.
async fn add_rows(
    sources: &Sources,
    product: Option<ProductId>,
    mut last_row: i64,
    limit: usize,
    rows: &mut Vec<DeadRow>,
) -> sqlx::Result<()> {
    while rows.len() < limit {
        let count = u32::try_from(limit - rows.len()).unwrap_or(PAGE).min(PAGE);
        let page = refused::rows(&sources.mysql, product, last_row, count).await?;
        let Some(last) = page.last() else { break };
        last_row = last.id;
        rows.extend(page.into_iter().map(of_row));
    }
    Ok(())
}

/// Which letters are wanted, and how many.
struct Reach<'a> {
    product: Option<ProductId>,
    after: Option<&'a DeadId>,
    limit: usize,
    looked_at_max: usize,
}

async fn letters(redis: &Redis, sources: &Sources, reach: &Reach<'_>) -> Result<DeadPage, RedisError> {
    let mut channels: BTreeSet<Channel> = KNOWN_CHANNELS.iter().filter_map(|name| name.parse().ok()).collect();
    channels.extend(sources.settings.channels.iter().cloned());
    let own = reach.product.map(|product| Partition::of(product, sources.settings.partitions));
    let (mut rows, mut left) = (Vec::new(), reach.looked_at_max);
    for channel in &channels {
        let partitions = (0..sources.settings.partitions).map(Partition);
        // The letters of a product lie in its partition.
        for partition in partitions.filter(|partition| own.is_none_or(|own| own == *partition)) {
            let mut after: Option<String> = match reach.after {
                Some(DeadId::Letter { channel: c, partition: p, .. }) if (channel, partition) < (c, *p) => continue,
                Some(DeadId::Letter { channel: c, partition: p, id }) if (channel, partition) == (c, *p) => {
                    Some(id.clone())
                }
                _ => None,
            };
            loop {
                let count = if reach.product.is_some() { usize::MAX } else { reach.limit - rows.len() };
                let count = u32::try_from(count).unwrap_or(PAGE).min(PAGE);
                let page = redis.dead_letters(partition, channel, after.as_deref(), u64::from(count)).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id.clone());
                for row in page.into_iter().map(|letter| of_letter(channel, partition, letter)) {
                    let id = row.id.clone();
                    if reach.product.is_none() || row.product == reach.product {
                        rows.push(row);
                    }
                    left = left.saturating_sub(1);
                    if rows.len() >= reach.limit || left == 0 {
                        return Ok(DeadPage { rows, next: Some(id) });
                    }
                }
            }
        }
    }
    Ok(DeadPage { rows, next: None })
}

/// The one of that name; `None` when there is none, or it was dealt with.
///
/// # Errors
/// Those of MySQL, and for a letter those of Redis.
pub async fn one(redis: &Redis, sources: &Sources, id: &DeadId) -> Result<Option<DeadRow>, ReportError> {
    Ok(match id {
        DeadId::Letter { channel, partition, id } => {
            redis.dead_letter(*partition, channel, id).await?.map(|letter| of_letter(channel, *partition, letter))
        }
        DeadId::Row(id) => refused::row(&sources.mysql, *id).await?.map(of_row),
    })
}

fn of_letter(channel: &Channel, partition: Partition, letter: DeadLetter) -> DeadRow {
    let at = |us| rfc3339(DateTime::<Utc>::from_timestamp_micros(us).unwrap_or_default().naive_utc());
    DeadRow {
        id: DeadId::Letter { channel: channel.clone(), partition, id: letter.id.clone() },
        kind: if letter.round.is_some() { "round" } else { "job" }.to_owned(),
        product: letter.round.map(|(product, _)| product),
        round: letter.round.map(|(_, round)| round),
        channel: Some(channel.clone()),
        reason: letter.reason.clone(),
        at: letter.at_us.map(at),
        detail: letter.content.clone(),
        source: Source::Letter(letter),
    }
}

fn of_row(row: RefusedRow) -> DeadRow {
    let times = if row.times > 1 { format!(", {} times", row.times) } else { String::new() };
    DeadRow {
        id: DeadId::Row(row.id),
        kind: format!("log:{}", row.kind),
        product: row.product,
        round: row.round,
        channel: row.channel.clone(),
        reason: format!("{}: {} ({}{times})", row.name, row.message, row.sqlstate),
        at: Some(rfc3339(row.at)),
        detail: Some(row.detail.clone()),
        source: Source::Row(row),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_shown() {
        for good in ["webhook:0:1763700000000-0", "row:17"] {
            assert_eq!(good.parse::<DeadId>().map(|id| id.to_string()), Ok(good.to_owned()));
        }
        let greatest = format!("webhook:0:{}", EntryId::MAX);
        for bad in [
            "",
            "17",
            "row:x",
            "webhook:0",
            "webhook:0:+",
            "webhook:0:+1-1",
            "webhook:x:1-1",
            "Web:0:1-1",
            "webhook:0:1-1:2",
            "webhook:0:18446744073709551616-0",
            &greatest,
        ] {
            assert!(bad.parse::<DeadId>().is_err(), "{bad}");
        }
    }
}
