//! `restock-cli cancel`: ends the open rounds of a product, the waiting one too.

use super::{
    Context,
    exit::Exit,
    hands::Hands,
    output::{self, Record, or_dash},
};
use crate::{
    ids::{Channel, ProductRef},
    mysql::action::Deed,
    producer::{Producer, WouldCancel},
};

/// Options of `cancel`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 42, or sku:85123A
    pub product: ProductRef,
    /// Only this channel
    #[arg(long)]
    pub channel: Option<Channel>,
    /// Only say what would end
    #[arg(long)]
    pub dry_run: bool,
}

impl Record for WouldCancel {
    const HEADINGS: &'static [&'static str] = &[">PRODUCT", ">ROUND", "CHANNEL", ">WAITING", "OWNER", ">PEOPLE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.product.to_string(),
            self.round.to_string(),
            self.channel.to_string(),
            or_dash(self.waiting),
            or_dash(self.owner.as_ref()),
            self.people.to_string(),
        ]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    if args.dry_run {
        return preview(context, &args).await;
    }
    let hands = context.hands(&args.product).await?;
    let product = hands.product();
    let channels = args.channel.as_ref().map_or_else(|| hands.channels(), |channel| vec![channel.clone()]);
    let deed = Deed { channel: args.channel, ..Deed::of_product("cancel", product) };
    let work = cancel(&hands, &channels, format!("canceled by {}", context.by.as_str()));
    context.act_with(&hands, &deed, work).await?;
    Ok(Exit::Done)
}

/// Says what would end, at least one round.
async fn preview(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let producer = Producer::new(context.stores().await?);
    let product = context.product(&producer.stores().mysql, &args.product).await?.id;
    let channels = args.channel.as_ref().map_or_else(|| producer.channels().to_vec(), |channel| vec![channel.clone()]);
    output::records(context.output, &producer.would_cancel_all(product, &channels).await?)?;
    Ok(Exit::Done)
}

/// Ends what is open, at least one round, and says what it did.
async fn cancel(hands: &Hands, channels: &[Channel], reason: String) -> anyhow::Result<String> {
    let lanes = hands.cancel_all(channels, &reason).await?;
    let said: Vec<String> = lanes.iter().map(ToString::to_string).collect();
    said.iter().for_each(|line| output::note(&format!("product {}: {line}", hands.product())));
    Ok(said.join("; "))
}
