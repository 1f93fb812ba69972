//! `restock-cli history`: what became of each person in a round.

use super::{
    Context,
    exit::{Exit, Failure},
    output::{self, Record},
    prune,
};
use crate::{
    ids::{Channel, Place, ProductId, ProductRef, Round, time_us},
    mysql::history::{self, PeopleOf},
    report::history::{self as report, HistoryRow, Unchosen},
};

/// Options of `history`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    read: Option<ReadArgs>,
}

#[derive(Debug, clap::Subcommand)]
enum Sub {
    /// Delete old rounds with their outcomes, and old messages of the inbox
    Prune(prune::Args),
}

/// Which round, and which of its people.
#[derive(Debug, clap::Args)]
struct ReadArgs {
    /// 42, or sku:85123A
    product: ProductRef,
    /// Which round
    #[arg(long)]
    round: Round,
    /// By which channel; without it, all of them, one after the other
    #[arg(long)]
    channel: Option<Channel>,
    /// Only people after this place in line: the `place` of the last one seen
    #[arg(long, value_name = "PLACE", value_parser = Place::parse_time)]
    after: Option<Place>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

impl Record for HistoryRow {
    const HEADINGS: &'static [&'static str] = &[">USER", "PLACE", "OUTCOME", "SENT AT", ">TRIES", "CHANNEL"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.user.to_string(),
            time_us(self.place.0),
            self.outcome.to_string(),
            self.sent_at.clone(),
            self.tries.to_string(),
            self.channel.to_string(),
        ]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    match args {
        Args { command: Some(Sub::Prune(args)), .. } => prune::run(context, args).await,
        Args { read: Some(args), .. } => read(context, args).await,
        Args { .. } => {
            Err(Failure::new(Exit::Usage, "give a product and --round N; see `restock-cli history --help`").into())
        }
    }
}

async fn read(context: &Context, args: ReadArgs) -> anyhow::Result<Exit> {
    let (pool, _) = context.mysql().await?;
    let product = context.product(&pool, &args.product).await?.id;
    let found = history::channels_of(&pool, product, args.round).await?;
    let channels = report::choose(found, args.channel.as_ref()).map_err(|refusal| refuse(&args, product, &refusal))?;
    if channels.len() > 1 && (args.after.is_some() || args.limit.is_some()) {
        return Err(refuse(&args, product, &Unchosen::Several(channels)).into());
    }
    let mut rows = Vec::new();
    for channel in channels {
        let of = PeopleOf { product, round: args.round, channel };
        rows.extend(report::people(&pool, &of, args.after, args.limit.unwrap_or(u32::MAX)).await?);
    }
    output::records(context.output, &rows)?;
    Ok(Exit::Done)
}

fn refuse(args: &ReadArgs, product: ProductId, refusal: &Unchosen) -> Failure {
    let round = args.round;
    match refusal {
        Unchosen::NoSuchRound => Failure::new(
            Exit::NotFound,
            format!("product {product} has no round {round}; see `restock-cli status {product}`"),
        ),
        Unchosen::NotBy(channel) => {
            let what = format!(
                "round {round} of product {product} did not go by {channel}; see `restock-cli status {product}`"
            );
            Failure::new(Exit::NotFound, what)
        }
        Unchosen::Several(channels) => {
            let names = channels.iter().map(Channel::as_str).collect::<Vec<_>>().join(" or ");
            let what = format!("round {round} of product {product} went by several ways: give --channel {names} too");
            Failure::new(Exit::Usage, what)
        }
    }
}
