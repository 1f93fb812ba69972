//! `restock-cli cancel`: ends the open rounds of a product, the waiting one too.

use super::{
    Context,
    exit::{Exit, Failure},
    output,
};
use crate::{
    ids::{Channel, ProductRef},
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
    let channels = match args.channel {
        Some(channel) => vec![channel],
        None => producer.channels().to_vec(),
    };
    let mut ended = 0;
    for channel in &channels {
        match producer.cancel(product, channel).await {
            Ok(Cancellation::Ended(round)) => {
                output::note(&format!("product {product}: round {round} on {channel} has ended"));
            }
            Ok(Cancellation::Told(round)) => output::note(&format!(
                "product {product}: round {round} on {channel} ends when what is in flight is settled"
            )),
            Err(ProducerError::NothingToCancel { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
        ended += 1;
    }
    if ended > 0 {
        return Ok(Exit::Done);
    }
    let names = channels.iter().map(Channel::as_str).collect::<Vec<_>>().join(", ");
    let what = format!("product {product} has nothing to cancel on {names}: no round is open; see `status {product}`");
    Err(Failure::new(Exit::Conflict, what).into())
}
