//! `restock-cli test-send`: one message to one user through a channel, outside of every round.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{
    Context,
    exit::{Exit, Failure},
    output::{self, Record, or_dash},
};
use crate::{
    channel::{Answer, ChannelOptions, Message, ProductCard},
    clock::wall_us,
    ids::{Channel, ProductId, ProductRef, Round, UserId},
    mysql::action::Deed,
    redis::{
        Redis,
        scripts::{Reserve, Reserved},
    },
};

/// No round has this number: a receiver that drops repeats by `webhook-id` does not drop a real message for it.
const NO_ROUND: Round = Round(0);

/// How far ahead its moment may lie, in µs.
const HORIZON_US: u64 = 100_000;

/// Options of `test-send`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What the message is about: 42, or sku:85123A
    product: ProductRef,
    /// To whom; they need not have subscribed
    #[arg(long)]
    user: UserId,
    /// Through this channel; by default the first that is enabled
    #[arg(long)]
    channel: Option<Channel>,
    #[command(flatten)]
    channels: ChannelOptions,
}

#[derive(Debug, Serialize)]
struct Row {
    product: ProductId,
    user: UserId,
    channel: Channel,
    /// What this answer would be in a round.
    answer: &'static str,
    reason: Option<String>,
    ms: u64,
}

impl Record for Row {
    const HEADINGS: &'static [&'static str] = &[">PRODUCT", ">USER", "CHANNEL", "ANSWER", "REASON", ">MS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.product.to_string(),
            self.user.to_string(),
            self.channel.to_string(),
            self.answer.to_owned(),
            or_dash(self.reason.as_ref()),
            self.ms.to_string(),
        ]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let stores = context.stores().await?;
    let card = context.product(&stores.mysql, &args.product).await?;
    let enabled = &stores.settings.channels;
    let channel = match args.channel.or_else(|| enabled.first().cloned()) {
        Some(channel) if enabled.contains(&channel) => channel,
        channel => {
            let names = enabled.iter().map(Channel::as_str).collect::<Vec<_>>().join(", ");
            let what =
                format!("the channel {} is not enabled, only {names}; see `restock-cli settings`", or_dash(channel));
            return Err(Failure::new(Exit::Conflict, what).into());
        }
    };
    let sender = args.channels.build_on(&stores, &channel).await?;
    let product = card.id;
    let deed = Deed { channel: Some(channel.clone()), ..Deed::of_product("test-send", product) };
    let mut done = None;
    let work = async {
        take_turn(&stores.redis, &channel, stores.settings.limit_of(&channel)).await?;
        let start = Instant::now();
        let message = Message {
            product: Arc::new(ProductCard { id: product, sku: card.sku, name: card.name }),
            round: NO_ROUND,
            channel: channel.clone(),
            user: args.user,
            started_us: wall_us(),
            traceparent: None,
        };
        let (answer, reason) = describe(sender.send(message).await);
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let said =
            format!("user {}: {answer}{}", args.user, reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default());
        done = Some(Row { product, user: args.user, channel, answer, reason, ms });
        Ok(said)
    };
    context.act(&stores.mysql, &deed, work).await?;
    let Some(row) = done else { return Ok(Exit::Failure) };
    output::record(context.output, &row)?;
    if row.answer == "SENT" {
        return Ok(Exit::Done);
    }
    let Row { channel, answer, reason, .. } = row;
    let next = match answer {
        "WRONG" => "mend the channel's address or secret",
        "RETRY" => "mend the receiver, and send again",
        _ => "this user alone is refused; try another --user",
    };
    let what = format!("the test message was not delivered by {channel}: {answer}, {}; {next}", or_dash(reason));
    Err(Failure::new(Exit::Failure, what).into())
}

/// A test counts in the shared pace as any other message.
async fn take_turn(redis: &Redis, channel: &Channel, limit: crate::limit::Limit) -> anyhow::Result<()> {
    loop {
        let ask = Reserve { channel, wanted: 1, horizon_us: HORIZON_US, lead_us: 0, limit, unused: &[] };
        match redis.reserve_pace(&ask).await? {
            Reserved::Granted { now_us, moments } => {
                let first_us = moments.first().map_or(now_us, |(moment, _)| *moment);
                sleep(Duration::from_micros((first_us - now_us).max(0).unsigned_abs())).await;
                return Ok(());
            }
            Reserved::Unlimited => return Ok(()),
            Reserved::Wait(us) => sleep(Duration::from_micros(us)).await,
            Reserved::Paused => {
                let what = "all sending is paused, tests too; `restock-cli unpause` lets it go on";
                return Err(Failure::new(Exit::Conflict, what).into());
            }
        }
    }
}

fn describe(answer: Answer) -> (&'static str, Option<String>) {
    match answer {
        Answer::Delivered => ("SENT", None),
        Answer::Skipped => ("SKIPPED", Some("no address, or opted out".to_owned())),
        Answer::Refused(reason) => ("FAILED", Some(reason)),
        Answer::Retry { reason, after, .. } => {
            let after = after.map(|after| format!(", not before {} s", after.as_secs())).unwrap_or_default();
            ("RETRY", Some(format!("{reason}{after}")))
        }
        Answer::Misconfigured(reason) => ("WRONG", Some(reason)),
    }
}
