//! Waiting until several servers agree, and cutting them off from each other.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{LocalError, LocalRedis};

/// How long servers may take to find each other, or to replace one of them.
const SETTLE_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Waits until it is so; a server that does not answer is asked again.
pub(super) async fn until<F: Future<Output = Result<bool, LocalError>>>(
    what: &'static str,
    mut reached: impl FnMut() -> F,
) -> Result<(), LocalError> {
    let start = Instant::now();
    loop {
        let last = reached().await;
        if matches!(last, Ok(true)) {
            return Ok(());
        }
        if start.elapsed() > SETTLE_MAX {
            return last.and(Err(LocalError::Unsettled { what, within: SETTLE_MAX }));
        }
        sleep(POLL).await;
    }
}

/// What the first of these servers that answers says to a command.
pub(super) async fn first_answer(
    servers: impl Iterator<Item = &LocalRedis>,
    command: &str,
    what: &'static str,
) -> Result<String, LocalError> {
    let mut answer = Err(LocalError::Unsettled { what, within: Duration::ZERO });
    for server in servers {
        answer = server.command(command).await;
        if answer.is_ok() {
            break;
        }
    }
    answer
}

/// Settings of a server that others copy or that copies others.
pub(super) fn replicated() -> Vec<String> {
    ["--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]
        .map(str::to_owned)
        .to_vec()
}

impl LocalRedis {
    /// Whether it copies another server and has all that this had when it began.
    pub(super) async fn is_following(&self) -> Result<bool, LocalError> {
        Ok(self.command("INFO replication").await?.contains("master_link_status:up"))
    }

    /// Cuts the copy off from what it copies, which keeps all that is written from now on to itself.
    ///
    /// # Errors
    /// One of them does not answer.
    pub async fn cut_off(&self, copy: &LocalRedis) -> Result<(), LocalError> {
        // A name that nobody knows: each try to follow is refused.
        copy.command("CONFIG SET masteruser nobody masterauth none").await?;
        self.command("CLIENT KILL TYPE replica").await?;
        until("the copy is cut off", || async { Ok(!copy.is_following().await?) }).await
    }
}
