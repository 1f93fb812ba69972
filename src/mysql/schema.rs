//! Restock's own schema: made by `restock-cli migrate`, and checked by every process before it works.

use std::collections::BTreeMap;

use secrecy::SecretString;
use sqlx::{
    AssertSqlSafe, Connection, MySqlConnection, MySqlPool,
    migrate::{MigrateError, Migrator},
    mysql::MySqlConnectOptions,
};

use super::{is_missing_database, number, open, options};

/// The schema of this version, embedded. Every statement of it can be run again.
static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How long `migrate` waits for another `migrate`, in seconds.
const LOCK_WAIT_SECS: i64 = 30;

/// Why the schema cannot be made, or worked with.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// No database, or no tables of ours in it.
    #[error("the database has no schema of restock; run `restock-cli migrate`")]
    Missing,
    /// Made by an older version, or a `migrate` did not finish.
    #[error("the schema is version {found}, this program needs {needed}; run `restock-cli migrate`")]
    Old {
        /// The newest version that is complete.
        found: i64,
        /// The version of this program.
        needed: i64,
    },
    /// Made by a newer version.
    #[error("the schema is version {found}, newer than the {known} of this program; upgrade restock")]
    Newer {
        /// The newest version found.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// A migration that was applied is not the one in this program.
    #[error("migration {0} of the schema is not the one of this program; use the release that made the schema")]
    Changed(i64),
    /// Another `migrate` does not come to an end.
    #[error("another `migrate` holds the lock for more than {LOCK_WAIT_SECS} s; wait for it and run it again")]
    Busy,
    /// The migration itself failed.
    #[error("the schema cannot be made: {0}")]
    Migrate(#[source] MigrateError),
    /// MySQL failed.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

/// Creates the database that the URL names, if it does not exist.
///
/// # Errors
/// Those of MySQL, such as that the user may not.
pub async fn create_database(url: &SecretString) -> Result<(), SchemaError> {
    let options = options(url)?;
    match open(&options).await {
        Ok(connection) => return Ok(connection.close().await?),
        Err(error) if is_missing_database(&error) => {}
        Err(error) => return Err(error.into()),
    }
    let name = options.get_database().unwrap_or_default().replace('`', "``");
    let mut server = open(&without_database(options)).await?;
    // A name cannot be bound; it is quoted above.
    let create = format!("CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut server).await?;
    Ok(server.close().await?)
}

fn without_database(options: MySqlConnectOptions) -> MySqlConnectOptions {
    // An empty name is sent as none.
    options.database("")
}

/// Brings the schema to the version of this program; does nothing where it is that already.
/// Several at once wait for each other, and one that was killed is finished by the next.
///
/// # Errors
/// When the schema is newer or changed, another `migrate` does not end, and those of MySQL.
pub async fn migrate(pool: &MySqlPool) -> Result<(), SchemaError> {
    let mut connection = pool.acquire().await?;
    // sqlx' own lock waits with a negative timeout, which is no wait at all on MariaDB.
    let held: Option<i64> =
        sqlx::query_scalar("SELECT GET_LOCK(CONCAT('restock-migrate-', LEFT(SHA2(DATABASE(), 256), 32)), ?)")
            .bind(LOCK_WAIT_SECS)
            .fetch_one(&mut *connection)
            .await?;
    if held != Some(1) {
        return Err(SchemaError::Busy);
    }
    let done = migrate_locked(&mut connection).await;
    sqlx::query("DO RELEASE_LOCK(CONCAT('restock-migrate-', LEFT(SHA2(DATABASE(), 256), 32)))")
        .execute(&mut *connection)
        .await?;
    done
}

async fn migrate_locked(connection: &mut MySqlConnection) -> Result<(), SchemaError> {
    if !versions(connection).await?.is_empty() {
        // Unfinished ones run again from their first statement.
        sqlx::query("DELETE FROM _sqlx_migrations WHERE success = FALSE").execute(&mut *connection).await?;
    }
    let mut migrator = Migrator::with_migrations(MIGRATIONS.iter().cloned().collect());
    migrator.set_locking(false).run(connection).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => SchemaError::Sql(error),
        MigrateError::VersionMissing(found) => SchemaError::Newer { found, known: newest_known() },
        MigrateError::VersionMismatch(version) => SchemaError::Changed(version),
        error => SchemaError::Migrate(error),
    })
}

/// Refuses a schema that is not the one of this program, and says which command mends it.
///
/// # Errors
/// When it is missing, older or newer; and those of MySQL.
pub async fn check(pool: &MySqlPool) -> Result<(), SchemaError> {
    let mut connection = pool.acquire().await?;
    let versions = versions(&mut connection).await?;
    let known = newest_known();
    let newest_complete = versions.iter().filter(|(_, complete)| **complete).map(|(version, _)| *version).max();
    match (newest_complete, versions.keys().max()) {
        (_, Some(&found)) if found > known => Err(SchemaError::Newer { found, known }),
        (Some(found), _) if found == known => Ok(()),
        (Some(found), _) => Err(SchemaError::Old { found, needed: known }),
        (None, Some(_)) => Err(SchemaError::Old { found: 0, needed: known }),
        (None, None) => Err(SchemaError::Missing),
    }
}

/// The version of the schema that this program makes.
#[must_use]
pub fn newest_known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The versions found, and whether each is complete; none when there is no table of them.
async fn versions(connection: &mut MySqlConnection) -> sqlx::Result<BTreeMap<i64, bool>> {
    const NO_SUCH_TABLE: u16 = 1146;
    let rows: sqlx::Result<Vec<(i64, bool)>> =
        sqlx::query_as("SELECT version, success FROM _sqlx_migrations").fetch_all(connection).await;
    match rows {
        Ok(rows) => Ok(rows.into_iter().collect()),
        Err(error) if number(&error) == Some(NO_SUCH_TABLE) => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}
