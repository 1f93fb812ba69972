//! `restock-cli import products | subscriptions`: all of a CSV, or nothing.

use std::{fs, time::Duration};

use chrono::Utc;
use clap::Subcommand;
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::{
    Context,
    exit::{Exit, Failure},
    output::{self, styled},
};
use crate::mysql::import::{self, BadLines, Catalogue, Source};

/// Options of `import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// id,name and, if you like, sku,stock
    Products(FileArgs),
    /// product_id or sku; user_id; created_at (RFC 3339, or without an offset as UTC, as MySQL exports it)
    Subscriptions(FileArgs),
}

#[derive(Debug, clap::Args)]
struct FileArgs {
    /// The CSV file, - = stdin; plain or compressed with gzip
    file: String,
    /// Import the good lines when there are bad ones
    #[arg(long)]
    skip_bad: bool,
}

/// What an import did, for programs.
#[derive(Debug, Default, Serialize)]
struct Imported {
    lines: u64,
    imported: u64,
    /// There already, and left as they are.
    kept: u64,
    /// Bad lines.
    skipped: u64,
    /// Moved by microseconds; null for products.
    moved: Option<u64>,
    /// Behind the cursor of an open round; null for products.
    behind: Option<u64>,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let (pool, _) = context.mysql().await?;
    let catalogue = Catalogue::load(&pool).await?;
    let done = match args.what {
        What::Products(args) => {
            let source = Source::parse(&args.file);
            let (bar, name) = (reading_bar(&source), source.clone());
            let reading = bar.clone();
            let checked =
                spawn_blocking(move || import::check_products(&source, &catalogue, move |bytes| reading.inc(bytes)))
                    .await??;
            bar.finish_and_clear();
            judge(&name, &checked.bad, &checked.unused_columns, args.skip_bad)?;
            let (bar, lines) = (writing_bar(checked.rows()), checked.rows() + checked.bad.count);
            let (bad, done) = (checked.bad.count, import::import_products(&pool, checked, |rows| bar.inc(rows)).await?);
            bar.finish_and_clear();
            output::note(&format!(
                "{name}: {} products added, {} existed already and were left as they are, {bad} bad lines",
                done.added, done.kept
            ));
            let (imported, kept) = (done.added, done.kept);
            Imported { lines, imported, kept, skipped: bad, ..Imported::default() }
        }
        What::Subscriptions(args) => {
            let source = Source::parse(&args.file);
            let (bar, name) = (reading_bar(&source), source.clone());
            let reading = bar.clone();
            let check =
                move || import::check_subscriptions(&source, &catalogue, Utc::now(), move |bytes| reading.inc(bytes));
            let checked = spawn_blocking(check).await??;
            bar.finish_and_clear();
            judge(&name, &checked.bad, &checked.unused_columns, args.skip_bad)?;
            let (bar, lines) = (writing_bar(checked.rows()), checked.rows() + checked.bad.count);
            let (bad, done) =
                (checked.bad.count, import::import_subscriptions(&pool, checked, |rows| bar.inc(rows)).await?);
            bar.finish_and_clear();
            output::note(&format!(
                "{name}: {} subscriptions added, {} of them moved by microseconds because their time was taken, {} were \
                 subscribed already, {bad} bad lines",
                done.added, done.moved, done.kept
            ));
            if done.behind > 0 {
                output::note(&format!(
                    "{} of them stand behind the cursor of an open round and wait for the next full round",
                    done.behind
                ));
            }
            let (moved, behind) = (Some(done.moved), Some(done.behind));
            Imported { lines, imported: done.added, kept: done.kept, skipped: bad, moved, behind }
        }
    };
    output::for_programs(context.output, &done)?;
    Ok(Exit::Done)
}

/// One bad line, and nothing is imported, unless they are to be skipped.
fn judge(name: &Source, bad: &BadLines, unused_columns: &[String], skip_bad: bool) -> Result<(), Failure> {
    if bad.count > 0 && !skip_bad {
        let first = bad.first.first().map(ToString::to_string).unwrap_or_default();
        let more = match bad.count - 1 {
            0 => String::new(),
            more => format!(" (and {more} more bad lines)"),
        };
        let message = format!("{name}, {first}{more}; nothing was imported: mend the file, or give --skip-bad");
        return Err(Failure::new(Exit::Usage, message));
    }
    if !unused_columns.is_empty() {
        output::note(&format!("{name}: columns without a meaning here are passed over: {}", unused_columns.join(", ")));
    }
    for line in &bad.first {
        output::note(&format!("{name}, {line}; skipped"));
    }
    let shown = u64::try_from(bad.first.len()).unwrap_or(u64::MAX);
    if bad.count > shown {
        output::note(&format!("{name}: {} more bad lines skipped", bad.count - shown));
    }
    Ok(())
}

/// Shown only on a terminal, on stderr, as indicatif does.
fn reading_bar(source: &Source) -> ProgressBar {
    let bytes = match source {
        Source::Stdin => None,
        Source::File(path) => fs::metadata(path).ok().map(|file| file.len()),
    };
    let bar = bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.enable_steady_tick(Duration::from_millis(100));
    let form = if bytes.is_some() { "checking {wide_bar} {bytes}/{total_bytes}" } else { "checking {spinner} {bytes}" };
    styled(bar, form)
}

fn writing_bar(rows: u64) -> ProgressBar {
    styled(ProgressBar::new(rows), "importing {wide_bar} {human_pos}/{human_len} {eta}")
}
