//! `restock-cli reclaim`: ends the leases of silent owners, so that any worker takes over. It sends nothing itself.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    Context,
    exit::Exit,
    output::{self, Record, or_dash},
};
use crate::{
    ids::{Channel, LaneId, ProductId, ProductRef, Round},
    mysql::action::Deed,
    redis::scripts::{Reclaimed, Silence, Silent},
    report::pending,
    stores::Stores,
};

/// Options of `reclaim`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 42, or sku:85123A; without it, every lane whose entry is with somebody
    product: Option<ProductRef>,
    /// Only this channel
    #[arg(long)]
    channel: Option<Channel>,
    /// Of owners silent for at least so long; by default for half their lease, which a living one renews every third.
    /// With less than that a lane can be taken from a living owner, and people told twice
    #[arg(long, value_name = "N")]
    min_idle_ms: Option<u64>,
    /// Only say what would be taken
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    product: ProductId,
    round: Round,
    channel: Channel,
    owner: Option<String>,
    idle_ms: u64,
    reclaimed: bool,
}

impl Record for Row {
    const HEADINGS: &'static [&'static str] = &[">PRODUCT", ">ROUND", "CHANNEL", "OWNER", ">IDLE MS", "RECLAIMED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.product.to_string(),
            self.round.to_string(),
            self.channel.to_string(),
            or_dash(self.owner.as_ref()),
            self.idle_ms.to_string(),
            if self.reclaimed { "yes" } else { "no: not silent for long enough" }.to_owned(),
        ]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let stores = context.stores().await?;
    let product = match &args.product {
        Some(name) => Some(context.product(&stores.mysql, name).await?.id),
        None => None,
    };
    let lanes = lanes(&stores, product, args.channel.as_ref()).await?;
    let silence = args.min_idle_ms.map_or(Silence::Suspicious, Silence::AtLeast);
    let mut rows = Vec::new();
    if args.dry_run {
        rows = reclaim(&stores, &lanes, silence, true).await?;
    } else {
        let deed = Deed { product, channel: args.channel, ..Deed::of_all("reclaim") };
        let work = async {
            rows = reclaim(&stores, &lanes, silence, false).await?;
            Ok(describe(&rows))
        };
        context.act(&stores.mysql, &deed, work).await?;
    }
    output::records(context.output, &rows)?;
    let verb =
        if args.dry_run { "would be reclaimed; nothing was changed" } else { "reclaimed: any worker takes over" };
    output::note(&format!("{} of {} lanes {verb}", taken(&rows).count(), rows.len()));
    Ok(Exit::Done)
}

/// The lanes of a product, or all whose entry is with somebody.
async fn lanes(
    stores: &Stores,
    product: Option<ProductId>,
    only: Option<&Channel>,
) -> anyhow::Result<BTreeSet<LaneId>> {
    let lanes: BTreeSet<LaneId> = match product {
        Some(product) => {
            stores.settings.channels.iter().map(|channel| LaneId { product, channel: channel.clone() }).collect()
        }
        None => {
            let pending = pending::entries(&stores.redis, &stores.settings).await?;
            pending
                .rows
                .into_iter()
                .filter_map(|row| Some(LaneId { product: row.product?, channel: row.channel }))
                .collect()
        }
    };
    Ok(lanes.into_iter().filter(|lane| only.is_none_or(|only| lane.channel == *only)).collect())
}

async fn reclaim(
    stores: &Stores,
    lanes: &BTreeSet<LaneId>,
    silence: Silence,
    dry_run: bool,
) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for lane in lanes {
        let partition = stores.partition_of(lane.product);
        let (Silent { round, owner, silent_ms }, reclaimed) =
            match stores.redis.reclaim(partition, lane, silence, dry_run).await? {
                Reclaimed::Taken(silent) => (silent, true),
                Reclaimed::Alive(silent) => (silent, false),
                Reclaimed::Waiting(_) | Reclaimed::Closed | Reclaimed::Absent => continue,
            };
        let LaneId { product, channel } = lane.clone();
        rows.push(Row { product, round, channel, owner, idle_ms: silent_ms, reclaimed });
    }
    Ok(rows)
}

fn taken(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(|row| row.reclaimed)
}

fn describe(rows: &[Row]) -> String {
    let lane = |row: &Row| {
        let owner = row.owner.as_deref().unwrap_or("nobody");
        format!("{}/{} from {owner}, silent for {} ms", row.product, row.channel, row.idle_ms)
    };
    let lanes: Vec<String> = taken(rows).map(lane).collect();
    if lanes.is_empty() { "nothing to reclaim".to_owned() } else { format!("took {}", lanes.join("; ")) }
}
