//! Both stores as text: commands of Redis, one in each line, and statements of MySQL.
//!
//! What would be different on any other server stands for itself: `RUN` is the server's run, which whoever installs the
//! state puts in; leases have run out long ago, because clocks differ; replies that are kept for a minute are left out.

use sqlx::{AssertSqlSafe, MySqlPool, Row};

use crate::resp::{Reply, Wire};

/// In place of the name of the server's run.
const RUN: &str = "RUN";
/// Replies of calls and counts that live for less than this are gone before anybody reads the state.
const KEPT_MS: i64 = 100_000;

/// All keys of a server, in order.
pub(crate) async fn redis(port: u16) -> String {
    let mut wire = Wire::open(port).await;
    let run = wire.run().await;
    let mut keys = wire.ask(&["KEYS", "*"]).await.texts();
    keys.sort_unstable();
    let mut text = String::new();
    for key in keys {
        let ttl_ms: i64 = wire.ask(&["PTTL", &key]).await.text().parse().unwrap_or(-1);
        if (0..KEPT_MS).contains(&ttl_ms) {
            continue;
        }
        let mut commands = match wire.ask(&["TYPE", &key]).await.text().as_str() {
            "hash" => vec![hash(&mut wire, &key, &run).await],
            "zset" => vec![sorted_set(&mut wire, &key).await],
            "string" => vec![vec!["SET".to_owned(), key.clone(), wire.ask(&["GET", &key]).await.text()]],
            "stream" => stream(&mut wire, &key).await,
            other => panic!("{key} is of the unknown type {other}"),
        };
        if ttl_ms > 0 {
            commands.push(vec!["EXPIRE".to_owned(), key, "86400".to_owned()]);
        }
        for command in commands {
            text.push_str(&serde_json::to_string(&command).expect("texts"));
            text.push('\n');
        }
    }
    text
}

async fn hash(wire: &mut Wire, key: &str, run: &str) -> Vec<String> {
    let pairs = wire.ask(&["HGETALL", key]).await.texts();
    let mut pairs: Vec<(String, String)> = pairs.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    pairs.sort_unstable();
    let mut command = vec!["HSET".to_owned(), key.to_owned()];
    for (field, value) in pairs {
        let value = match field.as_str() {
            "hold" => ended(&value),
            _ if value == run => RUN.to_owned(),
            _ => value,
        };
        command.extend([field, value]);
    }
    command
}

/// A hold (`token until length owner`) whose lease has run out.
fn ended(hold: &str) -> String {
    let mut words: Vec<&str> = hold.split(' ').collect();
    if let Some(until) = words.get_mut(1) {
        *until = "1";
    }
    words.join(" ")
}

async fn sorted_set(wire: &mut Wire, key: &str) -> Vec<String> {
    let members = wire.ask(&["ZRANGE", key, "0", "-1", "WITHSCORES"]).await.texts();
    let scored = members.chunks(2).flat_map(|pair| [pair[1].clone(), pair[0].clone()]);
    ["ZADD".to_owned(), key.to_owned()].into_iter().chain(scored).collect()
}

/// The value behind a name in a reply of XINFO.
fn named(reply: &[Reply], name: &str) -> String {
    let at = reply.iter().position(|reply| *reply == Reply::Text(name.to_owned()));
    at.and_then(|at| reply.get(at + 1)).cloned().map(Reply::text).unwrap_or_default()
}

