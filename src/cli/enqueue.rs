//! `restock-cli enqueue`: announces a restock.

mod many;
mod orders;

use std::path::PathBuf;

use serde::Serialize;

use super::{
    Context,
    context::CONNECTIONS_MAX,
    exit::{Exit, Failure},
    output::{self, Record, or_dash},
    wait::{self, Watch},
};
use crate::{
    ids::{IdempotencyKey, ProductId, ProductRef, Round},
    producer::{self, Accepted, Producer},
    redis::{Patience, Redis},
    stores::Stores,
};

/// Options of `enqueue`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 42, or sku:85123A
    #[arg(required_unless_present = "from")]
    pub product: Option<ProductRef>,
    /// Pieces that came in; added to the stock
    #[arg(long, default_value_t = 0, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(0..=i64::from(i32::MAX)))]
    pub quantity: u32,
    /// The same product and key count once
    #[arg(long)]
    pub key: Option<IdempotencyKey>,
    /// Do not go through the outbox in MySQL
    #[arg(long)]
    pub direct: bool,
    /// Only say how many people would be told, and how long that takes
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,
    /// Wait until the round has ended
    #[arg(long)]
    pub wait: bool,
    /// Read `product_id[,quantity][,key]` from a file, one a line; - = stdin. One bad line, and nothing is enqueued
    #[arg(long, value_name = "FILE", conflicts_with_all = ["product", "quantity", "key", "direct"])]
    pub from: Option<PathBuf>,
}

#[derive(Debug, Clone, Serialize)]
struct EnqueueRow {
    product: ProductId,
    round: Option<Round>,
    request: Option<i64>,
}

impl From<Accepted> for EnqueueRow {
    fn from(Accepted { product, round, request }: Accepted) -> Self {
        Self { product, round, request }
    }
}

impl Record for EnqueueRow {
    const HEADINGS: &'static [&'static str] = &[">PRODUCT", ">ROUND", ">REQUEST"];

    fn cells(&self) -> Vec<String> {
        vec![self.product.to_string(), or_dash(self.round), or_dash(self.request)]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    match (&args.product, &args.from) {
        (Some(name), _) if args.dry_run => many::preview_one(context, name, &args).await,
        (Some(name), _) if args.direct => direct(context, name, &args).await,
        (Some(name), _) => through_the_outbox(context, name, &args).await,
        (None, Some(path)) if args.dry_run => many::preview_all(context, path).await,
        (None, Some(path)) => many::enqueue_all(context, path, &args).await,
        (None, None) => Err(Failure::new(Exit::Usage, "name a product, or a file of them with --from").into()),
    }
}

/// MySQL is asked only for what Redis does not know.
async fn direct(context: &Context, name: &ProductRef, args: &Args) -> anyhow::Result<Exit> {
    if let ProductRef::Id(product) = name {
        let backends = &context.backends;
        let redis = Redis::connect(&backends.redis_url, &backends.namespace, Patience::Short).await?;
        let known = producer::enqueue_known(&redis, *product, args.quantity, args.key.as_ref()).await?;
        if let Some(accepted) = known {
            output::record(context.output, &EnqueueRow::from(accepted))?;
            return if args.wait { wait_for(&context.stores().await?, accepted).await } else { Ok(Exit::Done) };
        }
    }
    let (producer, accepted) = direct_with_mysql(context, name, args).await.map_err(|error| {
        let failure = Failure::of(&error, &context.backends);
        match failure.code {
            Exit::Unreachable => Failure::new(
                Exit::Unreachable,
                format!("nothing was announced: Redis alone does not know product {name}, or not since it was started: {failure}"),
            ),
            _ => failure,
        }
    })?;
    output::record(context.output, &EnqueueRow::from(accepted))?;
    if args.wait { wait_for(producer.stores(), accepted).await } else { Ok(Exit::Done) }
}

async fn direct_with_mysql(context: &Context, name: &ProductRef, args: &Args) -> anyhow::Result<(Producer, Accepted)> {
    let producer = Producer::new(context.stores().await?);
    let product = match name {
        ProductRef::Id(product) => *product,
        ProductRef::Sku(_) => context.product(&producer.stores().mysql, name).await?.id,
    };
    let accepted = producer.enqueue_direct(product, args.quantity, args.key.as_ref()).await?;
    Ok((producer, accepted))
}

async fn wait_for(stores: &Stores, accepted: Accepted) -> anyhow::Result<Exit> {
    let Some(round) = accepted.round else { return Ok(Exit::Done) };
    let channels = stores.settings.channels.iter().cloned();
    let watches = channels.map(|channel| Watch::new(accepted.product, channel, round)).collect();
    wait::until_ended(&stores.mysql, Some(&stores.redis), stores.settings.partitions, watches).await
}

async fn through_the_outbox(context: &Context, name: &ProductRef, args: &Args) -> anyhow::Result<Exit> {
    let (mysql, settings) = Stores::open_record(&context.backends, CONNECTIONS_MAX).await?;
    let product = context.product(&mysql, name).await?.id;
    let request = producer::accept(&mysql, product, args.quantity, args.key.as_ref()).await?;
    let redis = context.redis_if_up().await?;
    let (partitions, mut channels) = (settings.partitions, settings.channels.clone());
    let accepted = match redis.clone() {
        Some(redis) => {
            let producer = Producer::new(Stores { redis, mysql: mysql.clone(), settings });
            let accepted = producer.push(&request).await?;
            channels = producer.channels().to_vec();
            accepted
        }
        None => Accepted { product, round: request.round, request: Some(request.id) },
    };
    if accepted.round.is_none() {
        output::note(&format!(
            "request {} for product {product} waits in the outbox: a restock-flusher makes it a round when Redis at {} \
             answers and MySQL has caught up",
            request.id,
            context.backends.redis_address()
        ));
    }
    output::record(context.output, &EnqueueRow::from(accepted))?;
    if !args.wait {
        return Ok(Exit::Done);
    }
    let round = match accepted.round {
        Some(round) => round,
        None => wait::until_accepted(&mysql, request.id).await?,
    };
    let watches = channels.into_iter().map(|channel| Watch::new(product, channel, round)).collect();
    wait::until_ended(&mysql, redis.as_ref(), partitions, watches).await
}
