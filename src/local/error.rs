//! What can go wrong with a private server.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

/// A private server could not be found, started, reached or stopped. The message says what to do where that is known.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Neither the program nor Docker is there.
    #[error(
        "{server} is not installed ({looked_for} not found) and Docker cannot stand in: install it with \
         `apt-get install redis-server mariadb-server` or `brew install redis mariadb`, or start Docker"
    )]
    Missing {
        /// Which server.
        server: &'static str,
        /// The programs that were looked for.
        looked_for: &'static str,
        /// What Docker answered.
        #[source]
        docker: Box<LocalError>,
    },
    /// The program is not there, and Docker cannot stand in.
    #[error(
        "{server} is not installed ({looked_for} not found): install it with `apt-get install redis-server` or \
         `brew install redis`; servers that must find each other are not started in containers"
    )]
    ProgramMissing {
        /// Which server.
        server: &'static str,
        /// The programs that were looked for.
        looked_for: &'static str,
    },
    /// A server refused a command.
    #[error("Redis on port {port} refused `{command}`: {reply}")]
    Refused {
        /// Of which server.
        port: u16,
        /// What it was asked.
        command: String,
        /// What it said.
        reply: String,
    },
    /// Servers did not come to agree in time.
    #[error("{what} is still not so after {} s", within.as_secs())]
    Unsettled {
        /// What was waited for.
        what: &'static str,
        /// The deadline that passed.
        within: Duration,
    },
    /// The variable that chooses a program names something that is not a file.
    #[error("{variable}={path} is not a program: give the path of one, or unset the variable", path = path.display())]
    NotAProgram {
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        path: PathBuf,
    },
    /// The operating system refused something.
    #[error("cannot {doing} {path}", path = path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file, folder or program.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No free port was found.
    #[error("no free port on 127.0.0.1 was found in {tries} tries; try again")]
    NoPort {
        /// How many ports were tried.
        tries: usize,
    },
    /// The server ended instead of answering, or its data folder could not be made.
    #[error("{server} ended with {status}; {}", gist(log))]
    Ended {
        /// Which server or installer.
        server: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// The server was killed or stopped by another task while it was awaited.
    #[error("{server} was stopped while it was starting; start again")]
    Stopped {
        /// Which server.
        server: &'static str,
    },
    /// The server did not do in time what it was asked to.
    #[error("{server} did not {what} within {} s; {}", within.as_secs(), gist(log))]
    Late {
        /// Which server.
        server: &'static str,
        /// What it should have done.
        what: &'static str,
        /// The deadline that passed.
        within: Duration,
        /// The last lines of its log.
        log: String,
    },
    /// Docker refused something.
    #[error("Docker cannot {doing}")]
    Docker {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        #[source]
        source: Box<testcontainers::TestcontainersError>,
    },
}

/// What a log says in a line: its first two errors, or else its end.
fn gist(log: &str) -> String {
    let is_error = |line: &&str| line.contains("ERROR") || line.contains("FATAL");
    let mut lines: Vec<&str> = log.lines().filter(is_error).take(2).collect();
    if lines.is_empty() {
        lines = log.lines().rev().filter(|line| !line.trim().is_empty()).take(2).collect();
        lines.reverse();
    }
    if lines.is_empty() { "its log is empty".to_owned() } else { format!("its log: {}", lines.join("; ")) }
}

impl LocalError {
    /// The server ended because another process holds its port: with a new port it would start.
    pub(super) fn is_port_taken(&self) -> bool {
        match self {
            Self::Ended { log, .. } => log.to_ascii_lowercase().contains("address already in use"),
            Self::Docker { source, .. } => source.to_string().contains("port is already allocated"),
            _ => false,
        }
    }

    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::gist;

    #[test]
    fn of_a_log_the_first_errors_are_told_or_else_its_end() {
        assert_eq!(gist(" \n"), "its log is empty");
        assert_eq!(gist("a\n\nb\nc\n"), "its log: b; c");
        assert_eq!(
            gist("a\n[ERROR] full\n[ERROR] aborting\n[ERROR] bye\nz"),
            "its log: [ERROR] full; [ERROR] aborting"
        );
    }
}
