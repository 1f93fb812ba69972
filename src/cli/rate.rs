//! `restock-cli rate`: the pace that all workers share, and what each channel may use of it.

use clap::Subcommand;
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
    producer::announce_limits,
    report::{
        Sources,
        rate::{self, RateRow},
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

impl Record for RateRow {
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
    let rates: Vec<(String, String)> = rates.iter().map(|rate| setting_of(rate)).collect();
    for (name, value) in &rates {
        setting::check(name, value)?;
    }
    super::settings::refuse_repeats(rates.iter().map(|(name, _)| name.as_str()))?;
    if !rates.is_empty() {
        let work = async {
            setting::set_all(&pool, &rates).await?;
            let said = rates.iter().map(|(name, value)| in_words(name, value)).collect::<Vec<_>>().join("; ");
            let when = announce(context, &pool).await?;
            output::note(&format!("{said}{when}"));
            Ok(said)
        };
        context.act(&pool, &Deed::of_all("rate set"), work).await?;
    }
    let settings = Settings::load(&pool).await?;
    let sources = Sources { mysql: pool, redis: context.redis_if_up().await?, settings };
    output::records(context.output, &rate::rows(&sources).await?)?;
    Ok(Exit::Done)
}

/// The setting that an argument names, and its value.
fn setting_of(rate: &str) -> (String, String) {
    match rate.split_once('=') {
        Some((channel, rate)) => (format!("{RATE_OF}{channel}"), rate.to_owned()),
        None => (Name::Rate.as_str().to_owned(), rate.to_owned()),
    }
}

fn in_words(name: &str, value: &str) -> String {
    match name.strip_prefix(RATE_OF) {
        Some(channel) => format!("the rate of {channel} is {value}"),
        None => format!("the rate is {value}"),
    }
}

/// Tells Redis of the limits at once, so that no worker has to hear of them from MySQL; answers how it went, for people.
pub(super) async fn announce(context: &Context, pool: &MySqlPool) -> anyhow::Result<&'static str> {
    let settings = Settings::load(pool).await?;
    let Some(redis) = context.redis_if_up().await? else {
        return Ok("; Redis does not answer: workers hear of it when it is back");
    };
    announce_limits(&redis, &settings).await?;
    Ok(", at once for all workers")
}
