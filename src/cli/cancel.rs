//! `restock-cli cancel`: ends the open rounds of a product, the waiting one too.

use super::{
    Context,
    exit::{Exit, Failure},
    output::{self, Output, Record, or_dash},
    standing,
};
use crate::{
    ids::{Channel, ProductId, ProductRef, Round},
    mysql::action::{Deed, Upshot},
    producer::{Cancellation, Producer, ProducerError, WouldCancel},
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
        return preview(context, &producer, product, &channels).await;
    }
    let deed = Deed { channel: args.channel, ..Deed::of_product("cancel", product) };
    let mut done = Vec::new();
    let work = async {
        done = cancel(&producer, product, &channels, format!("canceled by {}", context.by.as_str())).await?;
        let rounds: Vec<Round> = done.iter().map(|(_, round, _)| *round).collect();
        let said: Vec<&str> = done.iter().map(|(.., said)| said.as_str()).collect();
        Ok(Upshot::of_rounds(said.join("; "), &rounds))
    };
    context.act(&producer.stores().mysql, &deed, work).await?;
    if context.output == Output::Json {
        output::json(&standing::look(producer.stores(), product, done).await?)?;
    }
    Ok(Exit::Done)
}

/// Says what would end, at least one round.
async fn preview(
    context: &Context,
    producer: &Producer,
    product: ProductId,
    channels: &[Channel],
) -> anyhow::Result<Exit> {
    let mut rows = Vec::new();
    for channel in channels {
        match producer.would_cancel(product, channel).await {
            Ok(row) => rows.push(row),
            Err(ProducerError::NothingToCancel { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if rows.is_empty() {
        return Err(nothing(product, channels).into());
    }
    output::records(context.output, &rows)?;
    Ok(Exit::Done)
}

/// Ends what is open, at least one round, and says what it did.
async fn cancel(
    producer: &Producer,
    product: ProductId,
    channels: &[Channel],
    reason: String,
) -> anyhow::Result<Vec<(Channel, Round, String)>> {
    let mut done = Vec::new();
    for channel in channels {
        let (round, said) = match producer.cancel(product, channel, &reason).await {
            Ok(Cancellation::Ended(round)) => (round, format!("round {round} on {channel} has ended")),
            Ok(Cancellation::Told(round)) => {
                (round, format!("round {round} on {channel} ends when what is in flight is settled"))
            }
            Err(ProducerError::NothingToCancel { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        output::note(&format!("product {product}: {said}"));
        done.push((channel.clone(), round, said));
    }
    if done.is_empty() { Err(nothing(product, channels).into()) } else { Ok(done) }
}

fn nothing(product: ProductId, channels: &[Channel]) -> Failure {
    let names = channels.iter().map(Channel::as_str).collect::<Vec<_>>().join(", ");
    let what = format!(
        "product {product} has nothing to cancel on {names}: no round is open; see `restock-cli status {product}`"
    );
    Failure::new(Exit::Conflict, what)
}
