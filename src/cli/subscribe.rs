//! `restock-cli subscribe` and `unsubscribe`.

use super::{
    Context,
    exit::{Exit, Failure},
    output,
};
use crate::{
    ids::{ProductRef, UserId},
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

pub(super) async fn subscribe(context: &Context, args: SubscribeArgs) -> anyhow::Result<Exit> {
    let (pool, _) = context.mysql().await?;
    let product = context.product(&pool, &args.product).await?;
    let done = subscription::subscribe(&pool, product.id, &args.users).await?;
    output::note(&format!(
        "product {}: {} subscribed, {} back at the end of the line, {} in line already",
        product.id, done.added, done.returned, done.kept
    ));
    Ok(Exit::Done)
}

pub(super) async fn unsubscribe(context: &Context, args: UnsubscribeArgs) -> anyhow::Result<Exit> {
    let (pool, _) = context.mysql().await?;
    let product = context.product(&pool, &args.product).await?;
    let done = subscription::unsubscribe(&pool, product.id, &args.users).await?;
    let told = format!("product {}: {} unsubscribed, {} had been before", product.id, done.ended, done.kept);
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
