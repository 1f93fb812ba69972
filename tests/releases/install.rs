//! Brings the state of a release into servers of its own.

use std::{fs, path::PathBuf};

use restock::{
    local::Servers,
    mysql::{self, schema},
};
use sqlx::{AssertSqlSafe, MySqlPool, migrate::Migrator};

use super::resp::Wire;

/// The database and the namespace of every stored state.
pub(crate) const DATABASE: &str = "restock";

/// What became of Redis since the old programs ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// It runs on.
    SameRun,
    /// It was started again.
    AnotherRun,
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"))
}

/// The versions whose state is kept.
pub(crate) fn releases() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the folder is there").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut releases: Vec<String> = names.filter_map(|name| Some(name.strip_prefix("state-")?.to_owned())).collect();
    releases.sort_unstable();
    releases
}

fn read(release: &str, file: &str) -> String {
    let path = folder().join(format!("state-{release}")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Both stores as that release left them.
pub(crate) async fn install(servers: &Servers, release: &str, since: Since) {
    let mut wire = Wire::open(servers.redis.port()).await;
    let run = match since {
        Since::SameRun => wire.run().await,
        Since::AnotherRun => "0".repeat(40),
    };
    for line in read(release, "redis.jsonl").lines() {
        let words: Vec<String> = serde_json::from_str(line).expect("a command in each line");
        let words: Vec<String> = words.into_iter().map(|word| if word == "RUN" { run.clone() } else { word }).collect();
        wire.ask(&words).await;
    }

    let url = servers.mysql.url(DATABASE).into();
    schema::create_database(&url).await.expect("MySQL answers");
    let pool = mysql::connect(&url, 1).await.expect("MySQL answers");
    let text = read(release, "mysql.sql");
    let migrations: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("-- migration ")).collect();
    make_schema(&pool, release, &migrations).await;
    for statement in text.lines().filter(|line| !line.starts_with("--")) {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&pool)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// The schema of that release: its migrations, which nobody may have edited since, and no later ones.
async fn make_schema(pool: &MySqlPool, release: &str, migrations: &[&str]) {
    let all = sqlx::migrate!("./migrations");
    let digest = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let then: Vec<_> = all
        .iter()
        .filter(|migration| {
            let version = migration.version.to_string();
            let known = migrations.iter().find_map(|line| line.strip_prefix(&version)?.strip_prefix(' '));
            known.inspect(|known| {
                let now = digest(&migration.checksum);
                assert!(
                    **known == now,
                    "migration {version} is not the one of release {release} any more: databases that have it would be \
                     refused. Add a migration instead; or, before {release} is out, run `make state` again"
                );
            });
            known.is_some()
        })
        .cloned()
        .collect();
    assert_eq!(then.len(), migrations.len(), "all migrations of {release} are there");
    let mut migrator = Migrator::with_migrations(then);
    // As in `restock-cli migrate`: sqlx' own lock does not wait on MariaDB.
    migrator.set_locking(false).run(pool).await.expect("the schema is made");
    // What a migration inserts is among the stored rows.
    sqlx::raw_sql("DELETE FROM inbox_sequence").execute(pool).await.expect("MySQL answers");
}
