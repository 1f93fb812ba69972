//! `restock-cli pause` and `unpause`: one product stands still, or everything does.

use serde::Serialize;

use super::{Context, exit::Exit, output};
use crate::{
    ids::{ProductId, ProductRef},
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

/// What stands still now, or goes on, for programs.
#[derive(Debug, Serialize)]
struct Held {
    /// Null for all sending.
    product: Option<ProductId>,
    paused: bool,
    /// Whether it was not so before.
    changed: bool,
    /// Open lanes of the product; null for all sending, and where nothing changed.
    open: Option<u32>,
    /// Those of them that stand still only when what is in flight is settled.
    in_flight: Option<u32>,
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
    let mut held = Held { product: Some(product), paused, changed: false, open: None, in_flight: None };
    let work = async {
        let done = hands.pause(paused).await?;
        held.changed = done.changed;
        (held.open, held.in_flight) = done.changed.then_some((done.open, done.held)).unzip();
        let said = done.to_string();
        output::note(&format!("product {product} {said}"));
        Ok(said)
    };
    context.act_with(&hands, &Deed::of_product(verb(paused), product), work).await?;
    output::for_programs(context.output, &held)?;
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
    let changed = before.paused != paused;
    output::for_programs(context.output, &Held { product: None, paused, changed, open: None, in_flight: None })?;
    Ok(Exit::Done)
}
