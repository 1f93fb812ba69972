//! `restock-cli resume`: goes on with a round that was cut off, or tells those who FAILED in it again.

use super::{
    Context,
    exit::Exit,
    output::{self, Output, Record, or_dash},
    standing,
    wait::{self, Watch},
};
use crate::{
    ids::{Channel, ProductRef, Round, time_us},
    mysql::action::{Deed, Upshot},
    producer::{Producer, Resume, WouldResume},
};

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
    /// Tell those again who FAILED in the last round, also when it was completed; then go on
    #[arg(long, conflicts_with = "skip")]
    pub retry_failed: bool,
    /// Only say how many people would be told
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,
    /// Wait until the round has ended
    #[arg(long)]
    pub wait: bool,
}

impl Record for WouldResume {
    const HEADINGS: &'static [&'static str] = &[">PRODUCT", ">ROUND", "CHANNEL", "CURSOR", ">SKIPPED", ">PEOPLE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.product.to_string(),
            self.round.to_string(),
            self.channel.to_string(),
            or_dash(self.cursor.map(|place| time_us(place.0))),
            or_dash(self.skipped),
            self.people.to_string(),
        ]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let producer = Producer::new(context.stores().await?);
    let stores = producer.stores();
    let product = context.product(&stores.mysql, &args.product).await?.id;
    let how = how(&args);
    if args.dry_run {
        let rows = producer.would_resume_all(product, args.channel.as_ref(), how).await?;
        output::records(context.output, &rows)?;
        return Ok(Exit::Done);
    }
    let deed = Deed { channel: args.channel.clone(), ..Deed::of_product(how.action(), product) };
    let mut continued = Vec::new();
    let work = async {
        continued = producer.resume_all(product, args.channel.as_ref(), how).await?;
        let said: Vec<String> = continued.iter().map(ToString::to_string).collect();
        said.iter().for_each(|line| output::note(&format!("product {product}: {line}")));
        let rounds: Vec<Round> = continued.iter().map(|lane| lane.round).collect();
        Ok(Upshot::of_rounds(said.join("; "), &rounds))
    };
    context.act(&stores.mysql, &deed, work).await?;
    if context.output == Output::Json {
        let done = continued.iter().map(|lane| (lane.channel.clone(), lane.round, lane.to_string())).collect();
        output::json(&standing::look(&stores.redis, stores.partition_of(product), product, done).await?)?;
    }
    if !args.wait {
        return Ok(Exit::Done);
    }
    let watches = continued.into_iter().map(|lane| Watch::new(product, lane.channel, lane.round)).collect();
    wait::until_ended(&stores.mysql, Some(&stores.redis), stores.settings.partitions, watches).await
}

fn how(args: &Args) -> Resume {
    match args {
        Args { skip: true, .. } => Resume::Skip,
        Args { retry_failed: true, .. } => Resume::RetryFailed,
        _ => Resume::Plain,
    }
}
