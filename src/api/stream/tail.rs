//! Reading new messages, once for all streams of the process.

use std::time::Duration;

use sqlx::MySqlPool;
use tokio::time::{Instant, interval, sleep, timeout};

use super::hub::Hub;
use crate::{
    meter, mysql,
    mysql::inbox::{self, Audience},
    redis::{Redis, hint},
};

/// Messages read at once, and so the most that one frame holds.
const PAGE_ROWS: u32 = 500;
/// How often MySQL is asked without a hint.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The same while nobody listens: then only where to begin is looked up.
const IDLE_EVERY: Duration = Duration::from_secs(1);
/// What comes within this time is read together.
const GATHER: Duration = Duration::from_millis(10);
/// The pause before Redis is asked for hints again.
const LISTEN_PAUSE: Duration = Duration::from_secs(1);
/// How often a part of the streams gets a sign of life.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// Hands out new messages, without end.
pub(super) async fn follow(hub: &Hub, db: &MySqlPool, redis: &Redis) {
    tokio::join!(read(hub, db), beat(hub), listen(redis, hub));
}

async fn read(hub: &Hub, db: &MySqlPool) {
    let (mut is_hinted, mut is_failing) = (false, false);
    loop {
        let start = Instant::now();
        let looked = look(hub, db, is_hinted).await;
        let is_full = matches!(looked, Ok(rows) if rows >= PAGE_ROWS as usize);
        if let Err(error) = &looked {
            meter::count_sql_error(mysql::is_unreachable(error));
            if !std::mem::replace(&mut is_failing, true) {
                tracing::warn!(error = mysql::in_short(error), "new messages cannot be read; streams stand still");
            }
        } else if std::mem::take(&mut is_failing) {
            tracing::info!("new messages can be read again");
        }
        if is_full {
            is_hinted = true;
            continue;
        }
        if looked.is_ok() {
            hub.looked();
        }
        sleep(GATHER.saturating_sub(start.elapsed())).await;
        let most = if hub.is_empty() { IDLE_EVERY } else { LOOK_EVERY };
        is_hinted = timeout(most, hub.wanted.notified()).await.is_ok();
    }
}

/// Hands out what is new; how much. Without a hint it first asks whether there is anything: that costs less.
async fn look(hub: &Hub, db: &MySqlPool, is_hinted: bool) -> sqlx::Result<usize> {
    let position = match hub.position() {
        Some(position) if !hub.is_empty() => position,
        _ => {
            hub.skip_to(inbox::newest(db).await?);
            return Ok(0);
        }
    };
    if !is_hinted {
        let newest = inbox::newest(db).await?;
        if newest < position {
            tracing::warn!(newest, position, "the inbox was set back; streams go on with what is new there");
            hub.go_back_to(newest);
        }
        if newest <= position {
            return Ok(0);
        }
    }
    let rows = inbox::page_after(db, Audience::Everyone, position, i64::MAX, PAGE_ROWS).await?;
    let count = rows.len();
    hub.hand_out(rows);
    Ok(count)
}

async fn beat(hub: &Hub) {
    let mut beats = interval(BEAT_EVERY);
    loop {
        beats.tick().await;
        hub.beat();
    }
}

/// Hints make it quick; without them it goes on.
async fn listen(redis: &Redis, hub: &Hub) {
    loop {
        match hint::listen(redis).await {
            Ok(mut hints) => {
                while hints.recv().await.is_some() {
                    hub.wanted.notify_one();
                }
            }
            Err(error) => tracing::debug!(%error, "no hints of new messages yet"),
        }
        sleep(LISTEN_PAUSE).await;
    }
}
