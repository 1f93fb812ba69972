//! `restock-cli why`: what became of one person, round by round.

use super::{
    Context,
    exit::{Exit, Failure},
    output::{self, Output, Record, or_dash},
};
use crate::{
    ids::{ProductRef, UserId, time_us},
    report::why::{self, Why, WhyRound},
};

/// Options of `why`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 42, or sku:85123A
    product: ProductRef,
    /// Whom it is about
    #[arg(long)]
    user: UserId,
}

impl Record for WhyRound {
    const HEADINGS: &'static [&'static str] =
        &[">ROUND", "CHANNEL", "STATUS", "OUTCOME", "SENT AT", ">TRIES", "WHY NOT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.round.to_string(),
            self.channel.to_string(),
            self.status.to_string(),
            or_dash(self.outcome),
            or_dash(self.sent_at.as_ref()),
            or_dash(self.tries),
            or_dash(self.reason.as_ref()),
        ]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let sources = context.sources().await?;
    let product = context.product(&sources.mysql, &args.product).await?.id;
    if sources.redis.is_none() {
        context.note_no_redis();
    }
    let Some(why) = why::person(&sources, product, args.user).await? else {
        let what = format!("user {} never subscribed to product {product}; see `restock-cli subscribe`", args.user);
        return Err(Failure::new(Exit::NotFound, what).into());
    };
    match context.output {
        Output::Json => output::json(&why)?,
        Output::Table => {
            output::line(&describe(&why))?;
            output::records(context.output, &why.rounds)?;
        }
    }
    Ok(Exit::Done)
}

fn describe(Why { product, user, place, position, .. }: &Why) -> String {
    match (place, position) {
        (Some(place), Some(position)) => {
            format!("user {user} is number {position} in line for product {product}, since {}", time_us(place.0))
        }
        (Some(place), None) => {
            format!("user {user} has unsubscribed from product {product}; the place was {}", time_us(place.0))
        }
        (None, _) => format!("user {user} is not in line for product {product}"),
    }
}
