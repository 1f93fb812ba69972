//! The HTTP API: what a shop's backend calls. Stateless, any number may run.
//!
//! ```text
//! connection ─► serve: limits of connections and headers
//!      ─► guard: security headers, problem documents, panics ─► rate ─► requests in flight ─► time
//!      ─► track: counted and followed ─► auth: producers, admins ─► a route ─► producer | report | mysql
//! ```
//!
//! | module | has |
//! |---|---|
//! | [`options`] | the options of `restock-api` |
//! | `serve` | connections, and a stop that waits for what is in hand |
//! | `impatient` | connections whose other end must read |
//! | `guard` | what surrounds every request |
//! | `auth` | tokens and roles |
//! | `fresh` | answers that many ask for at once |
//! | `line` | who may write to the lines of products, and when; how long they are |
//! | `ready` | what there is once the backends have answered |
//! | `ask`, `problem` | reading requests, and saying what is wrong with them |
//! | `routes` | all paths, and `/openapi.json` and `/docs` made of them |
//! | `page` | the pages that people look at |
//! | `stream`, `inbox` | streams of events, and the messages that users have |
//! | `product`, `stock`, `restock`, `round`, `subscription`, `bulk`, `admin`, `deployment` | the routes |

mod admin;
mod ask;
mod auth;
mod bulk;
mod deployment;
mod fresh;
mod guard;
mod impatient;
mod inbox;
mod line;
pub mod options;
mod page;
mod problem;
mod product;
mod ready;
mod restock;
mod round;
mod routes;
mod serve;
mod stock;
mod stream;
mod subscription;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use axum::{body::Bytes, http::HeaderValue};
use tokio::{net::TcpListener, time::timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    auth::Tokens,
    fresh::Fresh,
    line::{LineWrites, Waiting},
    options::{ApiOptions, OptionError},
    problem::{Kind, Problem},
    ready::Ready,
    stream::Streams,
};
use crate::{
    config::Backends,
    ids::{ProductId, Round},
    mysql::{action::Operator, connect_lazily},
    observe::Observer,
    producer::Producer,
    stores::{OpenError, SettingsWatch, Stores},
    trace,
    user_token::UserTokenKey,
};

/// Connections to MySQL; requests wait for one another beyond that. Writes to lines have others.
const CONNECTIONS_MAX: u32 = 16;
/// Rounds whose last answer is kept: some 1 KB each.
const ROUNDS_KEPT_MAX: usize = 10_000;
/// Lines whose length is kept.
const LINES_KEPT_MAX: usize = 1_000;

/// Why the server does not run, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An option cannot be used.
    #[error(transparent)]
    Options(#[from] OptionError),
    /// The address is taken, or is not this machine's.
    #[error("cannot listen on {address}: {error}; give another --listen / RESTOCK_LISTEN")]
    Listen {
        /// Where it should have listened.
        address: SocketAddr,
        /// Why it cannot.
        error: io::Error,
    },
    /// A backend answers and cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// MySQL failed.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// What was right has changed: the database is another deployment's now.
    #[error("{0}")]
    Replaced(String),
}

/// What all requests share.
struct Api {
    options: ApiOptions,
    tokens: Tokens,
    /// What the tokens of users are made with.
    user_keys: Vec<UserTokenKey>,
    /// Who it was where no tokens are needed.
    everybody: Operator,
    ready: OnceLock<Ready>,
    /// How rounds stood a moment ago, as JSON.
    rounds: Fresh<(ProductId, Round), Bytes>,
    /// How many stood in line.
    waiting: Fresh<ProductId, Waiting>,
    streams: Streams,
    /// Work that goes on when its caller has left, or waited long enough.
    writes: TaskTracker,
}

/// A server that listens and does not answer yet.
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    origins: Vec<HeaderValue>,
    api: Api,
}

impl Listening {
    /// Listens.
    ///
    /// # Errors
    /// When an option cannot be used, or the address cannot be listened to.
    pub async fn start(options: ApiOptions) -> Result<Self, RunError> {
        let (tokens, user_keys) = (options.tokens()?, options.user_token_keys()?);
        let (origins, address) = (options.origins()?, options.listen);
        let listener = TcpListener::bind(address).await.map_err(|error| RunError::Listen { address, error })?;
        let everybody = "api".parse().map_err(|error| OptionError::Token { option: "the name `api`", error })?;
        if !tokens.are_needed() {
            tracing::warn!("no tokens are given: whoever reaches this address from this machine may do everything");
        }
        stream::allow_files(u64::from(options.connections_max) + u64::from(options.streams_max));
        let streams = Streams::new(&options);
        let (ready, writes) = (OnceLock::new(), TaskTracker::new());
        let (rounds, waiting) = (Fresh::new(ROUNDS_KEPT_MAX), Fresh::new(LINES_KEPT_MAX));
        let api = Api { options, tokens, user_keys, everybody, ready, rounds, waiting, streams, writes };
        let address = listener.local_addr().unwrap_or(address);
        Ok(Self { listener, address, origins, api })
    }

