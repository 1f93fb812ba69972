//! One server program as a child of this process, in a folder of its own.

use std::{
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::time::{Instant, sleep};

use super::{LocalError, home::Home};

const POLL: Duration = Duration::from_millis(5);

/// A program and its folder; the program may be running or not.
///
/// Dropping it kills the program with SIGKILL, waits for it, and removes the folder. It needs no async runtime and may
/// be used from several: nothing of it is tied to the runtime that started it.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    child: Mutex<Option<Child>>,
    home: Home,
}

impl Process {
    /// A process that is not yet started.
    pub(super) fn new(name: &'static str, home: Home) -> Self {
        Self { name, child: Mutex::new(None), home }
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the program, unless it is running.
    pub(super) fn spawn(&self, command: &Command) -> Result<(), LocalError> {
        let mut child = self.child();
        if !matches!(child.as_mut().map(Child::try_wait), Some(Ok(None))) {
            *child = Some(self.home.spawn(command)?);
        }
        Ok(())
    }

    /// The id of the running program.
    pub(super) fn pid(&self) -> Option<u32> {
        self.check_running().ok()
    }

    /// An error when the program has ended by itself or was ended by another task.
    pub(super) fn check_running(&self) -> Result<u32, LocalError> {
        let mut child = self.child();
        let Some(child) = child.as_mut() else { return Err(LocalError::Stopped { server: self.name }) };
        match child.try_wait() {
            Ok(None) => Ok(child.id()),
            Ok(Some(status)) => {
                self.home.forget_pid();
                Err(self.ended(status))
            }
            Err(source) => Err(LocalError::Io { doing: "wait for", path: self.name.into(), source }),
        }
    }

    fn ended(&self, status: ExitStatus) -> LocalError {
        LocalError::Ended { server: self.name.to_owned(), status, log: self.home.log_tail() }
    }

    /// Sends a signal to the program and all that it started.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), LocalError> {
        let Some(pid) = self.pid() else { return Err(LocalError::Stopped { server: self.name }) };
        killpg(Pid::from_raw(pid.cast_signed()), signal).map_err(|errno| LocalError::Io {
            doing: "signal",
            path: self.name.into(),
            source: errno.into(),
        })
    }

    /// Ends the program as a power cut would. Its files stay. Does nothing when it is not running.
    pub(super) fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            // Not yet waited for, so the id is still this program's.
            if matches!(child.try_wait(), Ok(None)) {
                let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
            }
            self.home.forget_pid();
            let _ = child.wait();
        }
    }

    /// Asks the program to end and waits until it has. Does nothing when it is not running.
    ///
    /// # Errors
    /// It was still running after `within`; it is killed then.
    pub(super) async fn stop(&self, within: Duration) -> Result<(), LocalError> {
        if self.pid().is_some() {
            self.signal(Signal::SIGTERM)?;
            // A frozen program gets the signal only once it runs.
            self.signal(Signal::SIGCONT)?;
        }
        let ended = self.wait(within).await;
        self.kill();
        ended.map(drop)
    }

    /// Waits until the program has ended by itself, and says how.
    pub(super) async fn wait(&self, within: Duration) -> Result<ExitStatus, LocalError> {
        let deadline = Instant::now() + within;
        loop {
            match self.check_running() {
                Err(LocalError::Ended { status, .. }) => return Ok(status),
                Err(LocalError::Stopped { .. }) => return Ok(ExitStatus::from_raw(0)),
                Err(error) => return Err(error),
                Ok(_) if Instant::now() >= deadline => return Err(self.late("end", within)),
                Ok(_) => sleep(POLL).await,
            }
        }
    }

    /// Runs a program of setup to its end.
    pub(super) async fn run(&self, command: &Command, within: Duration) -> Result<(), LocalError> {
        self.spawn(command)?;
        let status = self.wait(within).await?;
        let ended = if status.success() { Ok(()) } else { Err(self.ended(status)) };
        self.kill();
        ended
    }

    pub(super) fn late(&self, what: &'static str, within: Duration) -> LocalError {
        LocalError::Late { server: self.name, what, within, log: self.home.log_tail() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
