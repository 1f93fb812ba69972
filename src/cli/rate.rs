//! `restock-cli rate`: the pace that all workers share, and what each channel may use of it.

use clap::Subcommand;
use serde::Serialize;
use sqlx::MySqlPool;

use super::{
    Context,
    exit::Exit,
    output::{self, Record},
};
use crate::{
    mysql::{
        action::Deed,
        setting::{self, Name, RATE_OF, Settings},
    },
    redis::{
        Redis, RedisError,
        scripts::{PaceUse, TOTAL},
    },
};

/// Options of `rate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Change it for all workers, within a second
    Set {
        /// N starts a second over all workers, 0 = no pace; or CHANNEL=N within that, CHANNEL=none
        #[arg(required = true, value_name = "N|CHANNEL=N")]
        rates: Vec<String>,
    },
}

/// A pace, as people and programs read it.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// Starts a second; 0 is no pace, `None` a channel without a rate of its own.
    limit: Option<u32>,
    /// Permits used in the last second; `None` when Redis does not answer.
    used: Option<i64>,
    paused: bool,
}

impl Record for Row {
    const HEADINGS: &'static [&'static str] = &["PACE", ">LIMIT/S", ">USED/S", "STATE"];

    fn cells(&self) -> Vec<String> {
        let limit = self.limit.filter(|limit| *limit > 0).map_or_else(|| "none".to_owned(), |limit| limit.to_string());
        let used = self.used.map_or_else(|| "?".to_owned(), |used| used.to_string());
        let state = if self.paused { "paused" } else { "running" };
        vec![self.name.clone(), limit, used, state.to_owned()]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let (pool, _) = context.mysql().await?;
    let rates = args.action.map_or_else(Vec::new, |Action::Set { rates }| rates);
    let rates: Vec<(String, String, String)> = rates.iter().map(|rate| setting_of(rate)).collect();
    for (name, value, _) in &rates {
        setting::check(name, value)?;
    }
    super::settings::refuse_repeats(rates.iter().map(|(name, ..)| name.as_str()))?;
    for (name, value, what) in rates {
        let work = async {
            setting::set(&pool, &name, &value).await?;
            let said = format!("the rate{what} is {value}");
            let when = announce(context, &pool).await?;
            output::note(&format!("{said}{when}"));
            Ok(said)
        };
        context.act(&pool, &Deed::of_all("rate set"), work).await?;
    }
    let settings = Settings::load(&pool).await?;
    let redis = context.redis_if_up().await?;
    let paused = settings.paused;
    let mut rows = vec![Row {
        name: TOTAL.to_owned(),
        limit: Some(settings.rate),
        used: used(redis.as_ref(), TOTAL).await?,
        paused,
    }];
    for channel in &settings.channels {
        let used = used(redis.as_ref(), channel.as_str()).await?;
        rows.push(Row { name: channel.to_string(), limit: settings.channel_rates.get(channel).copied(), used, paused });
    }
    output::records(context.output, &rows)?;
    Ok(Exit::Done)
}

/// The setting that an argument names, its value, and whose rate it is, for people.
fn setting_of(rate: &str) -> (String, String, String) {
    match rate.split_once('=') {
        Some((channel, rate)) => (format!("{RATE_OF}{channel}"), rate.to_owned(), format!(" of {channel}")),
        None => (Name::Rate.as_str().to_owned(), rate.to_owned(), String::new()),
    }
}

async fn used(redis: Option<&Redis>, name: &str) -> Result<Option<i64>, RedisError> {
    let Some(redis) = redis else { return Ok(None) };
    let PaceUse { last_second, .. } = redis.pace_use(name).await?;
    Ok(Some(last_second))
}

/// Tells Redis of the limits at once, so that no worker has to hear of them from MySQL; answers how it went, for people.
pub(super) async fn announce(context: &Context, pool: &MySqlPool) -> anyhow::Result<&'static str> {
    let settings = Settings::load(pool).await?;
    let Some(redis) = context.redis_if_up().await? else {
        return Ok("; Redis does not answer: workers hear of it when it is back");
    };
    for channel in &settings.channels {
        redis.set_limit(channel, settings.limit_of(channel)).await?;
    }
    Ok(", at once for all workers")
}