/// Entries, how far it has counted, and its groups with who reads in them and what they were given.
async fn stream(wire: &mut Wire, key: &str) -> Vec<Vec<String>> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let with_key = |command: &str, rest: &str| {
        command.split(' ').map(str::to_owned).chain([key.to_owned()]).chain(words(rest)).collect::<Vec<_>>()
    };
    let info = wire.ask(&["XINFO", "STREAM", key]).await.many();
    let last = named(&info, "last-generated-id");
    let mut commands = Vec::new();
    let entries = wire.ask(&["XRANGE", key, "-", "+"]).await.many();
    if entries.is_empty() && last != "0-0" {
        commands.extend([with_key("XADD", &format!("{last} was here")), with_key("XDEL", &last)]);
    }
    for entry in entries {
        let mut entry = entry.many().into_iter();
        let id = entry.next().map(Reply::text).unwrap_or_default();
        let fields = entry.next().map(Reply::texts).unwrap_or_default();
        commands.push(with_key("XADD", &id).into_iter().chain(fields).collect());
    }
    let (added, deleted) = (named(&info, "entries-added"), named(&info, "max-deleted-entry-id"));
    let counted = with_key("XSETID", &format!("{last} ENTRIESADDED {added} MAXDELETEDID {deleted}"));
    for group in wire.ask(&["XINFO", "GROUPS", key]).await.many() {
        let group = group.many();
        let (name, read) = (named(&group, "name"), named(&group, "last-delivered-id"));
        commands.push(with_key("XGROUP CREATE", &format!("{name} {read} MKSTREAM")));
        for consumer in wire.ask(&["XINFO", "CONSUMERS", key, &name]).await.many() {
            let consumer = named(&consumer.many(), "name");
            commands.push(with_key("XGROUP CREATECONSUMER", &format!("{name} {consumer}")));
        }
        for pending in wire.ask(&["XPENDING", key, &name, "-", "+", "1000"]).await.many() {
            let [id, consumer, _, times] = pending.texts().try_into().expect("four values");
            let claim = format!("{name} {consumer} 0 {id} IDLE 600000 RETRYCOUNT {times} FORCE JUSTID");
            commands.push(with_key("XCLAIM", &claim));
        }
    }
    // After the groups, which make a stream that was never written to.
    commands.push(counted);
    commands
}

/// All rows but those about the schema, whose migrations are kept for ever; these by number and digest, to be compared.
pub(crate) async fn mysql(url: &str) -> anyhow::Result<String> {
    let pool = restock::mysql::connect(&url.to_owned().into(), 1).await?;
    let mut text = String::new();
    let migrations: Vec<(i64, String)> =
        sqlx::query_as("SELECT version, LOWER(HEX(checksum)) FROM _sqlx_migrations ORDER BY version")
            .fetch_all(&pool)
            .await?;
    for (version, digest) in migrations {
        text.push_str(&format!("-- migration {version} {digest}\n"));
    }
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT CAST(table_name AS CHAR) FROM information_schema.tables
         WHERE table_schema = DATABASE() AND table_name <> '_sqlx_migrations' ORDER BY table_name",
    )
    .fetch_all(&pool)
    .await?;
    for table in tables {
        text.push_str(&rows(&pool, &table).await?);
    }
    Ok(text)
}

async fn rows(pool: &MySqlPool, table: &str) -> anyhow::Result<String> {
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT CAST(column_name AS CHAR) FROM information_schema.columns
         WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position",
    )
    .bind(table)
    .fetch_all(pool)
    .await?;
    let names: Vec<String> = columns.iter().map(|column| format!("`{column}`")).collect();
    let read: Vec<String> = names.iter().map(|name| format!("CAST({name} AS CHAR)")).collect();
    let order: Vec<String> = (1..=columns.len()).map(|at| at.to_string()).collect();
    // Names of tables and columns cannot be bound.
    let sql = format!("SELECT {} FROM `{table}` ORDER BY {}", read.join(", "), order.join(", "));
    let mut text = String::new();
    for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(pool).await? {
        let values =
            (0..columns.len()).map(|at| Ok(quoted(row.try_get(at)?))).collect::<anyhow::Result<Vec<String>>>()?;
        text.push_str(&format!("INSERT INTO `{table}` ({}) VALUES ({});\n", names.join(", "), values.join(", ")));
    }
    Ok(text)
}

fn quoted(value: Option<String>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |text| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")))
}
