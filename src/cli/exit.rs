//! How a command ends: its exit code, and one line on stderr when it fails.

use std::{fmt, io, iter, process::ExitCode};

use crate::{
    api::{RunError, options::OptionError},
    channel::ChannelError,
    config::{Backends, ConfigError},
    ids::ParseError,
    mysql::{
        self, import::ImportError, product::AddError, schema::SchemaError, setting::SettingError,
        subscription::SubscribeError,
    },
    producer::ProducerError,
    redis::RedisError,
    report::ReportError,
    stores::{OpenError, StoreError},
    worker::NotEnabled,
};

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
        if mysql::is_unreachable(error) {
            let why = match error {
                sqlx::Error::Io(error) => error.to_string(),
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

/// MySQL's error, when this is one or only passes one on.
fn mysql_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a sqlx::Error> {
    if let Some(error) = cause.downcast_ref::<sqlx::Error>() {
        return Some(error);
    }
    if let Some(StoreError::Sql(error)) = cause.downcast_ref::<StoreError>() {
        return Some(error);
    }
    if let Some(ReportError::Sql(error)) = cause.downcast_ref::<ReportError>() {
        return Some(error);
    }
    match (cause.downcast_ref::<SettingError>(), cause.downcast_ref::<SchemaError>()) {
        (Some(SettingError::Sql(error)), _) | (_, Some(SchemaError::Sql(error))) => return Some(error),
        _ => {}
    }
    match (cause.downcast_ref::<AddError>(), cause.downcast_ref::<SubscribeError>()) {
        (Some(AddError::Sql(error)), _) | (_, Some(SubscribeError::Sql(error))) => return Some(error),
        _ => {}
    }
    if let Some(ImportError::Sql(error)) = cause.downcast_ref::<ImportError>() {
        return Some(error);
    }
    match (cause.downcast_ref::<OpenError>(), cause.downcast_ref::<ProducerError>()) {
        (Some(OpenError::Sql(error)), _) => Some(error),
        (Some(OpenError::Schema(error)), _) => mysql_error(error),
        (Some(OpenError::Setting(error)), _) | (_, Some(ProducerError::Setting(error))) => mysql_error(error),
        (_, Some(ProducerError::Store(error))) => mysql_error(error),
        _ => match cause.downcast_ref::<RunError>() {
            Some(RunError::Open(error)) => mysql_error(error),
            Some(RunError::Sql(error)) => Some(error),
            _ => None,
        },
    }
}

/// Redis' error, when this is one or only passes one on.
fn redis_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a RedisError> {
    if let Some(error) = cause.downcast_ref::<RedisError>() {
        return Some(error);
    }
    if let Some(ReportError::Redis(error)) = cause.downcast_ref::<ReportError>() {
        return Some(error);
    }
    match (cause.downcast_ref::<StoreError>(), cause.downcast_ref::<OpenError>(), cause.downcast_ref::<ProducerError>())
    {
        (Some(StoreError::Redis(error)), ..) | (_, Some(OpenError::Redis(error)), _) => Some(error),
        (.., Some(ProducerError::Store(error))) => redis_error(error),
        _ => match cause.downcast_ref::<RunError>() {
            Some(RunError::Open(error)) => redis_error(error),
            _ => None,
        },
    }
}

/// The code of an error of a part, other than one that it only passes on.
fn code_of_part(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if cause.is::<ParseError>() || cause.is::<ConfigError>() || cause.is::<NotEnabled>() || cause.is::<OptionError>() {
        Some(Exit::Usage)
    } else if let Some(error) = cause.downcast_ref::<SettingError>() {
        code_of_setting(error)
    } else if let Some(error) = cause.downcast_ref::<ProducerError>() {
        code_of_producer(error)
    } else if let Some(error) = cause.downcast_ref::<OpenError>() {
        code_of_open(error)
    } else if let Some(error) = cause.downcast_ref::<RunError>() {
        match error {
            RunError::Options(_) => Some(Exit::Usage),
            RunError::Open(error) => code_of_open(error),
            RunError::Listen { .. } | RunError::Sql(_) | RunError::Replaced(_) => Some(Exit::Failure),
        }
    } else if cause.is::<AddError>() {
        Some(Exit::Conflict)
    } else if cause.is::<SubscribeError>() {
        Some(Exit::NotFound)
    } else if cause.is::<SchemaError>() || cause.is::<StoreError>() {
        Some(Exit::Failure)
    } else if let Some(error) = cause.downcast_ref::<ImportError>() {
        error.is_input().then_some(Exit::Usage)
    } else {
        None
    }
}

fn code_of_open(error: &OpenError) -> Option<Exit> {
    match error {
        OpenError::Setting(error) => code_of_setting(error),
        OpenError::OtherPartitions { .. } => Some(Exit::Conflict),
        OpenError::Schema(_) => Some(Exit::Failure),
        OpenError::Sql(_) | OpenError::Redis(_) => None,
    }
}

fn code_of_setting(error: &SettingError) -> Option<Exit> {
    match error {
        SettingError::Sql(_) => None,
        SettingError::Unknown(_) | SettingError::Invalid { .. } => Some(Exit::Usage),
        SettingError::Fixed { .. } | SettingError::NamespaceDiffers { .. } | SettingError::PartitionsDiffer { .. } => {
            Some(Exit::Conflict)
        }
        SettingError::Missing(_) => Some(Exit::Failure),
    }
}

fn code_of_producer(error: &ProducerError) -> Option<Exit> {
    match error {
        ProducerError::NotFound(_) => Some(Exit::NotFound),
        ProducerError::NoStock { .. }
        | ProducerError::KeyConflict { .. }
        | ProducerError::Refused { .. }
        | ProducerError::NothingToResume { .. }
        | ProducerError::NobodyBlocks { .. }
        | ProducerError::NobodyFailed { .. }
        | ProducerError::NothingToCancel { .. }
        | ProducerError::NotEnabled { .. }
        | ProducerError::Moved { .. }
        | ProducerError::BelowZero { .. }
        | ProducerError::AboveMost { .. } => Some(Exit::Conflict),
        ProducerError::Backlog | ProducerError::Unsettled(_) | ProducerError::Store(_) => Some(Exit::Failure),
        ProducerError::Setting(error) => code_of_setting(error),
    }
}

fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The words for people in an error of the operating system as the client of Redis shows it.
fn plain(text: &str) -> &str {
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
