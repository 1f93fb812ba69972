//! Addresses, timeouts and reconnecting.
//!
//! The client has no reconnect unless a policy is set; a half-open connection is noticed only by a timeout.

use std::time::Duration;

use fred::{
    clients::Client,
    prelude::{ClientLike, ReconnectPolicy},
    types::{
        Builder, Value,
        config::{Config, ConnectionConfig, PerformanceConfig, UnresponsiveConfig},
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::RedisError;

/// How a role meets a Redis that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// A command of the shell: a few tries within about two seconds, then an error.
    Short,
    /// A long-running process: reconnects without end.
    Endless,
}

/// How often a connection is asked whether it lives.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// The pause before a try to connect; those of a long-running process grow to it.
const RECONNECT_MS: u32 = 200;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection on which nothing is answered for so long is given up; above the two seconds for which a reader blocks.
const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(3);
/// Above that time, so that the connection is made anew before its calls are given up.
const COMMAND_TIMEOUT: Duration = Duration::from_millis(4_500);
/// Above the two seconds for which a reader blocks.
const READER_TIMEOUT: Duration = Duration::from_secs(8);

pub(super) fn client(url: &SecretString, patience: Patience) -> Result<Client, RedisError> {
    let mut config = Config::from_url(url.expose_secret())?;
    config.fail_fast = patience == Patience::Short;
    let mut builder = Builder::from_config(config);
    builder.set_policy(policy(patience));
    builder.with_connection_config(connection);
    builder.with_performance_config(|performance| performance.default_command_timeout = COMMAND_TIMEOUT);
    Ok(builder.build()?)
}

/// The client pauses before the very first try too, with each of a process' connections: so that pause is short.
fn policy(patience: Patience) -> ReconnectPolicy {
    match patience {
        Patience::Short => ReconnectPolicy::new_constant(5, RECONNECT_MS),
        Patience::Endless => ReconnectPolicy::Exponential {
            attempts: 0,
            max_attempts: 0,
            min_delay: 5,
            max_delay: RECONNECT_MS,
            base: 2,
            jitter: 5,
        },
    }
}

fn connection(config: &mut ConnectionConfig) {
    config.connection_timeout = CONNECT_TIMEOUT;
    config.internal_command_timeout = CONNECT_TIMEOUT;
    config.reconnect_on_auth_error = true;
    config.unresponsive =
        UnresponsiveConfig { max_timeout: Some(UNRESPONSIVE_AFTER), interval: Duration::from_secs(1) };
    config.tcp.nodelay = Some(true);
}

pub(super) fn reader_timeouts() -> PerformanceConfig {
    PerformanceConfig { default_command_timeout: READER_TIMEOUT, ..PerformanceConfig::default() }
}

/// Watches a connection until the guard is dropped: when a question gets no answer for three seconds, it is made anew.
///
/// The client's own look at this counts from the last call that it sent, so that a connection on which many go on asking
/// in vain is never found dead.
pub(super) fn watch(client: Client) -> DropGuard {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let watching = async move {
        loop {
            sleep(WATCH_EVERY).await;
            if timeout(UNRESPONSIVE_AFTER, client.ping::<Value>(None)).await.is_err() {
                reconnect(&client).await;
            }
        }
    };
    tokio::spawn(async move {
        tokio::select! {
            () = stopped.cancelled() => {}
            () = watching => {}
        }
    });
    stop.drop_guard()
}

/// Makes a connection anew that only seems to be there; one that is known to be gone is being made anew already.
pub(super) async fn reconnect(client: &Client) {
    if !client.is_connected() {
        return;
    }
    tracing::warn!("Redis does not answer: connecting again");
    if let Err(error) = client.force_reconnection().await {
        tracing::debug!(%error, "could not connect again yet");
    }
}

pub(super) async fn init(client: &Client) -> Result<(), RedisError> {
    client.init().await?;
    Ok(())
}

/// Says what is wrong with a URL, without naming what is secret in it.
///
/// # Errors
/// When no client can be made of it.
pub fn check_url(url: &SecretString) -> Result<(), RedisError> {
    Config::from_url(url.expose_secret())?;
    Ok(())
}
