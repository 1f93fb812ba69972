//! `restock-cli stock show | set | add`.

use clap::Subcommand;

use super::{Context, exit::Exit, not_built_yet, product};
use crate::ids::ProductRef;

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
        Action::Set { product, pieces } => {
            tracing::debug!(%product, pieces, "stock set");
            Err(not_built_yet("stock set"))
        }
        Action::Add { product, pieces } => {
            tracing::debug!(%product, pieces, "stock add");
            Err(not_built_yet("stock add"))
        }
    }
}
