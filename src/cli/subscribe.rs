//! `restock-cli subscribe` and `unsubscribe`.

use serde::Serialize;

use super::{
    Context,
    exit::{Exit, Failure},
    output,
};
use crate::{
    ids::{ProductId, ProductRef, UserId},
    mysql::subscription,
};

/// Options of `subscribe`.
#[derive(Debug, clap::Args)]
pub struct SubscribeArgs {
    /// 42, or sku:85123A
    product: ProductRef,
    /// Who; those in line already keep their place
    #[arg(required = true, value_name = "USER")]
    users: Vec<UserId>,
}

/// Options of `unsubscribe`.
#[derive(Debug, clap::Args)]
pub struct UnsubscribeArgs {
    /// 42, or sku:85123A
    product: ProductRef,
    /// Who
    #[arg(required = true, value_name = "USER")]
    users: Vec<UserId>,
}

/// What `subscribe` did, for programs.
#[derive(Debug, Serialize)]
struct Subscribed {
    product: ProductId,
    subscribed: u64,
    back: u64,
    already: u64,
}

/// What `unsubscribe` did, for programs.
#[derive(Debug, Serialize)]
struct Unsubscribed {
    product: ProductId,
    unsubscribed: u64,
    already: u64,
    unknown: Vec<UserId>,
}

pub(super) async fn subscribe(context: &Context, args: SubscribeArgs) -> anyhow::Result<Exit> {
    let (pool, _) = context.mysql().await?;
    let product = context.product(&pool, &args.product).await?;
    let done = subscription::subscribe(&pool, product.id, &args.users).await?;
    output::note(&format!(
        "product {}: {} subscribed, {} back at the end of the line, {} in line already",
        product.id, done.added, done.returned, done.kept
    ));
    let subscription::Subscribed { added: subscribed, returned: back, kept: already } = done;
    output::for_programs(context.output, &Subscribed { product: product.id, subscribed, back, already })?;
    Ok(Exit::Done)
}

pub(super) async fn unsubscribe(context: &Context, args: UnsubscribeArgs) -> anyhow::Result<Exit> {
    let (pool, _) = context.mysql().await?;
    let product = context.product(&pool, &args.product).await?;
    let done = subscription::unsubscribe(&pool, product.id, &args.users).await?;
    let told = format!("product {}: {} unsubscribed, {} had been before", product.id, done.ended, done.kept);
    let subscription::Unsubscribed { ended: unsubscribed, kept: already, unknown } = done;
    let done = Unsubscribed { product: product.id, unsubscribed, already, unknown };
    output::for_programs(context.output, &done)?;
    if done.unknown.is_empty() {
        output::note(&told);
        return Ok(Exit::Done);
    }
    let unknown = done.unknown.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Err(Failure::new(
        Exit::NotFound,
        format!("{told}; never subscribed, so nothing was changed for: {unknown}; see `restock-cli why`"),
    )
    .into())
}
