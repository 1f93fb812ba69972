//! Running a command with private servers beside it: what `make test` does.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use super::{
    LocalError, LocalMySql, LocalRedis,
    urls::{MYSQL_URL_VARIABLE, REDIS_URL_VARIABLE, given},
};

/// How long the command has to end after a signal before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// Runs a command with [`REDIS_URL_VARIABLE`] and [`MYSQL_URL_VARIABLE`] set, and returns its exit code (128 + the
/// signal's number if a signal ended it). A variable that is already set is left as it is and its server not started.
///
/// SIGTERM is passed on; SIGINT is not, because a terminal sends it to the command as well. The command then has 10 s
/// to end. The servers are gone when this returns.
///
/// # Errors
/// A server did not start, or the command could not be started. An empty command is one that cannot.
pub async fn run_with_servers(command: &[String]) -> Result<i32, LocalError> {
    let redis =
        async { if given(REDIS_URL_VARIABLE).is_some() { Ok(None) } else { LocalRedis::start().await.map(Some) } };
    let mysql =
        async { if given(MYSQL_URL_VARIABLE).is_some() { Ok(None) } else { LocalMySql::start().await.map(Some) } };
    let mut signals = Signals::listen()?;
    let (redis, mysql) = tokio::select! {
        servers = async { tokio::try_join!(redis, mysql) } => servers?,
        signal = signals.next() => return Ok(128 + signal as i32),
    };

    let (program, arguments) = command.split_first().map_or(("", [].as_slice()), |(first, rest)| (first, rest));
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    if let Some(redis) = &redis {
        command.env(REDIS_URL_VARIABLE, redis.url());
    }
    if let Some(mysql) = &mysql {
        command.env(MYSQL_URL_VARIABLE, mysql.server_url());
    }
    let child = command.spawn().map_err(LocalError::io("run", program))?;
    let status = supervise(child, &mut signals).await.map_err(LocalError::io("wait for", program))?;
    Ok(code(status))
}

async fn supervise(mut child: Child, signals: &mut Signals) -> std::io::Result<ExitStatus> {
    let signal = tokio::select! {
        status = child.wait() => return status,
        signal = signals.next() => signal,
    };
    if let (Signal::SIGTERM, Some(pid)) = (signal, child.id()) {
        let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
    }
    if timeout(GRACE, child.wait()).await.is_err() {
        child.start_kill()?;
    }
    child.wait().await
}

/// The two signals that ask this process to end, from the moment of `listen` on.
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, LocalError> {
        let listen = |kind| signal(kind).map_err(LocalError::io("listen to", "signals"));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
