//! `restock-cli pause` and `unpause`: one product stands still, or everything does.

use super::{Context, exit::Exit, output};
use crate::{
    ids::ProductRef,
    mysql::{
        action::Deed,
        setting::{self, Name},
    },
};

/// Options of `pause` and `unpause`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 42, or sku:85123A; without it, all sending
    pub product: Option<ProductRef>,
}

pub(super) async fn pause(context: &Context, args: Args) -> anyhow::Result<Exit> {
    set(context, args, true).await
}

pub(super) async fn unpause(context: &Context, args: Args) -> anyhow::Result<Exit> {
    set(context, args, false).await
}

async fn set(context: &Context, args: Args, paused: bool) -> anyhow::Result<Exit> {
    match args.product {
        Some(product) => set_product(context, &product, paused).await,
        None => set_all(context, paused).await,
    }
}

fn verb(paused: bool) -> &'static str {
    if paused { "pause" } else { "unpause" }
}

async fn set_product(context: &Context, name: &ProductRef, paused: bool) -> anyhow::Result<Exit> {
    let hands = context.hands(name).await?;
    let product = hands.product();
    let work = async {
        let said = hands.pause(paused).await?.to_string();
        output::note(&format!("product {product} {said}"));
        Ok(said)
    };
    context.act_with(&hands, &Deed::of_product(verb(paused), product), work).await?;
    Ok(Exit::Done)
}

/// All sending stands still because nobody gets a permit: no lane has to be touched, however many there are.
async fn set_all(context: &Context, paused: bool) -> anyhow::Result<Exit> {
    let (pool, before) = context.mysql().await?;
    let work = async {
        if before.paused == paused {
            let said = if paused { "all sending is paused already" } else { "sending is not paused" };
            output::note(&format!("{said}; products can be paused one by one, see `restock-cli status`"));
            return Ok(said.to_owned());
        }
        setting::set(&pool, Name::Paused.as_str(), if paused { "yes" } else { "no" }).await?;
        let said = if paused { "all sending is paused" } else { "sending goes on" };
        let when = super::rate::announce(context, &pool).await?;
        output::note(&format!("{said}{when}"));
        Ok(said.to_owned())
    };
    context.act(&pool, &Deed::of_all(verb(paused)), work).await?;
    Ok(Exit::Done)
}
