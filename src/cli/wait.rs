//! `--wait`: watches the lanes of a round until all of them have ended.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use sqlx::MySqlPool;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    exit::{Exit, Failure},
    output::{self, styled},
};
use crate::{
    ids::{Channel, LaneId, Partition, ProductId, Round},
    mysql::{
        history,
        request::{self, RequestState},
    },
    redis::{Redis, lane::LaneView},
    report::workers,
    round::{Counts, Stamp, Status},
};

/// How often the lanes are looked at.
const POLL: Duration = Duration::from_millis(200);

/// Workers that were started together with the command have begun by then.
const SILENCE: Duration = Duration::from_secs(2);

/// One lane of the round that is waited for.
#[derive(Debug)]
pub(super) struct Watch {
    lane: LaneId,
    round: Round,
    status: Status,
    settled: u64,
    total: Option<u64>,
    reason: Option<String>,
    /// How new what is known is; older state is passed over.
    stamp: Stamp,
    /// What there is to say about it.
    news: Option<String>,
}

impl Watch {
    pub(super) fn new(product: ProductId, channel: Channel, round: Round) -> Self {
        Self {
            lane: LaneId { product, channel },
            round,
            status: Status::Queued,
            settled: 0,
            total: None,
            reason: None,
            stamp: Stamp::default(),
            news: None,
        }
    }

    /// Redis' view; whether it says where this round stands.
    fn learn_from_redis(&mut self, view: LaneView) -> bool {
        if view.round != self.round {
            return view.waiting == Some(self.round);
        }
        if view.stamp >= self.stamp {
            self.learn(view.status, view.counts, view.reason, view.stamp);
        }
        true
    }

    fn learn(&mut self, status: Status, counts: Counts, reason: Option<String>, stamp: Stamp) {
        let is_news = self.status != status || self.stamp == Stamp::default();
        let Counts { sent, skipped, failed, unknown } = counts;
        (self.status, self.reason, self.stamp) = (status, reason, stamp);
        self.settled = sent + skipped + failed + unknown;
        if is_news && (!status.is_open() || !std::io::stderr().is_terminal()) {
            let why = self.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let of = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
            let Self { lane: LaneId { product, channel }, round, settled, .. } = &*self;
            self.news = Some(format!("product {product} round {round} {channel}: {status}{why}, {settled}{of} people"));
        }
    }
}

/// Waits until the relay has made a request of the outbox a round.
pub(super) async fn until_accepted(mysql: &MySqlPool, id: i64) -> anyhow::Result<Round> {
    let mut poll = poll();
    loop {
        poll.tick().await;
        let Some(row) = request::find(mysql, id).await? else {
            return Err(Failure::new(
                Exit::NotFound,
                format!("request {id} is not in the outbox any more; enqueue again"),
            )
            .into());
        };
        if let Some(round) = row.round {
            return Ok(round);
        }
        if row.state == RequestState::Refused {
            let reason = row.reason.unwrap_or_default();
            return Err(Failure::new(
                Exit::Conflict,
                format!("request {id} was refused: {reason}; mend that, and enqueue again with another key"),
            )
            .into());
        }
    }
}

/// How long the record may lag behind.
const RECORD_MAX: Duration = Duration::from_secs(2);

/// Waits until all lanes have ended, and says how by the gravest of them.
pub(super) async fn until_ended(
    mysql: &MySqlPool,
    redis: Option<&Redis>,
    partitions: u16,
    mut watches: Vec<Watch>,
) -> anyhow::Result<Exit> {
    let (bar, mut poll) = (progress_bar(), poll());
    let mut unworked_after = Some(Instant::now() + SILENCE);
    loop {
        poll.tick().await;
        for watch in watches.iter_mut().filter(|watch| watch.status.is_open()) {
            look(mysql, redis, partitions, watch).await?;
            if let Some(news) = watch.news.take() {
                bar.suspend(|| output::note(&news));
            }
        }
        show(&bar, &watches);
        if let Some(redis) = redis.filter(|_| unworked_after.is_some_and(|moment| Instant::now() >= moment)) {
            unworked_after = None;
            let lanes = watches.iter().filter(|watch| watch.status.is_open()).map(|watch| &watch.lane);
            let unworked = unworked(redis, partitions, lanes).await;
            bar.suspend(|| unworked.iter().for_each(output::note_unworked));
        }
        if watches.iter().all(|watch| !watch.status.is_open()) {
            bar.finish_and_clear();
            until_recorded(mysql, &watches).await?;
            return Ok(gravest(watches.iter().map(|watch| watch.status)));
        }
    }
}

