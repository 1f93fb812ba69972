//! The MySQL or MariaDB server: distance, version, durability, limits.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use sqlx::MySqlPool;

use super::{
    engine::version,
    sheet::{Level, Sheet},
};

const PINGS: usize = 5;
/// A distance at which a page of the line takes longer than it lasts.
const FAR: Duration = Duration::from_millis(50);
/// What a round's row with a full window ahead, and a statement of 512 people, need at most.
const PACKET_BYTES_MIN: u64 = 4 << 20;

/// The server's variables that matter here; a server leaves out those that it does not have.
const VARIABLES: &str =
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('max_allowed_packet', 'binlog_format', 'log_bin',
    'innodb_flush_log_at_trx_commit', 'sync_binlog', 'read_only', 'max_connections')";

pub(super) async fn examine(pool: &MySqlPool, sheet: &mut Sheet) -> sqlx::Result<()> {
    let mut fastest = Duration::MAX;
    for _ in 0..PINGS {
        let start = Instant::now();
        sqlx::query("DO 1").execute(pool).await?;
        fastest = fastest.min(start.elapsed());
    }
    let level = if fastest > FAR { Level::Warn } else { Level::Ok };
    let detail = format!("a round trip takes {:.1} ms", fastest.as_secs_f64() * 1000.0);
    sheet.judge("mysql", level, detail, "run workers and flusher nearer to MySQL");
    let found: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(pool).await?;
    examine_version(&found, sheet);
    let rows: Vec<(String, String)> = sqlx::query_as(VARIABLES).fetch_all(pool).await?;
    let variables: HashMap<String, String> = rows.into_iter().collect();
    examine_durability(&variables, sheet);
    examine_binlog(&variables, sheet);
    examine_limits(&variables, pool, sheet).await
}

fn text<'a>(variables: &'a HashMap<String, String>, name: &str) -> &'a str {
    variables.get(name).map_or("", String::as_str)
}

fn examine_version(found: &str, sheet: &mut Sheet) {
    let (name, oldest) = if found.contains("MariaDB") { ("MariaDB", (10, 6)) } else { ("MySQL", (8, 0)) };
    let level = if version(found) < oldest { Level::Fail } else { Level::Ok };
    sheet.judge("mysql_version", level, format!("{name} {found}"), "use MySQL 8.0 or MariaDB 10.6, or a newer one");
}

fn examine_durability(variables: &HashMap<String, String>, sheet: &mut Sheet) {
    if text(variables, "read_only") == "ON" {
        return sheet.fail("mysql_durability", "read_only is ON", "give the address of the primary");
    }
    let flush = text(variables, "innodb_flush_log_at_trx_commit");
    let binlog = text(variables, "log_bin") == "ON";
    let level =
        if flush == "1" && (!binlog || text(variables, "sync_binlog") == "1") { Level::Ok } else { Level::Warn };
    let synced = if binlog { format!(", sync_binlog {}", text(variables, "sync_binlog")) } else { String::new() };
    let detail = format!("innodb_flush_log_at_trx_commit {flush}{synced}");
    let advice = "set both to 1: what is committed leaves Redis, and a crash of the machine must not undo it";
    sheet.judge("mysql_durability", level, detail, advice);
}

/// Sessions run at READ COMMITTED, which the statement format refuses.
fn examine_binlog(variables: &HashMap<String, String>, sheet: &mut Sheet) {
    let (on, format) = (text(variables, "log_bin") == "ON", text(variables, "binlog_format"));
    let level = if on && format == "STATEMENT" { Level::Fail } else { Level::Ok };
    let detail = if on { format!("binlog_format {format}") } else { "no binary log".to_owned() };
    let advice = "set binlog_format ROW: InnoDB refuses to write at READ COMMITTED with STATEMENT";
    sheet.judge("mysql_binlog", level, detail, advice);
}

async fn examine_limits(variables: &HashMap<String, String>, pool: &MySqlPool, sheet: &mut Sheet) -> sqlx::Result<()> {
    let packet: u64 = text(variables, "max_allowed_packet").parse().unwrap_or(0);
    let level = if packet < PACKET_BYTES_MIN { Level::Fail } else { Level::Ok };
    let detail = format!("max_allowed_packet {} kB", packet / 1024);
    sheet.judge("mysql_packet", level, detail, "set max_allowed_packet 16M: the flusher writes 512 rows at a time");
    let most: u64 = text(variables, "max_connections").parse().unwrap_or(0);
    let (_, used): (String, String) =
        sqlx::query_as("SHOW GLOBAL STATUS LIKE 'Threads_connected'").fetch_one(pool).await?;
    let used: u64 = used.parse().unwrap_or(0);
    let level = if used * 10 >= most * 8 { Level::Warn } else { Level::Ok };
    let detail = format!("{used} of {most} connections in use");
    sheet.judge(
        "mysql_connections",
        level,
        detail,
        "raise max_connections: a worker takes up to 10, a flusher up to 24 with 4 partitions, and people need some",
    );
    Ok(())
}
