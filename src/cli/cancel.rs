//! `restock-cli cancel`: ends the open rounds of a product, the waiting one too.

use super::{
    Context,
    exit::{Exit, Failure},
    output,
};
use crate::{
    ids::{Channel, ProductId, ProductRef},
    mysql::action::Deed,
    producer::{Cancellation, Producer, ProducerError},
};

/// Options of `cancel`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 42, or sku:85123A
    pub product: ProductRef,
    /// Only this channel
    #[arg(long)]
    pub channel: Option<Channel>,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let producer = Producer::new(context.stores().await?);
    let product = context.product(&producer.stores().mysql, &args.product).await?.id;
    let channels = match &args.channel {
        Some(channel) => vec![channel.clone()],
        None => producer.channels().to_vec(),
    };
    let deed = Deed { channel: args.channel, ..Deed::of_product("cancel", product) };
    let work = cancel(&producer, product, &channels, format!("canceled by {}", context.by.as_str()));
    context.act(&producer.stores().mysql, &deed, work).await?;
    Ok(Exit::Done)
}

/// Ends what is open, at least one round, and says what it did.
async fn cancel(
    producer: &Producer,
    product: ProductId,
    channels: &[Channel],
    reason: String,
) -> anyhow::Result<String> {
    let mut said = Vec::new();
    for channel in channels {
        said.push(match producer.cancel(product, channel, &reason).await {
            Ok(Cancellation::Ended(round)) => format!("round {round} on {channel} has ended"),
            Ok(Cancellation::Told(round)) => {
                format!("round {round} on {channel} ends when what is in flight is settled")
            }
            Err(ProducerError::NothingToCancel { .. }) => continue,
            Err(error) => return Err(error.into()),
        });
        output::note(&format!("product {product}: {}", said[said.len() - 1]));
    }
    if !said.is_empty() {
        return Ok(said.join("; "));
    }
    let names = channels.iter().map(Channel::as_str).collect::<Vec<_>>().join(", ");
    let what = format!("product {product} has nothing to cancel on {names}: no round is open; see `status {product}`");
    Err(Failure::new(Exit::Conflict, what).into())
}
