//! The folder of one private server, and the watchdog that removes both when we are gone.

use std::{
    fs::{self, Permissions},
    io::{Read, Seek, SeekFrom},
    os::unix::{fs::MetadataExt, fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::LocalError;

const WATCHDOG: &str = include_str!("watchdog.sh");
const LOG_TAIL_BYTES: u64 = 3_000;

/// A folder that only its owner can enter. When it is dropped, or when this process ends in any way (kill -9 included),
/// the server whose id stands in the file `pid` is killed and the folder is removed.
///
/// The watchdog is a shell in a process group of its own, which waits for the end of a pipe. Invariant: this process
/// alone holds the write end; the standard library opens it close-on-exec, so no server inherits it.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    watchdog: Child,
}

impl Home {
    /// Makes the folder in the system's temporary folder (`TMPDIR`).
    pub(super) fn create() -> Result<Self, LocalError> {
        let temporary = std::env::temp_dir();
        let folder = tempfile::Builder::new()
            .prefix("restock-local-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&temporary)
            .map_err(LocalError::io("make a folder (TMPDIR says where) in", &temporary))?;
        let path = folder.path().canonicalize().map_err(LocalError::io("find", folder.path()))?;
        let watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG, "restock-watchdog"])
            .arg(&path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(LocalError::io("start the watchdog", "/bin/sh"))?;
        // From here on the watchdog removes it.
        let _ = folder.keep();
        Ok(Self { path, watchdog })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether the folder, and so this process, belongs to root.
    pub(super) fn is_roots(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|folder| folder.uid() == 0)
    }

    /// Starts a program as the leader of a new process group, with its output in a fresh log.
    ///
    /// The id is on disk before the program runs: a shell writes its own id, then becomes the program.
    pub(super) fn spawn(&self, command: &Command) -> Result<Child, LocalError> {
        let log_path = self.file("log");
        let log = fs::File::create(&log_path).map_err(LocalError::io("write", &log_path))?;
        let log_too = log.try_clone().map_err(LocalError::io("write", &log_path))?;
        let mut shell = Command::new("/bin/sh");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
            // Beyond a limit on the size of files a write fails, as on a full disk, and does not end the server.
            .args(["-c", r#"echo $$ > "$0" && trap '' XFSZ && exec "$@""#])
            .arg(self.file("pid"))
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(&self.path)
            // MariaDB's installer, killed in its work, left temporary tables there.
            .env("TMPDIR", &self.path)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            .process_group(0)
            .spawn()
            .map_err(LocalError::io("start", command.get_program()))
    }

    /// Call between the signal that ends the program and the `wait` that frees its id for others.
    pub(super) fn forget_pid(&self) {
        let _ = fs::remove_file(self.file("pid"));
    }

    /// The end of the log of the program started last.
    pub(super) fn log_tail(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut log = fs::File::open(self.file("log"))?;
            let start = log.metadata()?.len().saturating_sub(LOG_TAIL_BYTES);
            log.seek(SeekFrom::Start(start))?;
            let mut tail = Vec::new();
            log.read_to_end(&mut tail)?;
            Ok(String::from_utf8_lossy(&tail).trim_end().to_owned())
        };
        read().unwrap_or_else(|error| format!("(no log: {error})"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}
