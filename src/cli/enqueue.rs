//! `restock-cli enqueue`: announces a restock.

use std::path::PathBuf;

use super::{Context, exit::Exit, not_built_yet};
use crate::ids::{IdempotencyKey, ProductRef};

/// Options of `enqueue`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 42, or sku:85123A
    #[arg(required_unless_present = "from")]
    pub product: Option<ProductRef>,
    /// Pieces that came in; added to the stock
    #[arg(long, default_value_t = 0, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(0..=i64::from(i32::MAX)))]
    pub quantity: i64,
    /// The same product and key count once
    #[arg(long)]
    pub key: Option<IdempotencyKey>,
    /// Do not go through the outbox in MySQL
    #[arg(long)]
    pub direct: bool,
    /// Only say how many people would be told, and how long that takes
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,
    /// Wait until the round has ended
    #[arg(long)]
    pub wait: bool,
    /// Read `product_id[,quantity][,key]` from a CSV file; - = stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["product", "quantity", "key"])]
    pub from: Option<PathBuf>,
}

pub(super) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    Err(not_built_yet("enqueue"))
}
