//! `restock-cli status`: where every lane stands, by MySQL and, where that is newer, by Redis.

mod lines;
mod screen;
mod speed;
mod watch;

use std::io::IsTerminal;

use super::{
    Context,
    exit::Exit,
    output::{self, Output, Record, or_dash},
};
use crate::{
    ids::{ProductRef, time_us},
    mysql::refused::Refused,
    report::status::{self, StatusRow},
};

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 42, or sku:85123A; all products without it
    product: Option<ProductRef>,
    /// Stay and show it every second; a live screen on a terminal, lines elsewhere
    #[arg(long)]
    watch: bool,
}

impl Args {
    /// Whether the terminal becomes a screen, on which nobody else may write.
    pub(super) fn takes_the_terminal(&self, output: Output) -> bool {
        self.watch && output == Output::Table && std::io::stdout().is_terminal()
    }
}

impl Record for StatusRow {
    const HEADINGS: &'static [&'static str] = &[
        ">PRODUCT",
        "SKU",
        ">ROUND",
        "CHANNEL",
        "STATUS",
        ">TOTAL",
        ">SENT",
        ">SKIPPED",
        ">FAILED",
        ">UNKNOWN",
        "CURSOR",
        ">LAST USER",
        "REASON",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.product.to_string(),
            or_dash(self.sku.as_ref()),
            self.round.to_string(),
            self.channel.to_string(),
            if self.paused { format!("{}, paused", self.status) } else { self.status.to_string() },
            or_dash(self.total),
            self.sent.to_string(),
            self.skipped.to_string(),
            self.failed.to_string(),
            self.unknown.to_string(),
            or_dash(self.cursor.map(|place| time_us(place.0))),
            or_dash(self.last_user),
            or_dash(self.reason.as_ref()),
        ]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let sources = context.sources().await?;
    let product = match &args.product {
        Some(name) => Some(context.product(&sources.mysql, name).await?.id),
        None => None,
    };
    if args.watch {
        return watch::run(context, sources, product, args.takes_the_terminal(context.output)).await;
    }
    let overview = status::lanes(&sources, product).await?;
    if !overview.is_live {
        context.note_no_redis();
    }
    output::note_unreadable(&overview.unreadable);
    if overview.is_all_paused {
        output::note("all sending is paused; `restock-cli unpause` lets it go on");
    }
    for Refused { product, channel, rows } in &overview.refused {
        let channel = channel.as_ref().map_or(String::new(), |channel| format!(" on {channel}"));
        output::note(&format!(
            "MySQL refused {rows} rows of product {}{channel}: what it shows of it may be old; see `restock-cli dead list`",
            or_dash(*product)
        ));
    }
    output::records(context.output, &overview.rows)?;
    Ok(Exit::Done)
}
