//! Redis, the engine. The only place that knows the client library.
//!
//! * [`connect`](Redis::connect) and the error type are here, addresses and policies in `connect`;
//! * [`keys`] builds every key name;
//! * [`scripts`] has one typed wrapper per Lua file;
//! * [`jobs`] reads the job streams, [`pending`] looks at them, [`dead`] at what was set aside, [`log`] reads the log
//!   stream ([`log_entry`] is one entry), [`lane`] lanes as they stand;
//! * `mirror` has what is copied there from MySQL;
//! * [`inspect`] looks at what is there, for those who check it; [`census`] counts it; [`entry_id`] orders entries;
//! * [`stock`] reads what is in stock, and names that state;
//! * [`server`] is what the servers say of themselves;
//! * [`signal`] listens for stop signals, [`hint`] for hints of new messages in the inbox.

pub mod census;
mod connect;
pub mod dead;
mod entries;
pub mod entry_id;
pub mod hint;
pub mod inspect;
pub mod jobs;
pub mod keys;
pub mod lane;
pub mod log;
pub mod log_entry;
mod mirror;
pub mod pending;
pub mod scripts;
pub mod server;
pub mod signal;
pub mod stock;

use std::{sync::Arc, time::Duration};

use fred::{
    clients::Client,
    error::{Error, ErrorKind},
    interfaces::EventInterface,
    prelude::ClientLike,
    types::config::Server,
};
use secrecy::SecretString;
use tokio::sync::broadcast::{self, error::TryRecvError};
use tokio_util::sync::DropGuard;

use self::{keys::Keys, scripts::Gathering};
use crate::{ids::Namespace, meter};

pub use connect::{Patience, check_url};

/// What can go wrong with a call to Redis.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// No answer, or none yet: whether a command was executed is not known.
    #[error("Redis does not answer: {0}")]
    Unreachable(#[source] Error),
    /// Redis answered with an error.
    #[error("Redis refused the command: {0}")]
    Refused(#[source] Error),
    /// A script gave a reply that its wrapper does not know.
    #[error("{script}.lua gave an unknown reply: {reply:?}")]
    Protocol {
        /// The script's file name, without its ending.
        script: &'static str,
        /// What it said.
        reply: Vec<String>,
    },
    /// Something in Redis does not have the form it must have.
    #[error("the field `{field}` of a {what} in Redis cannot be read: `{}`", brief(text))]
    Unreadable {
        /// What it is a part of.
        what: &'static str,
        /// Its name.
        field: String,
        /// What stands there.
        text: String,
    },
}

/// One line of what may be anything.
fn brief(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    let mut brief = text.chars().take(CHARS_MAX).collect::<String>().escape_debug().to_string();
    if text.chars().nth(CHARS_MAX).is_some() {
        brief.push('…');
    }
    brief
}

impl RedisError {
    /// Whether the same call may go through later.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether no answer came in time: the connection may be dead without a sign.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Unreachable(error) if *error.kind() == ErrorKind::Timeout)
    }

    /// Whether the stream's group is gone and must be created again.
    #[must_use]
    pub fn is_no_group(&self) -> bool {
        matches!(self, Self::Refused(error) if error.details().contains("NOGROUP"))
    }
}

impl From<Error> for RedisError {
    fn from(error: Error) -> Self {
        let details = error.details();
        let passing = [
            "LOADING",
            "BUSY ",
            "MASTERDOWN",
            "CLUSTERDOWN",
            "READONLY",
            "UNBLOCKED",
            "TRYAGAIN",
            "OOM ",
            "MISCONF",
            "NOREPLICAS",
            // The client's own words, while it looks for the server that has taken over.
            "Failed to route command",
            "Client is not initialized",
            "channel closed",
            "Too many failed write attempts",
        ];
        let is_unreachable = match error.kind() {
            ErrorKind::IO
            | ErrorKind::Timeout
            | ErrorKind::Canceled
            | ErrorKind::Cluster
            | ErrorKind::Routing
            | ErrorKind::Sentinel => true,
            _ => passing.iter().any(|word| details.starts_with(word)),
        };
        let failure = if is_unreachable { Self::Unreachable(error) } else { Self::Refused(error) };
        // Every failure of a call passes here, once. A missing group is none: whoever reads makes it and goes on.
        if !failure.is_no_group() {
            meter::count_redis_error(is_unreachable);
        }
        failure
    }
}

/// How long a role waits before it asks an unreachable Redis again.
pub const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Whether a connection was made again.
#[derive(Debug)]
pub struct Reconnects(broadcast::Receiver<Server>);

impl Reconnects {
    /// Whether it was since this was last asked.
    pub fn happened(&mut self) -> bool {
        let mut happened = false;
        loop {
            match self.0.try_recv() {
                Ok(_) | Err(TryRecvError::Lagged(_)) => happened = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return happened,
            }
        }
    }
}

/// The longest that taking leave may take.
const CLOSE_MAX: Duration = Duration::from_millis(500);

/// A connection to Redis that several tasks share, with the names of the keys.
#[derive(Clone, Debug)]
pub struct Redis {
    client: Client,
    link: connect::Link<Client>,
    keys: Keys,
    gathering: Gathering,
    /// Ends the watch over the connection with its last user.
    _watch: Option<Arc<DropGuard>>,
}

impl Redis {
    /// Connects.
    ///
    /// # Errors
    /// [`RedisError::Refused`] for a URL that cannot be read, [`RedisError::Unreachable`] when `patience` ran out.
    pub async fn connect(url: &SecretString, namespace: &Namespace, patience: Patience) -> Result<Self, RedisError> {
        let client = connect::client(url, patience)?;
        let link = connect::Link::open(client.clone()).await?;
        let watch = (patience == Patience::Endless).then(|| Arc::new(connect::watch(link.clone())));
        Ok(Self { client, link, keys: Keys::new(namespace.clone()), gathering: Gathering::default(), _watch: watch })
    }

    /// Another connection to the same server, for a reader that blocks.
    ///
    /// # Errors
    /// As [`Redis::connect`].
    pub async fn reader(&self) -> Result<Self, RedisError> {
        let client = self.client.clone_new();
        client.update_perf_config(connect::reader_timeouts());
        let link = connect::Link::open(client.clone()).await?;
        Ok(Self { client, link, keys: self.keys.clone(), gathering: Gathering::default(), _watch: None })
    }

    /// Tells when the connection was broken: answers may have been lost, though their commands were sent again.
    #[must_use]
    pub fn reconnects(&self) -> Reconnects {
        Reconnects(self.client.reconnect_rx())
    }

    /// Whether there is a connection, as far as is known: without one every call waits for it.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    /// Gives the connection up and makes another.
    pub async fn reconnect(&self) {
        self.link.renew().await;
    }

    /// The names of the keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Closes the connection after what was sent is answered, or after half a second.
    pub async fn close(&self) {
        match tokio::time::timeout(CLOSE_MAX, self.client.quit()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the connection to Redis was already closed"),
            Err(_) => tracing::debug!("Redis did not take leave in time"),
        }
    }
}
