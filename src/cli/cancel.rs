//! `restock-cli cancel`: ends the open rounds of a product, the waiting one too.

use super::{
    Context,
    exit::Exit,
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
    let producer = Producer::new(context.stores().await?);
    let product = context.product(&producer.stores().mysql, &args.product).await?.id;
    let channels = match &args.channel {
        Some(channel) => vec![channel.clone()],
        None => producer.channels().to_vec(),
    };
    if args.dry_run {
        output::records(context.output, &producer.would_cancel_all(product, &channels).await?)?;
        return Ok(Exit::Done);
    }
    let deed = Deed { channel: args.channel, ..Deed::of_product("cancel", product) };
    let reason = format!("canceled by {}", context.by.as_str());
    let work = async {
        let lanes = producer.cancel_all(product, &channels, &reason).await?;
        let said: Vec<String> = lanes.iter().map(ToString::to_string).collect();
        said.iter().for_each(|line| output::note(&format!("product {product}: {line}")));
        Ok(said.join("; "))
    };
    context.act(&producer.stores().mysql, &deed, work).await?;
    Ok(Exit::Done)
}
