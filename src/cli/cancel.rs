//! `restock-cli cancel`: ends the open rounds of a product, the waiting one too.

use super::{Context, exit::Exit, not_built_yet};
use crate::ids::{Channel, ProductRef};

/// Options of `cancel`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 42, or sku:85123A
    pub product: ProductRef,
    /// Only this channel
    #[arg(long)]
    pub channel: Option<Channel>,
}

pub(super) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    Err(not_built_yet("cancel"))
}
