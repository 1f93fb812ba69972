//! One product, a million people, no pace: from enqueue until the last history row is committed; beside it what MySQL
//! takes of the same rows in the same run.

use std::{
    fs::File,
    io::{BufWriter, Write},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::NaiveDateTime;
use sqlx::{Connection, MySqlConnection, QueryBuilder};
use tokio::process::Command;

use crate::{
    Options,
    report::{Report, Row, say},
    shop::{Role, Shop},
    usage::{Used, cpu_s},
};

/// People of the round before, so that no table is empty.
const BEFORE: u64 = 20_000;
/// Rows of one statement.
const INSERT_ROWS: usize = 1_000;
/// Statements of one transaction.
const INSERTS_PER_COMMIT: usize = 50;
/// How often each is measured, in turn: whoever comes after another may find a server that is still writing pages.
/// The medians are shown.
const TURNS: usize = 3;

/// A row of the history.
type Told = (i64, u32, String, NaiveDateTime, i64, String, NaiveDateTime, u16);

const COLUMNS: &str = "product_id, restock_round, channel, place, user_id, outcome, sent_at, tries";

/// What one round showed.
pub(crate) struct Round {
    /// People a second, from enqueue until the last row was committed.
    pub(crate) per_second: f64,
    pub(crate) used: Vec<Used>,
}

/// Rows a second, and MySQL's processor time for each in µs.
type Speed = (f64, f64);

pub(crate) async fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let people = options.people;
    let warm = Warm::open(people).await?;
    let (mut ours, mut insert, mut load, mut used) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for turn in 1..=TURNS {
        let round = warm.round(people).await?;
        let mysql_s = round.used.iter().find(|used| used.process == "mysql").map_or(0.0, |used| used.cpu_s);
        ours.push((round.per_second, mysql_s * 1e6 / people as f64));
        used = round.used;
        insert.push(by_insert(&warm.shop, people).await?);
        match by_load(&warm.shop, people).await {
            Ok(speed) => load.push(speed),
            Err(error) => say(&format!("  without LOAD DATA: {error:#}")),
        }
        let shown = |speeds: &[Speed]| speeds.last().map_or(0.0, |speed| speed.0);
        say(&format!(
            "  turn {turn}: {:.0}, INSERT {:.0}, LOAD DATA {:.0}",
            shown(&ours),
            shown(&insert),
            shown(&load)
        ));
    }
    let (ours, insert) = (median(ours), median(insert));
    let row = Row::new("round", "people told and recorded", ours.0, "/s").limit("multi-row INSERT", insert.0);
    report.add(row.goal("0.9").used(&used));
    if !load.is_empty() {
        let row = Row::new("round", "the same", ours.0, "/s").limit("LOAD DATA LOCAL INFILE", median(load).0);
        report.add(row.goal("0.5"));
    }
    let row = Row::new("round", "MySQL's CPU of a person, reading the line too", ours.1, "µs");
    report.add(row.limit("of a row of INSERT", insert.1));
    Ok(())
}

/// In the middle, each part for itself.
fn median(speeds: Vec<Speed>) -> Speed {
    let middle = |mut figures: Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(0.0)
    };
    let (speeds, times): (Vec<f64>, Vec<f64>) = speeds.into_iter().unzip();
    (middle(speeds), middle(times))
}

/// One large round on fresh servers.
pub(crate) async fn once(people: u64) -> anyhow::Result<Round> {
    Warm::open(people).await?.round(people).await
}

/// A deployment after a small round, so that no table is empty and everything is warm.
struct Warm {
    shop: Shop,
    worker: Role,
    flusher: Role,
}

impl Warm {
    async fn open(people: u64) -> anyhow::Result<Self> {
        let shop = Shop::open("null", 0).await?;
        shop.products(1, 1, people).await?;
        shop.products(1_000_000, 1, BEFORE).await?;
        let (flusher, worker) = (shop.flusher()?, shop.worker(&[])?);
        let first = shop.enqueue(1_000_000).await?;
        shop.completed(1_000_000, first).await?;
        Ok(Self { shop, worker, flusher })
    }

    /// The next round of the large line.
    async fn round(&self, people: u64) -> anyhow::Result<Round> {
        let watch = self.shop.watch(&[&self.worker, &self.flusher]);
        let start = Instant::now();
        let round = self.shop.enqueue(1).await?;
        let took = self.shop.completed(1, round).await? - start;
        let used = watch.read();
        let sql = "SELECT COUNT(*) FROM product_user_notification_history WHERE product_id = 1 AND restock_round = ";
        let told = self.shop.number(&format!("{sql}{round}")).await?;
        ensure!(told.unsigned_abs() == people, "{told} people were told, not {people}");
        Ok(Round { per_second: people as f64 / took.as_secs_f64(), used })
    }
}

