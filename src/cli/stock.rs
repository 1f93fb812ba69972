//! `restock-cli stock show | set | add`.

use clap::Subcommand;
use serde::Serialize;

use super::{
    Context,
    exit::Exit,
    hands::Hands,
    output::{self, Record, or_dash},
    product,
};
use crate::{
    ids::{ProductId, ProductRef, Sku},
    limit::STOCK_MAX,
    mysql::product::ProductRow,
    redis::scripts::StockChange,
};

/// Options of `stock`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show how many pieces there are
    Show {
        /// 42, or sku:85123A
        product: ProductRef,
    },
    /// Set how many pieces there are; 0 stops the sending
    Set {
        /// 42, or sku:85123A
        product: ProductRef,
        /// Pieces, not below zero
        #[arg(value_parser = clap::value_parser!(i64).range(0..=STOCK_MAX), allow_negative_numbers = true)]
        pieces: i64,
    },
    /// Add pieces, or take some away with a negative number
    Add {
        /// 42, or sku:85123A
        product: ProductRef,
        /// Pieces; the stock cannot go below zero
        #[arg(value_parser = clap::value_parser!(i64).range(-STOCK_MAX..=STOCK_MAX), allow_negative_numbers = true)]
        pieces: i64,
    },
}

/// A product of which only Redis was asked: its code and name are not known there.
#[derive(Debug, Serialize)]
struct StockRow {
    id: ProductId,
    sku: Option<Sku>,
    name: Option<String>,
    stock: i64,
    round: u32,
}

impl Record for StockRow {
    const HEADINGS: &'static [&'static str] = ProductRow::HEADINGS;

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            or_dash(self.sku.as_ref()),
            or_dash(self.name.as_ref()),
            self.stock.to_string(),
            self.round.to_string(),
        ]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    match args.action {
        Action::Show { product } => {
            let (pool, _) = context.mysql().await?;
            product::show(context, &pool, &product).await?;
            Ok(Exit::Done)
        }
        Action::Set { product, pieces } => change(context, &product, StockChange::Set(pieces)).await,
        Action::Add { product, pieces } => change(context, &product, StockChange::Add(pieces)).await,
    }
}

async fn change(context: &Context, name: &ProductRef, change: StockChange) -> anyhow::Result<Exit> {
    match context.hands(name).await? {
        Hands::Both(producer, mut product) => {
            // What MySQL knows of it lags behind by what is not yet flushed.
            product.stock = producer.change_stock(product.id, change).await?;
            output::record(context.output, &product)?;
        }
        Hands::Alone(alone) => {
            let view = alone.change_stock(change).await?;
            context.note_no_mysql("done in Redis alone");
            let row = StockRow { id: alone.product(), sku: None, name: None, stock: view.stock, round: view.round };
            output::record(context.output, &row)?;
        }
    }
    Ok(Exit::Done)
}
