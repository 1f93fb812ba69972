//! Addresses, timeouts and reconnecting.
//!
//! The client has no reconnect unless a policy is set; a half-open connection is noticed only by a timeout.

use std::{sync::Arc, time::Duration};

use fred::{
    clients::Client,
    prelude::{ClientLike, ReconnectPolicy},
    types::{
        Builder, ConnectHandle, Value,
        config::{
            ClusterDiscoveryPolicy, Config, ConnectionConfig, PerformanceConfig, ServerConfig, UnresponsiveConfig,
        },
    },
};
use futures_util::future::join_all;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};
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
pub(super) const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(3);
/// Above that time, so that the connection is made anew before its calls are given up.
const COMMAND_TIMEOUT: Duration = Duration::from_millis(4_500);
/// Above the two seconds for which a reader blocks.
const READER_TIMEOUT: Duration = Duration::from_secs(8);

pub(super) fn client(url: &SecretString, patience: Patience) -> Result<Client, RedisError> {
    let mut config = Config::from_url(url.expose_secret())?;
    if let ServerConfig::Clustered { policy, .. } = &mut config.server {
        // The URL may name one node, and that may be the one that is gone.
        *policy = ClusterDiscoveryPolicy::UseCache;
    }
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
pub(super) fn watch(link: Link<Client>) -> DropGuard {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let watching = async move {
        loop {
            sleep(WATCH_EVERY).await;
            if timeout(UNRESPONSIVE_AFTER, ask_all(&link.client)).await.is_err() {
                link.renew().await;
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

/// Asks each server that the client talks to; an error is an answer.
async fn ask_all(client: &Client) {
    if !client.is_clustered() {
        let _ = client.ping::<Value>(None).await;
        return;
    }
    let nodes = client.active_connections().into_iter().map(|node| client.with_cluster_node(node));
    join_all(nodes.map(|node| async move { node.ping::<Value>(None).await })).await;
}

/// A client with the task that runs its connections.
#[derive(Debug, Clone)]
pub(super) struct Link<C: ClientLike> {
    pub(super) client: C,
    task: Arc<Mutex<ConnectHandle>>,
}

impl<C: ClientLike> Link<C> {
    /// Connects.
    pub(super) async fn open(client: C) -> Result<Self, RedisError> {
        let task = client.init().await?;
        Ok(Self { client, task: Arc::new(Mutex::new(task)) })
    }

    /// Makes a connection anew that only seems to be there.
    pub(super) async fn renew(&self) {
        let (client, is_connected) = (&self.client, self.client.is_connected());
        if is_connected {
            tracing::warn!("Redis does not answer: connecting again");
        }
        if client.is_clustered() || client.uses_sentinels() {
            return self.start_over().await;
        }
        // One that is known to be gone is being made anew already.
        if is_connected && let Err(error) = client.force_reconnection().await {
            tracing::debug!(%error, "could not connect again yet");
        }
    }

    /// Where there are several servers the client may be waiting for one that is gone. In a cluster a forced reconnection
    /// also keeps connections that show no error, whether anything is answered on them or not.
    async fn start_over(&self) {
        let mut task = self.task.lock().await;
        task.abort();
        // The next task must not find what this one leaves behind as it ends.
        let _ = (&mut *task).await;
        self.ask_given_sentinels();
        *task = self.client.connect();
    }

    /// Once connected, the client asks those sentinels that the first one knew of besides itself, and no others: where
    /// these are gone, it would not find those of the URL any more.
    fn ask_given_sentinels(&self) {
        let mut state = self.client.inner().server_state.write();
        if let Some(primary) = state.kind.sentinel_primary() {
            state.kind.update_sentinel_nodes(&primary, Vec::new());
        }
    }
}

/// Says what is wrong with a URL, without naming what is secret in it.
///
/// # Errors
/// When no client can be made of it.
pub fn check_url(url: &SecretString) -> Result<(), RedisError> {
    Config::from_url(url.expose_secret())?;
    Ok(())
}