/// The channels of these lanes that nobody works, as far as Redis says.
pub(super) async fn unworked(redis: &Redis, partitions: u16, lanes: impl Iterator<Item = &LaneId>) -> Vec<Channel> {
    let places = lanes.map(|lane| (lane.channel.clone(), Partition::of(lane.product, partitions)));
    workers::unworked(redis, places).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "not known whether anybody works them");
        Vec::new()
    })
}

/// Gives the flusher a moment, so that `history` right after this shows what has just ended; no longer, as it may be
/// down.
async fn until_recorded(mysql: &MySqlPool, watches: &[Watch]) -> anyhow::Result<()> {
    let (start, mut poll) = (Instant::now(), poll());
    for watch in watches {
        while start.elapsed() < RECORD_MAX {
            poll.tick().await;
            let row = history::round_of(mysql, &watch.lane, watch.round).await?;
            if row.is_some_and(|row| !row.state.status.is_open() && row.state.stamp >= watch.stamp) {
                break;
            }
        }
    }
    Ok(())
}

/// Asks Redis, and MySQL for what Redis does not hold any more or never did.
async fn look(mysql: &MySqlPool, redis: Option<&Redis>, partitions: u16, watch: &mut Watch) -> anyhow::Result<()> {
    let partition = Partition::of(watch.lane.product, partitions);
    let mut is_known = false;
    if let Some(redis) = redis {
        match redis.read_lanes(partition, std::slice::from_ref(&watch.lane)).await {
            Ok(lanes) => {
                is_known = lanes.into_iter().flatten().next().is_some_and(|view| watch.learn_from_redis(view));
            }
            Err(error) => tracing::debug!(%error, "looking at MySQL instead"),
        }
    }
    if is_known && (watch.total.is_some() || watch.status != Status::InProgress) {
        return Ok(());
    }
    if let Some(row) = history::round_of(mysql, &watch.lane, watch.round).await? {
        watch.total = row.total;
        if !is_known && row.state.stamp >= watch.stamp {
            let state = row.state;
            watch.learn(state.status, state.counts, state.reason, state.stamp);
        }
    }
    Ok(())
}

/// Error before admin before sold out before superseded.
fn gravest(statuses: impl Iterator<Item = Status>) -> Exit {
    let code = |status| match status {
        Status::CanceledByError => (4, Exit::Error),
        Status::CanceledByAdmin => (3, Exit::Admin),
        Status::CanceledBySoldOut => (2, Exit::SoldOut),
        Status::Superseded => (1, Exit::Superseded),
        Status::Completed | Status::Queued | Status::InProgress => (0, Exit::Done),
    };
    statuses.map(code).max_by_key(|(gravity, _)| *gravity).map_or(Exit::Done, |(_, exit)| exit)
}

fn poll() -> tokio::time::Interval {
    let mut poll = interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    poll
}

/// A spinner until it is known how many people there are; hidden unless stderr is a terminal, as indicatif does.
fn progress_bar() -> ProgressBar {
    styled(ProgressBar::no_length(), "{spinner} waiting for a worker")
}

fn show(bar: &ProgressBar, watches: &[Watch]) {
    if let Some(total) = watches.iter().map(|watch| watch.total).sum::<Option<u64>>() {
        if bar.length().is_none() {
            styled(bar.clone(), "telling {wide_bar} {human_pos}/{human_len} {eta}").set_length(total);
        }
        bar.set_position(watches.iter().map(|watch| watch.settled).sum());
    }
    bar.tick();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_lane_decides() {
        let all = [
            (Status::CanceledByError, Exit::Error),
            (Status::CanceledByAdmin, Exit::Admin),
            (Status::CanceledBySoldOut, Exit::SoldOut),
            (Status::Superseded, Exit::Superseded),
            (Status::Completed, Exit::Done),
        ];
        for (at, (_, exit)) in all.iter().enumerate() {
            let milder_first = all.iter().skip(at).rev().map(|(status, _)| *status);
            assert_eq!(gravest(milder_first), *exit);
        }
        assert_eq!(gravest(std::iter::empty()), Exit::Done);
    }
}
