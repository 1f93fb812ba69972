//! How a command ends: its exit code, and one line on stderr when it fails.

mod backend;
mod meaning;
mod part;

use std::{fmt, io, iter, process::ExitCode};

use self::{
    backend::{mysql_error, redis_error},
    part::code_of_part,
};
use crate::{channel::ChannelError, config::Backends, mysql, redis::RedisError};

/// The exit codes of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed for a reason that has no code of its own.
    Failure = 1,
    /// Asked for something that makes no sense, such as a negative stock or a bad CSV.
    Usage = 2,
    /// No such product, round or user.
    NotFound = 3,
    /// Not in this state.
    Conflict = 4,
    /// Redis or MySQL does not answer.
    Unreachable = 5,
    /// `verify` or `doctor` found something.
    Findings = 6,
    /// With `--wait`: stock ran out.
    SoldOut = 10,
    /// With `--wait`: the channel could not go on.
    Error = 11,
    /// With `--wait`: somebody ended it.
    Admin = 12,
    /// With `--wait`: a newer round overtook it.
    Superseded = 13,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that failed. The message is one line: what happened, to what, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// With which code the process ends.
    pub code: Exit,
    /// The line on stderr; empty for none.
    pub message: String,
}

impl Failure {
    /// A failure with this code and message.
    #[must_use]
    pub fn new(code: Exit, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Finds out how to end for an error that a command came back with: its own [`Failure`], or that of the library's
    /// error anywhere among its causes.
    #[must_use]
    pub fn of(error: &anyhow::Error, backends: &Backends) -> Self {
        error
            .chain()
            .find_map(|cause| Self::of_cause(cause, backends))
            .unwrap_or_else(|| Self::new(Exit::Failure, with_causes(error.as_ref())))
    }

    fn of_cause(cause: &(dyn std::error::Error + 'static), backends: &Backends) -> Option<Self> {
        let code = if let Some(failure) = cause.downcast_ref::<Self>() {
            return Some(failure.clone());
        } else if let Some(error) = mysql_error(cause) {
            return Some(Self::of_mysql(error, backends));
        } else if let Some(error) = redis_error(cause) {
            return Some(Self::of_redis(error, backends));
        } else if let Some(error) = cause.downcast_ref::<io::Error>() {
            return Self::of_io(error);
        } else if let Some(error) = cause.downcast_ref::<ChannelError>() {
            return Some(Self::of_channel(error));
        } else {
            code_of_part(cause)?
        };
        Some(Self::new(code, cause.to_string()))
    }

    fn of_redis(error: &RedisError, backends: &Backends) -> Self {
        let at = backends.redis_address();
        let check = "check --redis-url / RESTOCK_REDIS_URL";
        match error {
            RedisError::Unreachable(error) => Self::new(
                Exit::Unreachable,
                format!("Redis at {at} does not answer: {}; {check}", plain(&error.to_string())),
            ),
            RedisError::Refused(error) if error.details().contains("Invalid frame type") => {
                Self::new(Exit::Failure, format!("what answers at {at} is no Redis; {check}"))
            }
            RedisError::Refused(error) => {
                Self::new(Exit::Failure, format!("Redis at {at} refuses the command: {error}; {check}"))
            }
            RedisError::Protocol { .. } | RedisError::Unreadable { .. } => Self::new(
                Exit::Failure,
                format!("Redis at {at}: {error}; run the same version everywhere, and see `restock-cli doctor`"),
            ),
        }
    }

    fn of_mysql(error: &sqlx::Error, backends: &Backends) -> Self {
        let at = backends.mysql_address();
        let check = "check --mysql-url / RESTOCK_MYSQL_URL";
        if mysql::is_full(error) {
            let why = database_message(error);
            Self::new(
                Exit::Unreachable,
                format!("MySQL at {at} has no room left to write: {why}; make some on its disk"),
            )
        } else if mysql::is_unreachable(error) {
            let why = match error {
                sqlx::Error::Io(error) => plain(&error.to_string()).to_owned(),
                error => error.to_string(),
            };
            Self::new(Exit::Unreachable, format!("MySQL at {at} does not answer: {why}; {check}"))
        } else if mysql::is_missing_database(error) {
            Self::new(
                Exit::Failure,
                format!("MySQL at {at} has no such database; run `restock-cli migrate`, or {check}"),
            )
        } else if mysql::is_access_denied(error) {
            Self::new(Exit::Failure, format!("MySQL at {at} refuses the login: {}; {check}", database_message(error)))
        } else {
            Self::new(
                Exit::Failure,
                format!("MySQL at {at} failed: {}; see its log, and `restock-cli doctor`", database_message(error)),
            )
        }
    }

    fn of_channel(error: &ChannelError) -> Self {
        let code = if matches!(error, ChannelError::Client(_)) { Exit::Failure } else { Exit::Usage };
        Self::new(code, with_causes(error))
    }

    /// A reader of our output that went away, as in `restock-cli history … | head`, is no failure to speak of.
    fn of_io(error: &io::Error) -> Option<Self> {
        (error.kind() == io::ErrorKind::BrokenPipe).then(|| Self::new(Exit::Done, ""))
    }
}

/// Whether a command failed because MySQL does not answer.
pub(super) fn is_mysql_unreachable(error: &anyhow::Error) -> bool {
    error.chain().find_map(mysql_error).is_some_and(mysql::is_unreachable)
}

fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The words for people in an error of the operating system as the client of Redis shows it.
fn plain(text: &str) -> &str {
    if text.contains("failed to lookup address information") {
        return "cannot look up the host";
    }
    let message = text.split_once("message: \"").and_then(|(_, rest)| rest.split_once('"'));
    message.map_or_else(|| text.trim_end_matches('.'), |(message, _)| message)
}

fn database_message(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// The text without line ends and the other control characters that a server, a file or an argument put into it.
pub(super) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.message))
    }
}

impl std::error::Error for Failure {}
