//! `restock-cli erase-user`: forgets a person. What they were told stays counted, and is nobody's.

mod lanes;

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Serialize;
use sqlx::MySqlPool;

use super::{
    Context,
    exit::{Exit, Failure},
    output::{self, Output, Record},
};
use crate::{
    ids::{Channel, LaneId, ProductId, Round, UserId},
    mysql::{
        action::Deed,
        erase::{self, Standing},
        history, inbox,
    },
    redis::entry_id::EntryId,
    stores::Stores,
};

/// A worker reads its page of the line again when it is this old; after that it starts nobody who is erased, but for
/// those whom it has in hand.
const PAGE_AGE: Duration = Duration::from_millis(2_500);
/// How long those in hand, and the log, are waited for.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

/// Options of `erase-user`.
#[derive(Debug, clap::Args)]
#[command(after_help = "May be repeated. Logs and messages outside of \
                        MySQL and Redis are not restock's to erase.")]
pub struct Args {
    /// Whom
    user: UserId,
    /// Only count what would be erased
    #[arg(long)]
    dry_run: bool,
    /// As --output json
    #[arg(long)]
    json: bool,
}

/// A round that may still settle the person, because a worker has them in hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Unsettled {
    product: ProductId,
    round: Round,
    channel: Channel,
}

#[derive(Debug, Default, Serialize)]
struct Erased {
    subscriptions: u64,
    outcomes: u64,
    mentions: u64,
    messages: u64,
    unsettled: Vec<Unsettled>,
    dry_run: bool,
}

impl Erased {
    /// Whether there was nothing of them.
    fn is_nobody(&self) -> bool {
        self.subscriptions + self.outcomes + self.mentions + self.messages == 0 && self.unsettled.is_empty()
    }
}

impl Record for Erased {
    const HEADINGS: &'static [&'static str] = &[">SUBSCRIPTIONS", ">OUTCOMES", ">MENTIONS", ">MESSAGES", ">UNSETTLED"];

    fn cells(&self) -> Vec<String> {
        let unsettled = self.unsettled.len() as u64;
        [self.subscriptions, self.outcomes, self.mentions, self.messages, unsettled].map(|n| n.to_string()).into()
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let stores = context.stores().await?;
    let mut erased = Erased { dry_run: args.dry_run, ..Erased::default() };
    if args.dry_run {
        forget(&stores.mysql, args.user, true, &mut erased).await?;
    } else {
        // The row about it does not name the person.
        let work = async {
            erase(&stores, args.user, &mut erased).await?;
            Ok(format!(
                "erased a person: {} subscriptions, {} outcomes, {} mentions, {} messages",
                erased.subscriptions, erased.outcomes, erased.mentions, erased.messages
            ))
        };
        context.act(&stores.mysql, &Deed::of_all("erase-user"), work).await?;
    }
    if erased.is_nobody() {
        let what = format!(
            "nothing names user {}: there is nobody to erase; a repeat of `erase-user` finds nobody, too",
            args.user
        );
        return Err(Failure::new(Exit::NotFound, what).into());
    }
    output::record(if args.json { Output::Json } else { context.output }, &erased)?;
    for Unsettled { product, round, channel } in &erased.unsettled {
        output::note(&format!(
            "a worker may have them in hand for round {round} of {product}/{channel}: repeat this when it has ended"
        ));
    }
    Ok(Exit::Done)
}

/// First out of all lines, so that nobody starts a message to them; then the traces.
async fn erase(stores: &Stores, user: UserId, erased: &mut Erased) -> anyhow::Result<()> {
    let (mut after, mut standings) = (None, Vec::new());
    loop {
        let products = erase::products_after(&stores.mysql, after).await?;
        let Some(last) = products.last() else { break };
        after = Some(*last);
        for (product, place) in erase::standings(&stores.mysql, user, &products).await? {
            erased.subscriptions += u64::from(erase::leave_line(&stores.mysql, product, user).await?);
            standings.push((product, place));
        }
    }
    erased.unsettled = wait_until_passed(stores, &standings).await?;
    // Whatever names them is in the logs then, or in MySQL.
    lanes::forget(stores, user).await?;
    wait_until_flushed(stores).await?;
    forget(&stores.mysql, user, false, erased).await?;
    Ok(())
}

