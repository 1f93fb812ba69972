//! Which entry of the job streams is with whom, for how long: XPENDING, joined with the lane it stands for.

mod id;

use serde::Serialize;
use utoipa::ToSchema;

use super::{ReportError, Unreadable};
use crate::{
    ids::{Channel, LaneId, Partition, Place, ProductId, Round},
    mysql::setting::Settings,
    redis::{
        Redis, RedisError,
        inspect::{JobStream, job_streams},
        lane::LaneView,
        pending::{PendingEntry, PendingPage},
    },
    round::Status,
};

pub use id::PendingId;

/// Entries asked for at once.
const PAGE_ENTRIES: usize = 500;

/// An entry that was given to a consumer and not acknowledged yet.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PendingRow {
    /// Its id on the stream, as XPENDING shows it.
    pub entry: String,
    /// The stream's key.
    pub stream: String,
    /// Where it lies.
    pub partition: u16,
    /// What it stands for; null when it was deleted, or names none.
    pub product: Option<ProductId>,
    /// The lane's round; null when the lane has none.
    pub round: Option<Round>,
    /// By which channel.
    pub channel: Channel,
    /// Where that round stands.
    pub status: Option<Status>,
    /// For whom it is pending, as XPENDING shows it.
    pub consumer: String,
    /// Who holds the lane: only they tell its people, for whomever the entry is pending.
    pub owner: Option<String>,
    /// Since it was last given out or claimed, as XPENDING shows it.
    pub idle_ms: u64,
    /// How often it was given out, as XPENDING shows it.
    pub deliveries: u64,
    /// What is left of the owner's lease, below zero once it has run out; null when nobody holds the lane.
    pub lease_ms: Option<i64>,
    /// The time in line of the last person settled.
    pub cursor: Option<Place>,
    /// Whether the lane knows this entry as the one that stands for it; another one is dropped by who receives it.
    pub current: bool,
}

/// What is pending.
#[derive(Debug, Clone, Default)]
pub struct Pending {
    /// The entries.
    pub rows: Vec<PendingRow>,
    /// Lanes that Redis holds and nobody can read: of their entries only what XPENDING shows is known.
    pub unreadable: Vec<Unreadable>,
}

/// Every pending entry of every channel, by partition, channel and stream, in the order of XPENDING.
///
/// # Errors
/// Those of Redis.
pub async fn entries(redis: &Redis, settings: &Settings) -> Result<Pending, ReportError> {
    let channels = &settings.channels;
    let lists = (0..settings.partitions).map(|partition| (Partition(partition), channels.clone())).collect();
    entries_of(redis, lists).await
}

/// As [`entries`], of these channels in these partitions.
///
/// # Errors
/// Those of Redis.
pub async fn entries_of(redis: &Redis, lists: Vec<(Partition, Vec<Channel>)>) -> Result<Pending, ReportError> {
    let mut pending = Pending::default();
    for (partition, channels) in lists {
        for channel in channels {
            for stream in job_streams(partition, &channel) {
                add_stream(redis, &stream, None, usize::MAX, &mut pending).await?;
            }
        }
    }
    Ok(pending)
}

/// The first `limit` of [`entries`] after `after`, and the last one's name when there may be more.
///
/// # Errors
/// Those of Redis.
pub async fn page(
    redis: &Redis,
    settings: &Settings,
    after: Option<&PendingId>,
    limit: usize,
) -> Result<(Pending, Option<PendingId>), ReportError> {
    let mut pending = Pending::default();
    let mut channels = settings.channels.clone();
    channels.sort();
    let mut streams = Vec::new();
    for partition in (0..settings.partitions).map(Partition) {
        streams.extend(channels.iter().flat_map(|channel| job_streams(partition, channel)));
    }
    for stream in streams {
        let start = match after {
            Some(after) if after.is_behind(&stream) => continue,
            Some(after) if after.is_of(&stream) => Some(after.entry.to_string()),
            _ => None,
        };
        add_stream(redis, &stream, start, limit, &mut pending).await?;
        if let Some(last) = pending.rows.last().filter(|_| pending.rows.len() >= limit) {
            let next = PendingId::new(&stream, &last.entry);
            return Ok((pending, next));
        }
    }
    Ok((pending, None))
}

/// Adds what is pending of a stream until there are `limit` in all.
async fn add_stream(
    redis: &Redis,
    stream: &JobStream,
    mut after: Option<String>,
    limit: usize,
    pending: &mut Pending,
) -> Result<(), RedisError> {
    loop {
        let count = limit.saturating_sub(pending.rows.len()).min(PAGE_ENTRIES);
        if count == 0 {
            return Ok(());
        }
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let PendingPage { key, entries, now_ms } = redis.pending(stream, after.as_deref(), count).await?;
        let Some(last) = entries.last() else { return Ok(()) };
        after = Some(last.pending.id.clone());
        let lanes: Vec<LaneId> = entries
            .iter()
            .filter_map(|entry| Some(LaneId { product: entry.product?, channel: stream.channel.clone() }))
            .collect();
        let read = redis.read_each_lane(stream.partition, &lanes).await?;
        let mut views = lanes.into_iter().zip(read).map(|(lane, view)| match view {
            Ok(view) => view,
            Err(error) => {
                pending.unreadable.push(Unreadable { lane, error: error.to_string() });
                None
            }
        });
        for entry in entries {
            let view = entry.product.and_then(|_| views.next().flatten());
            pending.rows.push(row(entry, view, stream, &key, now_ms));
        }
    }
}

fn row(entry: PendingEntry, view: Option<LaneView>, stream: &JobStream, key: &str, now_ms: i64) -> PendingRow {
    let PendingEntry { pending, product } = entry;
    let view = view.as_ref();
    let lease = view.filter(|view| view.token.is_some()).map(|view| view.lease_until_ms.cast_signed() - now_ms);
    let current = view.and_then(|view| view.entry.as_deref()).is_some_and(|name| name == stream.name_of(&pending.id));
    PendingRow {
        stream: key.to_owned(),
        partition: stream.partition.0,
        product,
        round: view.map(|view| view.round),
        channel: stream.channel.clone(),
        status: view.map(|view| view.status),
        consumer: pending.consumer,
        owner: view.and_then(|view| view.owner.clone()),
        idle_ms: pending.idle_ms,
        deliveries: pending.deliveries,
        lease_ms: lease,
        cursor: view.and_then(|view| view.cursor),
        current,
        entry: pending.id,
    }
}