/// A table of the same shape that holds the round before.
async fn like_history(shop: &Shop, table: &str) -> anyhow::Result<()> {
    shop.execute(&format!("CREATE TABLE {table} LIKE product_user_notification_history")).await?;
    shop.execute(&format!(
        "INSERT INTO {table} SELECT * FROM product_user_notification_history WHERE product_id = 1000000"
    ))
    .await
}

async fn history(shop: &Shop) -> anyhow::Result<Vec<Told>> {
    Ok(sqlx::query_as(
        "SELECT product_id, restock_round, channel, place, user_id, CAST(outcome AS CHAR), sent_at, tries
         FROM product_user_notification_history WHERE product_id = 1 AND restock_round = 1 ORDER BY place",
    )
    .fetch_all(&shop.stores.mysql)
    .await?)
}

async fn by_insert(shop: &Shop, people: u64) -> anyhow::Result<Speed> {
    let mysql = shop.servers.mysql.pid().unwrap_or(0);
    like_history(shop, "by_insert").await?;
    let rows = history(shop).await?;
    let mut db = MySqlConnection::connect(&shop.mysql_url).await?;
    let (start, before) = (Instant::now(), cpu_s(mysql));
    for batch in rows.chunks(INSERT_ROWS * INSERTS_PER_COMMIT) {
        let mut tx = db.begin().await?;
        for rows in batch.chunks(INSERT_ROWS) {
            let mut query = QueryBuilder::new(format!("INSERT INTO by_insert ({COLUMNS}) "));
            query.push_values(rows, |mut to, row| {
                to.push_bind(row.0)
                    .push_bind(row.1)
                    .push_bind(row.2.as_str())
                    .push_bind(row.3)
                    .push_bind(row.4)
                    .push_bind(row.5.as_str())
                    .push_bind(row.6)
                    .push_bind(row.7);
            });
            query.build().execute(&mut *tx).await?;
        }
        tx.commit().await?;
    }
    let speed = speed(people, start.elapsed(), cpu_s(mysql) - before);
    let inserted = shop.number("SELECT COUNT(*) FROM by_insert WHERE product_id = 1").await?;
    ensure!(inserted.unsigned_abs() == people, "{inserted} rows were inserted");
    shop.execute("DROP TABLE by_insert").await?;
    Ok(speed)
}

/// Through the client program, because the crate does not speak `LOCAL INFILE`.
async fn by_load(shop: &Shop, people: u64) -> anyhow::Result<Speed> {
    let mysql = shop.servers.mysql.pid().unwrap_or(0);
    like_history(shop, "by_load").await?;
    let file = tempfile::NamedTempFile::new()?;
    write_rows(file.as_file(), &history(shop).await?)?;
    let path = file.path().to_str().context("the temporary folder has an odd name")?;
    let port = shop.servers.mysql.port().to_string();
    let sql = format!("LOAD DATA LOCAL INFILE '{path}' INTO TABLE by_load ({COLUMNS}); SHOW WARNINGS");
    let mut failure = None;
    for client in ["mariadb", "mysql"] {
        let (start, before) = (Instant::now(), cpu_s(mysql));
        let output = Command::new(client)
            .args(["--no-defaults", "--local-infile=1", "--protocol=tcp", "--host=127.0.0.1", "--user=root", "-N"])
            .args(["--port", &port, shop.database(), "--execute", &sql])
            .stdin(Stdio::null())
            .output()
            .await;
        let speed = speed(people, start.elapsed(), cpu_s(mysql) - before);
        match output {
            Ok(output) if output.status.success() => {
                let warnings = String::from_utf8_lossy(&output.stdout).into_owned();
                ensure!(warnings.trim().is_empty(), "LOAD DATA warns: {warnings}");
                let loaded = shop.number("SELECT COUNT(*) FROM by_load WHERE product_id = 1").await?;
                ensure!(loaded.unsigned_abs() == people, "{loaded} rows were loaded");
                shop.execute("DROP TABLE by_load").await?;
                return Ok(speed);
            }
            Ok(output) => failure = Some(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => failure = Some(format!("{client} cannot be run: {error}")),
        }
    }
    anyhow::bail!("{}", failure.unwrap_or_default())
}

fn speed(rows: u64, took: Duration, cpu_s: f64) -> Speed {
    (rows as f64 / took.as_secs_f64(), cpu_s * 1e6 / rows as f64)
}

fn write_rows(file: &File, rows: &[Told]) -> anyhow::Result<()> {
    let mut file = BufWriter::new(file);
    for (product, round, channel, place, user, outcome, sent_at, tries) in rows {
        writeln!(file, "{product}\t{round}\t{channel}\t{place}\t{user}\t{outcome}\t{sent_at}\t{tries}")?;
    }
    Ok(file.flush()?)
}
