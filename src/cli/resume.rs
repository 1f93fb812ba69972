//! `restock-cli resume`: goes on with a round that was cut off, after the last person settled.

use super::{Context, exit::Exit, not_built_yet};
use crate::ids::{Channel, ProductRef};

/// Options of `resume`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 42, or sku:85123A
    pub product: ProductRef,
    /// Only this channel
    #[arg(long)]
    pub channel: Option<Channel>,
    /// Give up the person who could not be told
    #[arg(long)]
    pub skip: bool,
    /// Tell those again who FAILED
    #[arg(long)]
    pub retry_failed: bool,
    /// Wait until the round has ended
    #[arg(long)]
    pub wait: bool,
}

pub(super) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    Err(not_built_yet("resume"))
}
