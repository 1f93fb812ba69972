//! MySQL (≥ 8.0.13) and MariaDB (≥ 10.6): the record. Everything that people read is here, and what is here
//! rebuilds Redis.
//!
//! | module | its tables |
//! |---|---|
//! | [`schema`] | all: creates them, and refuses to work with others |
//! | [`setting`] | `setting` |
//! | [`product`] | `product` |
//! | [`line`](mod@line), [`many`], [`subscription`], [`import`] | `product_line`, `product_user_notification` |
//! | [`request`] | `restock_request` |
//! | [`refused`](mod@refused) | `log_dead` |
//! | [`action`] | `operator_action` |
//! | [`inbox`] | `inbox_sequence`, `inbox_message` |
//! | [`erase`], [`prune`] | all: take a person out, and old rounds |
//! | [`history`] | `product_notification_history`, `product_user_notification_history` (reading) |
//!
//! The SQL is portable. Times are `DATETIME(6)` in UTC. A function that only reads takes any
//! [`sqlx::MySqlExecutor`]: the pool, a connection, or an open transaction.

pub mod action;
pub mod census;
pub mod erase;
mod failure;
pub mod history;
pub mod import;
pub mod inbox;
pub mod line;
pub mod many;
pub mod product;
pub mod prune;
pub mod refused;
pub mod request;
pub mod schema;
pub mod session;
pub mod setting;
pub(crate) mod sizes;
pub mod subscription;

use std::{io, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, MySqlConnection, MySqlPool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
};

use failure::number;
pub use failure::{
    in_short, is_access_denied, is_deadlock, is_duplicate, is_full, is_missing_database, is_read_only, is_refused,
    is_unreachable,
};

/// The longest that getting a connection may take.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// No question takes this long, however busy the server is: the connection is dead, and did not say so.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Every session runs with these.
///
/// STRICT, so that a value that does not fit is refused and never silently cut. READ COMMITTED, because whoever waited
/// for the lock of a line must then read what its last holder committed, not a snapshot from before the wait; and
/// because neighbours in line must not block each other by gap locks.
const SESSION: &str = "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00';
    SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// Connects, within 5 s; later connections of the pool are opened when they are needed, and replaced when they break.
///
/// # Errors
/// The cause at once when nobody listens, the login is refused or the database does not exist; see [`is_unreachable`].
pub async fn connect(url: &SecretString, connections_max: u32) -> sqlx::Result<MySqlPool> {
    // The pool would retry a refused connection for 5 s and then hide the cause.
    open(&options(url)?).await?.close().await?;
    connect_lazily(url, connections_max)
}

/// A pool that connects when it is first used, for roles that wait for MySQL themselves.
///
/// # Errors
/// When the URL cannot be read.
pub fn connect_lazily(url: &SecretString, connections_max: u32) -> sqlx::Result<MySqlPool> {
    Ok(pool(connections_max, None).connect_lazy_with(options(url)?))
}

/// The same for work that must not wait long for others: each of its statements gives up after `most` at a lock that
/// somebody holds, see [`is_deadlock`]. Whole seconds, at least one.
///
/// # Errors
/// When the URL cannot be read.
pub fn connect_impatiently(url: &SecretString, connections_max: u32, most: Duration) -> sqlx::Result<MySqlPool> {
    Ok(pool(connections_max, Some(session::lock_wait(most))).connect_lazy_with(options(url)?))
}

/// The same for reading beside the work: MySQL itself gives up a SELECT after `most`, also when nobody waits for it any more.
///
/// # Errors
/// When the URL cannot be read.
pub fn connect_briefly(url: &SecretString, connections_max: u32, most: Duration) -> sqlx::Result<MySqlPool> {
    // Each server reads its own half: MySQL counts in ms, MariaDB in seconds.
    let limit = format!(
        "SET SESSION /*!50700 max_execution_time = {} */ /*M!100100 max_statement_time = {} */",
        most.as_millis(),
        most.as_secs_f64()
    );
    Ok(pool(connections_max, Some(limit)).connect_lazy_with(options(url)?))
}

/// Every session is prepared, and runs `own` beyond that.
fn pool(connections_max: u32, own: Option<String>) -> MySqlPoolOptions {
    MySqlPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(move |connection, _| {
            let own = own.clone();
            Box::pin(async move {
                prepare(connection).await?;
                match own {
                    Some(own) => sqlx::raw_sql(AssertSqlSafe(own)).execute(connection).await.map(drop),
                    None => Ok(()),
                }
            })
        })
        // The pool asks a connection that is given back whether it is well. For an answer from one that is dead it would
        // wait for ever, and its place in the pool would be lost.
        .after_release(|connection, _| {
            Box::pin(async move { answered_within(ACQUIRE_TIMEOUT, connection.ping()).await.map(|()| true) })
        })
        // Either of these starts a task that, now and then, spins for ever and keeps the process from ending, because sqlx
        // 0.9.0 may count its idle connections below zero (https://github.com/launchbadge/sqlx/issues/3645).
        .idle_timeout(None)
        .max_lifetime(None)
}

/// What MySQL answers; an error that [`is_unreachable`] when that takes longer than 10 s.
///
/// A connection that is open and dead, as after a power cut on the way, never fails by itself: the driver would wait for
/// ever. For what runs for long; not for work that may take its time.
///
/// # Errors
/// Those of `asking`, and that.
pub async fn answered<T, E: From<sqlx::Error>>(asking: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    // Boxed, because questions stand deep in the work of a role: without optimisation their frames fill a stack.
    answered_within(ANSWER_MAX, Box::pin(asking)).await
}

/// As [`answered`], within another time.
///
/// # Errors
/// As there.
pub async fn answered_within<T, E: From<sqlx::Error>>(
    most: Duration,
    asking: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(most, asking).await.map_err(|_| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))?
}

fn options(url: &SecretString) -> sqlx::Result<MySqlConnectOptions> {
    Ok(url.expose_secret().parse::<MySqlConnectOptions>()?.disable_statement_logging())
}

async fn open(options: &MySqlConnectOptions) -> sqlx::Result<MySqlConnection> {
    let slow = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {ACQUIRE_TIMEOUT:?}"));
    tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect()).await.map_err(slow)?
}

async fn prepare(connection: &mut MySqlConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(SESSION).execute(connection).await.map(drop)
}

/// A stored text that should be a name but cannot be read as one.
fn decode_error(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
