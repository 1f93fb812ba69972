//! `restock-cli history prune`: deletes old rounds with their outcomes, and old messages of the inbox.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use indicatif::ProgressBar;
use serde::Serialize;
use sqlx::MySqlPool;

use super::{
    Context,
    exit::{Exit, Failure},
    output::{self, Output, Record},
};
use crate::{
    ids::{ParseError, ProductId, rfc3339},
    mysql::{
        action::Deed,
        erase, history, inbox,
        prune::{self, Prefix},
    },
};

/// Options of `history prune`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Open rounds and the last round \
                        of each lane stay, however old.")]
pub struct Args {
    /// Rounds that ended before this time go, and messages of the inbox that were written before it: 2026-01-31, or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "DATE", value_parser = parse_time)]
    before: NaiveDateTime,
    /// Only count what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// As --output json
    #[arg(long)]
    json: bool,
}

fn parse_time(text: &str) -> Result<NaiveDateTime, ParseError> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(NaiveTime::MIN));
    }
    let at = DateTime::parse_from_rfc3339(text);
    at.map(|at| at.naive_utc()).map_err(|_| ParseError::new("date", text, "2026-01-31, or 2026-01-31T12:00:00Z"))
}

#[derive(Debug, Default, Serialize)]
struct Pruned {
    rounds: u64,
    outcomes: u64,
    messages: u64,
    dry_run: bool,
}

impl Record for Pruned {
    const HEADINGS: &'static [&'static str] = &[">ROUNDS", ">OUTCOMES", ">MESSAGES"];

    fn cells(&self) -> Vec<String> {
        [self.rounds, self.outcomes, self.messages].map(|n| n.to_string()).into()
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    if args.before > Utc::now().naive_utc() {
        let what = format!("--before {} is yet to come; give a time that has passed", rfc3339(args.before));
        return Err(Failure::new(Exit::Usage, what).into());
    }
    let (pool, _) = context.mysql().await?;
    let mut pruned = Pruned { dry_run: args.dry_run, ..Pruned::default() };
    if args.dry_run {
        walk(&pool, &args, &mut pruned).await?;
    } else {
        let work = async {
            walk(&pool, &args, &mut pruned).await?;
            let (rounds, outcomes, messages, before) =
                (pruned.rounds, pruned.outcomes, pruned.messages, rfc3339(args.before));
            Ok(format!("deleted {rounds} rounds before {before} with {outcomes} outcomes, and {messages} messages"))
        };
        context.act(&pool, &Deed::of_all("history prune"), work).await?;
    }
    output::record(if args.json { Output::Json } else { context.output }, &pruned)?;
    Ok(Exit::Done)
}

async fn walk(db: &MySqlPool, args: &Args, pruned: &mut Pruned) -> sqlx::Result<()> {
    let products: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM product").fetch_one(db).await?;
    let bar = bar(products.unsigned_abs());
    let mut after: Option<ProductId> = None;
    loop {
        let products = erase::products_after(db, after).await?;
        let Some(last) = products.last() else { break };
        after = Some(*last);
        for product in products {
            for prefix in prune::prefixes(db, product, args.before).await? {
                match args.dry_run {
                    true => {
                        let (rounds, outcomes) = prune::count(db, &prefix).await?;
                        pruned.rounds += rounds;
                        pruned.outcomes += outcomes;
                    }
                    false => delete(db, &prefix, pruned).await?,
                }
            }
            bar.inc(1);
        }
    }
    pruned.messages += match args.dry_run {
        true => inbox::count_before(db, args.before).await?,
        false => delete_messages(db, args.before).await?,
    };
    bar.finish_and_clear();
    Ok(())
}

async fn delete_messages(db: &MySqlPool, before: NaiveDateTime) -> sqlx::Result<u64> {
    let mut all = 0;
    loop {
        match inbox::prune(db, before).await? {
            0 => return Ok(all),
            deleted => all += deleted,
        }
    }
}

/// The rounds, then all outcomes before the first that stays, those of an interrupted prune too.
async fn delete(db: &MySqlPool, prefix: &Prefix, pruned: &mut Pruned) -> sqlx::Result<()> {
    loop {
        match prune::delete_rounds(db, prefix).await? {
            0 => break,
            rounds => pruned.rounds += rounds,
        }
    }
    let mut at = None;
    while let Some((round, channel)) = history::next_with_outcomes(db, prefix.lane.product, at).await? {
        if round >= prefix.keep {
            return Ok(());
        }
        if channel == prefix.lane.channel {
            loop {
                match prune::delete_outcomes(db, &prefix.lane, round).await? {
                    0 => break,
                    outcomes => pruned.outcomes += outcomes,
                }
            }
        }
        at = Some((round, channel));
    }
    Ok(())
}

fn bar(products: u64) -> ProgressBar {
    output::styled(ProgressBar::new(products), "pruning {wide_bar} {human_pos}/{human_len} products {eta}")
}
