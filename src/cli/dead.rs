//! `restock-cli dead list | show | replay | drop`: what was given up, and what to do about it.

mod deal;

use clap::Subcommand;

use super::{
    Context,
    exit::{Exit, Failure},
    output::{self, Output, Record, or_dash},
};
use crate::{
    ids::ProductRef,
    report::{
        Sources,
        dead::{self, DeadId, DeadRow},
    },
};

/// The most of a reason that the table shows, in characters.
const REASON_CHARS_MAX: usize = 80;

/// Options of `dead`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show rounds given up, entries that could not be read and rows that MySQL refused
    List {
        /// Only those of this product
        #[arg(long, value_name = "P")]
        product: Option<ProductRef>,
    },
    /// Show all of one
    Show {
        /// As `dead list` shows it
        id: DeadId,
    },
    /// Try again: go on with a round, log a refused row once more
    Replay(DealArgs),
    /// Forget them: nothing is told or written for their sake
    Drop(DealArgs),
}

#[derive(Debug, clap::Args)]
struct DealArgs {
    #[command(flatten)]
    which: Which,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// As `dead list` shows them
    #[arg(value_name = "ID")]
    ids: Vec<DeadId>,
    /// Those of this product
    #[arg(long, value_name = "P")]
    product: Option<ProductRef>,
    /// All of them
    #[arg(long)]
    all: bool,
}

impl Record for DeadRow {
    const HEADINGS: &'static [&'static str] = &["ID", "KIND", ">PRODUCT", ">ROUND", "CHANNEL", "SINCE", "REASON"];

    fn cells(&self) -> Vec<String> {
        let mut reason: String = self.reason.chars().take(REASON_CHARS_MAX).collect();
        if reason.len() < self.reason.len() {
            reason.push('…');
        }
        vec![
            self.id.to_string(),
            self.kind.clone(),
            or_dash(self.product),
            or_dash(self.round),
            or_dash(self.channel.as_ref()),
            or_dash(self.at.as_ref()),
            reason,
        ]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    match args.action {
        Action::List { product } => list(context, product).await,
        Action::Show { id } => show(context, &id).await,
        Action::Replay(args) => deal::run(context, args, deal::How::Replay).await,
        Action::Drop(args) => deal::run(context, args, deal::How::Drop).await,
    }
}

async fn list(context: &Context, product: Option<ProductRef>) -> anyhow::Result<Exit> {
    let sources = context.sources().await?;
    let product = match &product {
        Some(name) => Some(context.product(&sources.mysql, name).await?.id),
        None => None,
    };
    if sources.redis.is_none() {
        context.note_no_redis();
    }
    output::records(context.output, &dead::all(&sources, product).await?)?;
    Ok(Exit::Done)
}

async fn show(context: &Context, id: &DeadId) -> anyhow::Result<Exit> {
    let stores = context.stores().await?;
    let sources =
        Sources { mysql: stores.mysql.clone(), redis: Some(stores.redis.clone()), settings: stores.settings.clone() };
    let row = dead::one(&stores.redis, &sources, id).await?.ok_or_else(|| unknown(id))?;
    output::record(context.output, &row)?;
    if let (Output::Table, Some(detail)) = (context.output, &row.detail) {
        output::line(&row.reason)?;
        output::line(detail)?;
    }
    Ok(Exit::Done)
}

fn unknown(id: &DeadId) -> Failure {
    Failure::new(
        Exit::NotFound,
        format!("there is no dead letter {id}, or it was dealt with; see `restock-cli dead list`"),
    )
}