/// Counts what names a person, or takes the name out.
async fn forget(db: &MySqlPool, user: UserId, dry_run: bool, erased: &mut Erased) -> anyhow::Result<()> {
    let products: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM product").fetch_one(db).await?;
    let bar = bar(products.unsigned_abs());
    let mut after = None;
    loop {
        let products = erase::products_after(db, after).await?;
        let Some(last) = products.last() else { break };
        after = Some(*last);
        if dry_run {
            erased.subscriptions += erase::standings(db, user, &products).await?.len() as u64;
        }
        for product in products {
            forget_in(db, product, user, dry_run, erased).await?;
            bar.inc(1);
        }
    }
    erased.messages += match dry_run {
        true => inbox::count_of(db, user).await?,
        false => inbox::erase(db, user).await?,
    };
    let mentions = erase::mentions(db, user).await?;
    erased.mentions += mentions.len() as u64;
    if !dry_run {
        for mention in &mentions {
            erase::silence(db, mention).await?;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

async fn forget_in(
    db: &MySqlPool,
    product: ProductId,
    user: UserId,
    dry_run: bool,
    erased: &mut Erased,
) -> anyhow::Result<()> {
    let mut at = None;
    while let Some((round, channel)) = history::next_with_outcomes(db, product, at).await? {
        let lane = LaneId { product, channel: channel.clone() };
        let places = erase::outcomes(db, &lane, round, user).await?;
        erased.outcomes += match dry_run {
            true => places.len() as u64,
            false => erase::disown(db, &lane, round, user, &places).await?,
        };
        at = Some((round, channel));
    }
    erased.mentions += match dry_run {
        true => erase::count_named(db, product, user).await?,
        false => erase::unname(db, product, user).await?,
    };
    Ok(())
}

/// Waits until no lane can have them in hand any more; answers those that still can.
async fn wait_until_passed(stores: &Stores, standings: &[Standing]) -> anyhow::Result<Vec<Unsettled>> {
    let start = Instant::now();
    loop {
        let before = before_them(stores, standings).await?;
        if before.is_empty() || start.elapsed() >= SETTLED_WITHIN {
            return Ok(before);
        }
        if start.elapsed() < PAGE_AGE {
            tokio::time::sleep(PAGE_AGE.saturating_sub(start.elapsed())).await;
        } else {
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Held lanes whose cursor stands before one of these places, near enough that the person is in their window.
async fn before_them(stores: &Stores, standings: &[Standing]) -> anyhow::Result<Vec<Unsettled>> {
    let mut found = Vec::new();
    for (product, place) in standings {
        let lanes: Vec<LaneId> = stores
            .settings
            .channels
            .iter()
            .map(|channel| LaneId { product: *product, channel: channel.clone() })
            .collect();
        let views = stores.redis.read_lanes(stores.partition_of(*product), &lanes).await?;
        for (lane, view) in lanes.into_iter().zip(views) {
            let Some(view) = view else { continue };
            let is_held = view.status.is_open() && view.token.is_some();
            let is_within = Some(*place) > view.cursor && Some(*place) <= view.upto;
            if is_held && is_within && is_in_window(&stores.mysql, *product, view.cursor, *place).await? {
                found.push(Unsettled { product: *product, round: view.round, channel: lane.channel });
            }
        }
    }
    Ok(found)
}

/// Whether fewer people stand between than the largest window holds.
async fn is_in_window(
    db: &MySqlPool,
    product: ProductId,
    cursor: Option<crate::ids::Place>,
    place: crate::ids::Place,
) -> sqlx::Result<bool> {
    let between = crate::mysql::line::page(db, product, cursor, place, crate::limit::WINDOW_MAX).await?;
    Ok(between.len() < crate::limit::WINDOW_MAX as usize)
}

/// Waits until MySQL has what the logs held at the start, or for as long as is bearable.
async fn wait_until_flushed(stores: &Stores) -> anyhow::Result<()> {
    let start = Instant::now();
    for partition in stores.partitions() {
        let target: EntryId = stores.redis.log_head(partition).await?.last_id.parse()?;
        while stores.redis.oldest_in_log(partition).await?.is_some_and(|oldest| oldest <= target) {
            if start.elapsed() >= SETTLED_WITHIN {
                output::note("the log is not flushed: start restock-flusher, and repeat this then");
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }
    Ok(())
}

fn bar(products: u64) -> ProgressBar {
    output::styled(ProgressBar::new(products), "erasing {wide_bar} {human_pos}/{human_len} products {eta}")
}
