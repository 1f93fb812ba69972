//! How long a session waits for the locks of others, and others for its own.

use std::time::Duration;

use sqlx::{AssertSqlSafe, MySqlConnection};

/// After so much silence the server takes a session that [`hold_locks`] for gone, and frees its locks: when its machine has
/// lost its power, or the way to it is cut, nothing else tells. By default the server would wait for hours.
pub const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Also in the middle of a statement or of an answer, for which the server has limits of their own.
const SILENCES: [&str; 3] = ["wait_timeout", "net_read_timeout", "net_write_timeout"];

/// The setting that makes a session wait so long for a lock that somebody else holds; by default it would be for 50 s. Whole
/// seconds, at least one.
pub(super) fn lock_wait(most: Duration) -> String {
    format!("SET SESSION innodb_lock_wait_timeout = {}", most.as_secs().max(1))
}

/// Prepares a session for locks that others need: it waits for theirs for so long, and loses its own after [`SILENCE_MAX`].
///
/// # Errors
/// Those of MySQL.
pub async fn hold_locks(db: &mut MySqlConnection, wait: Duration) -> sqlx::Result<()> {
    let silences = SILENCES.map(|name| format!(", {name} = {}", SILENCE_MAX.as_secs()));
    set(db, lock_wait(wait) + &silences.concat()).await
}

/// Makes it a session again that may be silent in a pool.
///
/// # Errors
/// Those of MySQL.
pub async fn let_go(db: &mut MySqlConnection) -> sqlx::Result<()> {
    set(db, format!("SET SESSION {}", SILENCES.map(|name| format!("{name} = DEFAULT")).join(", "))).await
}

async fn set(db: &mut MySqlConnection, sql: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await.map(drop)
}
