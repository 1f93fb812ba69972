//! What an error of MySQL means: whether it passes by itself, and who must do something about it.

use sqlx::mysql::MySqlDatabaseError;

/// Whether MySQL takes no writes at the moment, such as while another server takes over.
#[must_use]
pub fn is_read_only(error: &sqlx::Error) -> bool {
    matches!(
        number(error),
        Some(
            1290 // an option such as --read-only
            | 1792 // a read-only transaction
            | 1836 // read-only mode
        )
    )
}

/// Whether MySQL cannot write because there is no room, on its disk or in a file of a bounded size.
///
/// What is deleted, or a larger disk, makes room: nothing has to be started again.
#[must_use]
pub fn is_full(error: &sqlx::Error) -> bool {
    match number(error) {
        Some(
            1021 // disk full
            | 1114, // no room for a page of the table
        ) => true,
        // Any error of a file or of the engine, in words that have the one of the operating system.
        Some(
            3 // of a temporary file
            | 1026 // of a file
            | 1030, // of the engine
        ) => error.as_database_error().is_some_and(|error| error.message().contains("No space left on device")),
        _ => false,
    }
}

/// Whether MySQL could not be reached, went away, or takes no writes: worth trying again later.
#[must_use]
pub fn is_unreachable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(_) if is_read_only(error) || is_full(error) => true,
        sqlx::Error::Database(_) => matches!(
            number(error),
            Some(
                1040 // too many connections
                | 1053 | 1077 | 1079 // shutting down
                | 1152 | 1158
                    ..=1161 | 1184 // aborted connection, network errors
                | 1927 | 3169 | 4031 // connection killed, session killed, client timed out
            )
        ),
        _ => false,
    }
}

/// What went wrong in words that repeat nothing of a row, as those of MySQL do.
#[must_use]
pub fn in_short(error: &sqlx::Error) -> String {
    if is_full(error) {
        return "MySQL has no room left to write".to_owned();
    }
    if is_unreachable(error) {
        return "MySQL does not answer".to_owned();
    }
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
        Some(code) => format!("MySQL answers with SQLSTATE {code}"),
        None => "MySQL cannot be used".to_owned(),
    }
}

/// Whether MySQL refused the value of a row: SQLSTATE class 22 (data) or 23 (constraint). All else may pass later.
///
/// MySQL gives some of these no class; they are known by their numbers.
#[must_use]
pub fn is_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
        || matches!(
            number(error),
            Some(
                1265 // data truncated
                | 1366 // not a text of this character set, not a number
                | 3819 // a CHECK is violated
            )
        )
}

/// Whether a row with the same key was there before.
#[must_use]
pub fn is_duplicate(error: &sqlx::Error) -> bool {
    number(error) == Some(1062)
}

/// Whether the transaction was given up for another one, and is to be run again.
#[must_use]
pub fn is_deadlock(error: &sqlx::Error) -> bool {
    matches!(number(error), Some(1205 | 1213))
}

/// Whether the database that the URL names does not exist.
#[must_use]
pub fn is_missing_database(error: &sqlx::Error) -> bool {
    number(error) == Some(1049)
}

/// Whether the server does not accept this user or password.
#[must_use]
pub fn is_access_denied(error: &sqlx::Error) -> bool {
    matches!(number(error), Some(1044 | 1045 | 1698))
}

pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}
