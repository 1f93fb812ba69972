//! Streams of Server-Sent Events.
//!
//! ```text
//! inbox_message ─► tail: reads on behind the last number ─► hub ─► everyone │ persons ─► a bounded queue for each stream
//!                    ▲ hints by Redis, else every 250 ms                                     ▲
//!                    └ one for the process           Last-Event-ID ─► replay: MySQL ──────────┘ joins where it has arrived
//! rounds: one survey for the process, at most twice a second ─► everybody who follows
//! ```
//!
//! Invariant: a stream joins the hub at a position, gets what is numbered above it from the hub and what is below it from
//! MySQL; and never at one below what it has. Numbers become visible in their order ([`crate::mysql::inbox`]), so nothing is missed and nothing comes twice.
//!
//! | module | has |
//! |---|---|
//! | `frame` | events as they are written |
//! | `crowd` | bounded queues, and dropping who does not keep up |
//! | `hub` | who follows messages, and up to where they were handed out |
//! | `tail` | reading new messages |
//! | `replay` | reading what was missed, and then being live |
//! | `rounds` | the progress of lanes |
//! | `place` | how many streams there may be |
//! | `routes` | what is asked for |

mod crowd;
mod frame;
mod hub;
mod place;
mod replay;
mod rounds;
pub(super) mod routes;
mod tail;

use std::sync::Arc;

use sqlx::MySqlPool;
use tokio_util::sync::CancellationToken;

use self::{hub::Hub, place::Places, rounds::Rounds};
use super::options::ApiOptions;
use crate::{
    config::Backends,
    mysql::{connect_lazily, inbox},
    redis::Redis,
    report::Sources,
};

pub(super) use self::{
    place::{ConnectionPlace, allow_files},
    replay::Library,
};

/// Connections to MySQL for those who have missed something; they wait for one another beyond that.
const REPLAYS_MAX: u32 = 4;

/// The streams of this process.
pub(super) struct Streams {
    hub: Arc<Hub>,
    rounds: Arc<Rounds>,
    places: Places,
}

impl Streams {
    pub(super) fn new(options: &ApiOptions) -> Self {
        Self { hub: Arc::default(), rounds: Arc::default(), places: Places::new(options.streams_max) }
    }

    /// Starts to feed them, until `stop`; then all streams end, so that their clients go on elsewhere.
    ///
    /// # Errors
    /// When the address of MySQL cannot be read.
    pub(super) async fn start(
        &self,
        backends: &Backends,
        redis: &Redis,
        sources: impl Fn() -> Option<Sources> + Send + Sync + 'static,
        stop: &CancellationToken,
    ) -> sqlx::Result<Library> {
        let db = connect_lazily(&backends.mysql_url, 1)?;
        // Who asks right after the server is ready can follow; if MySQL is away again by now, a little later.
        if let Ok(newest) = inbox::newest(&db).await {
            self.hub.skip_to(newest);
        }
        tokio::spawn(feed(self.hub.clone(), db, redis.clone(), stop.clone()));
        tokio::spawn(rounds::follow(self.rounds.clone(), sources, stop.clone()));
        Ok(Library::new(connect_lazily(&backends.mysql_url, REPLAYS_MAX)?, REPLAYS_MAX, self.hub.clone()))
    }
}

async fn feed(hub: Arc<Hub>, db: MySqlPool, redis: Redis, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tail::follow(&hub, &db, &redis) => {}
    }
    hub.close();
}
