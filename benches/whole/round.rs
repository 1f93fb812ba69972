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
    shop::Shop,
    usage::Used,
};

/// People of the round before, so that no table is empty.
const BEFORE: u64 = 20_000;
/// Rows of one statement: more are no faster.
const INSERT_ROWS: usize = 1_000;
/// Statements of one transaction.
const INSERTS_PER_COMMIT: usize = 50;

/// A row of the history.
type Told = (i64, u32, String, NaiveDateTime, i64, String, NaiveDateTime);

/// What one round showed.
pub(crate) struct Round {
    /// People a second, from enqueue until the last row was committed.
    pub(crate) per_second: f64,
    pub(crate) used: Vec<Used>,
}

pub(crate) async fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let (shop, Round { per_second, used }) = once(options.people).await?;
    let insert = by_insert(&shop, options.people).await?;
    let rate = |took: Duration| options.people as f64 / took.as_secs_f64();
    report.add(
        Row::new("round", "people told and recorded", per_second, "/s")
            .limit("multi-row INSERT", rate(insert))
            .goal("0.9")
            .used(&used),
    );
    match by_load(&shop, options.people).await {
        Ok(load) => report.add(
            Row::new("round", "the same", per_second, "/s").limit("LOAD DATA LOCAL INFILE", rate(load)).goal("0.5"),
        ),
        Err(error) => say(&format!("  without LOAD DATA: {error:#}")),
    }
    Ok(())
}

/// One large round on fresh servers, after a small one, so that no table is empty and everything is warm.
pub(crate) async fn once(people: u64) -> anyhow::Result<(Shop, Round)> {
    let shop = Shop::open("null", 0).await?;
    shop.products(1, 1, people).await?;
    shop.products(1_000_000, 1, BEFORE).await?;
    let (flusher, worker) = (shop.flusher()?, shop.worker(&[])?);
    let first = shop.enqueue(1_000_000).await?;
    shop.completed(1_000_000, first).await?;

    let watch = shop.watch(&[&worker, &flusher]);
    let start = Instant::now();
    let round = shop.enqueue(1).await?;
    let took = shop.completed(1, round).await? - start;
    let used = watch.read();
    let told = shop.number("SELECT COUNT(*) FROM product_user_notification_history WHERE product_id = 1").await?;
    ensure!(told.unsigned_abs() == people, "{told} people were told, not {people}");
    Ok((shop, Round { per_second: people as f64 / took.as_secs_f64(), used }))
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
        "SELECT product_id, restock_round, channel, place, user_id, CAST(outcome AS CHAR), sent_at
         FROM product_user_notification_history WHERE product_id = 1 ORDER BY place",
    )
    .fetch_all(&shop.stores.mysql)
    .await?)
}

async fn by_insert(shop: &Shop, people: u64) -> anyhow::Result<Duration> {
    like_history(shop, "by_insert").await?;
    let rows = history(shop).await?;
    let mut db = MySqlConnection::connect(&shop.mysql_url).await?;
    let start = Instant::now();
    for batch in rows.chunks(INSERT_ROWS * INSERTS_PER_COMMIT) {
        let mut tx = db.begin().await?;
        for rows in batch.chunks(INSERT_ROWS) {
            let mut query = QueryBuilder::new(
                "INSERT INTO by_insert (product_id, restock_round, channel, place, user_id, outcome, sent_at) ",
            );
            query.push_values(rows, |mut to, row| {
                to.push_bind(row.0)
                    .push_bind(row.1)
                    .push_bind(row.2.as_str())
                    .push_bind(row.3)
                    .push_bind(row.4)
                    .push_bind(row.5.as_str())
                    .push_bind(row.6);
            });
            query.build().execute(&mut *tx).await?;
        }
        tx.commit().await?;
    }
    let took = start.elapsed();
    let inserted = shop.number("SELECT COUNT(*) FROM by_insert WHERE product_id = 1").await?;
    ensure!(inserted.unsigned_abs() == people, "{inserted} rows were inserted");
    shop.execute("DROP TABLE by_insert").await?;
    Ok(took)
}

/// Through the client program, because the crate does not speak `LOCAL INFILE`.
async fn by_load(shop: &Shop, people: u64) -> anyhow::Result<Duration> {
    like_history(shop, "by_load").await?;
    let file = tempfile::NamedTempFile::new()?;
    write_rows(file.as_file(), &history(shop).await?)?;
    let path = file.path().to_str().context("the temporary folder has an odd name")?;
    let port = shop.servers.mysql.port().to_string();
    let sql = format!("LOAD DATA LOCAL INFILE '{path}' INTO TABLE by_load; SHOW WARNINGS");
    let mut failure = None;
    for client in ["mariadb", "mysql"] {
        let start = Instant::now();
        let output = Command::new(client)
            .args(["--no-defaults", "--local-infile=1", "--protocol=tcp", "--host=127.0.0.1", "--user=root", "-N"])
            .args(["--port", &port, shop.database(), "--execute", &sql])
            .stdin(Stdio::null())
            .output()
            .await;
        let took = start.elapsed();
        match output {
            Ok(output) if output.status.success() => {
                let warnings = String::from_utf8_lossy(&output.stdout).into_owned();
                ensure!(warnings.trim().is_empty(), "LOAD DATA warns: {warnings}");
                let loaded = shop.number("SELECT COUNT(*) FROM by_load WHERE product_id = 1").await?;
                ensure!(loaded.unsigned_abs() == people, "{loaded} rows were loaded");
                return Ok(took);
            }
            Ok(output) => failure = Some(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => failure = Some(format!("{client} cannot be run: {error}")),
        }
    }
    anyhow::bail!("{}", failure.unwrap_or_default())
}

fn write_rows(file: &File, rows: &[Told]) -> anyhow::Result<()> {
    let mut file = BufWriter::new(file);
    for (product, round, channel, place, user, outcome, sent_at) in rows {
        writeln!(file, "{product}\t{round}\t{channel}\t{place}\t{user}\t{outcome}\t{sent_at}")?;
    }
    Ok(file.flush()?)
}
