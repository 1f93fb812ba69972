//! The processes of the deployment.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex as PlainMutex, PoisonError},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    sync::Mutex,
};

/// Where a process logs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// A file of its own.
    Free,
    /// One that takes nothing more.
    Full,
}

/// A running worker or flusher.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) name: String,
    child: Child,
    log: PathBuf,
}

impl Role {
    /// Starts a program; its log is in this folder, where the disk is free.
    pub(crate) fn start(name: String, mut command: Command, folder: &Path, disk: Disk) -> Self {
        let log = match disk {
            Disk::Free => folder.join(format!("{name}.log")),
            Disk::Full => PathBuf::from("/dev/full"),
        };
        let file = File::options().write(true).create(disk == Disk::Free).open(&log);
        let file = file.expect("the folder of the run can be written");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).kill_on_drop(true).spawn();
        Self { name, child: child.expect("the program starts"), log }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().expect("it was not waited for").cast_signed()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("it was not waited for");
    }

    /// What it says when it has ended although nobody told it to.
    pub(crate) fn complaint(&mut self) -> Option<String> {
        let status = self.child.try_wait().expect("it can be waited for")?;
        // From a full disk one could read without end.
        let log =
            if self.log.is_file() { std::fs::read_to_string(&self.log).unwrap_or_default() } else { String::new() };
        let last = log.lines().last().unwrap_or("its log is empty");
        Some(format!("{} ended by itself with {status}: {last}", self.name))
    }

    /// The most memory that it had, KiB.
    fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }

    /// Ends it at once, as a power cut would.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("it is killed");
    }

    /// Asks it to stop in order; whether it did in time, with the code 0.
    pub(crate) async fn stop(&mut self, within: std::time::Duration) -> Result<(), String> {
        self.signal(Signal::SIGTERM);
        match tokio::time::timeout(within, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("{} ended with {status} when it was told to stop", self.name)),
            Ok(Err(error)) => Err(format!("{} cannot be waited for: {error}", self.name)),
            Err(_) => {
                self.kill().await;
                Err(format!("{} did not stop within {} s", self.name, within.as_secs()))
            }
        }
    }
}

/// All of them. A place that a fault has emptied is filled again by the same fault.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    pub(crate) workers: Mutex<Vec<Role>>,
    pub(crate) flushers: Mutex<Vec<Role>>,
    started: std::sync::atomic::AtomicUsize,
    peak_kib: PlainMutex<u64>,
}

impl Crew {
    /// A number that no other process of the run has.
    pub(crate) fn number(&self) -> usize {
        self.started.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    /// Remembers how much memory a worker had; to be called before it ends.
    pub(crate) fn weigh(&self, role: &Role) {
        let mut peak_kib = self.peak_kib.lock().unwrap_or_else(PoisonError::into_inner);
        *peak_kib = role.peak_kib().max(*peak_kib);
    }

    /// The most memory that any worker had, KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        *self.peak_kib.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
