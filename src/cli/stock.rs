//! `restock-cli stock show | set | add`.

use clap::Subcommand;

use super::{Context, exit::Exit, output, product};
use crate::{ids::ProductRef, mysql::action::Deed, producer::Producer, redis::scripts::StockChange};

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
        #[arg(value_parser = clap::value_parser!(i64).range(0..), allow_negative_numbers = true)]
        pieces: i64,
    },
    /// Add pieces, or take some away with a negative number
    Add {
        /// 42, or sku:85123A
        product: ProductRef,
        /// Pieces; the stock cannot go below zero
        #[arg(allow_negative_numbers = true)]
        pieces: i64,
    },
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
    let producer = Producer::new(context.stores().await?);
    let mut product = context.product(&producer.stores().mysql, name).await?;
    let (action, said) = match change {
        StockChange::Set(pieces) => ("stock set", format!("set to {pieces}")),
        StockChange::Add(pieces) => ("stock add", format!("added {pieces}")),
    };
    let deed = Deed::of_product(action, product.id);
    let work = async {
        // What MySQL knows of it lags behind by what is not yet flushed.
        product.stock = producer.change_stock(product.id, change).await?;
        Ok(format!("{said}, now {}", product.stock))
    };
    context.act(&producer.stores().mysql, &deed, work).await?;
    output::record(context.output, &product)?;
    Ok(Exit::Done)
}