    /// Where.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers 503 until both backends are there; ends when `stop` is told and what is in hand is done, or has had
    /// `--drain-ms`.
    ///
    /// # Errors
    /// When a backend is another deployment's.
    pub async fn run(self, backends: &Backends, stop: CancellationToken, observer: Observer) -> Result<(), RunError> {
        let Self { listener, address, origins, api } = self;
        let api = Arc::new(api);
        let router = routes::router(&api, origins, observer.clone());
        tracing::info!(%address, "listening");
        let serving = serve::run(listener, router, &api.options, stop.clone());
        let backing = back(&api, backends, &stop, &observer);
        tokio::pin!(serving);
        let (ended, end) = tokio::select! {
            end = &mut serving => (Ok(()), end),
            error = backing => {
                stop.cancel();
                (Err(error), serving.await)
            }
        };
        api.writes.close();
        // Nobody waits for their answers.
        if timeout_at(end, api.writes.wait()).await.is_err() {
            tracing::warn!(writes = api.writes.len(), "the drain is over; what was begun is cut off");
        }
        if let Some(ready) = api.ready.get() {
            ready.producer.stores().redis.close().await;
        }
        ended
    }
}

/// Listens at once, and serves as [`Listening::run`] does.
///
/// # Errors
/// When an option cannot be used, the address cannot be listened to, or a backend is another deployment's.
pub async fn run(
    options: ApiOptions,
    backends: &Backends,
    stop: CancellationToken,
    observer: Observer,
) -> Result<(), RunError> {
    Listening::start(options).await?.run(backends, stop, observer).await
}

/// Connects to the backends and follows the settings, until that can never go well again.
async fn back(api: &Arc<Api>, backends: &Backends, stop: &CancellationToken, observer: &Observer) -> RunError {
    let stores = match Stores::wait_for(backends, CONNECTIONS_MAX, stop).await {
        Ok(Some(stores)) => stores,
        Ok(None) => return std::future::pending().await,
        Err(error) => return error.into(),
    };
    let mysql = match connect_lazily(&backends.mysql_url, 1) {
        Ok(mysql) => mysql,
        Err(error) => return error.into(),
    };
    let mut watch = SettingsWatch::start(mysql, stores.settings.clone());
    tracing::info!(partitions = stores.settings.partitions, namespace = %stores.settings.namespace, "ready");
    if let Err(error) = observer.attach(backends, &stores, watch.settings()) {
        return error.into();
    }
    let lines = match LineWrites::new(backends) {
        Ok(lines) => lines,
        Err(error) => return error.into(),
    };
    let redis = stores.redis.clone();
    let seen = Arc::downgrade(api);
    let sources = move || seen.upgrade().and_then(|api| api.ready.get().map(Ready::sources));
    let library = match api.streams.start(backends, &redis, sources, stop).await {
        Ok(library) => Arc::new(library),
        Err(error) => return error.into(),
    };
    let ready = Ready { producer: Producer::new(stores), settings: watch.settings(), lines, library };
    if api.ready.set(ready).is_err() {
        tracing::error!("the backends were opened twice");
    }
    RunError::Replaced(watch.refused().await.to_string())
}

impl Api {
    /// The backends.
    fn ready(&self) -> Result<&Ready, Problem> {
        let wait = || Problem::new(Kind::Unavailable, "MySQL and Redis have not both answered yet; ask again");
        self.ready.get().ok_or_else(wait)
    }

    /// Does something to its end, also when the caller leaves or the time of the request is over: a deed that is cut off
    /// in the middle would leave its row in the list of actions open. Until then it is one of those in hand.
    async fn finish<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, Problem> {
        match self.writes.spawn(guard::keep_place(trace::carry(work))).await {
            Ok(done) => Ok(done),
            Err(error) => Err(Problem::internal(&error)),
        }
    }
}
