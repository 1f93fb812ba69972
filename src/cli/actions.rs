//! `restock-cli actions`: who did what by hand.

use serde::Serialize;

use super::{
    Context,
    exit::Exit,
    output::{self, Record},
};
use crate::{
    ids::{Channel, ProductId, ProductRef, Round, rfc3339},
    mysql::action::{self, ActionRow},
};

/// Options of `actions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 42, or sku:85123A; without it, everything
    pub product: Option<ProductRef>,
    /// The most rows, newest first
    #[arg(long, default_value = "50", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

#[derive(Debug, Serialize)]
struct Row {
    at: String,
    by: String,
    action: String,
    product: Option<ProductId>,
    channel: Option<Channel>,
    round: Option<Round>,
    result: Option<String>,
}

impl Record for Row {
    const HEADINGS: &'static [&'static str] = &["AT", "BY", "ACTION", ">PRODUCT", "CHANNEL", "RESULT"];

    fn cells(&self) -> Vec<String> {
        let text = |value: Option<String>| value.unwrap_or_default();
        vec![
            self.at.clone(),
            self.by.clone(),
            self.action.clone(),
            text(self.product.map(|product| product.to_string())),
            text(self.channel.as_ref().map(Channel::to_string)),
            self.result.clone().unwrap_or_else(|| "unknown: its program ended first".to_owned()),
        ]
    }
}

impl From<ActionRow> for Row {
    fn from(row: ActionRow) -> Self {
        Self {
            at: rfc3339(row.at),
            by: row.operator,
            action: row.action,
            product: row.product,
            channel: row.channel,
            round: row.round,
            result: row.result,
        }
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let (pool, _) = context.mysql().await?;
    let product = match &args.product {
        Some(product) => Some(context.product(&pool, product).await?.id),
        None => None,
    };
    let rows: Vec<Row> = action::newest(&pool, product, args.limit).await?.into_iter().map(Row::from).collect();
    output::records(context.output, &rows)?;
    Ok(Exit::Done)
}
