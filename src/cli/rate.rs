//! `restock-cli rate`: the pace that all workers share.

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
        setting::{self, Name, Settings},
    },
    pace::PACE,
    redis::scripts::PaceUse,
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
        /// Starts a second over all workers; 0 = no pace
        #[arg(value_name = "N")]
        rate: String,
    },
}

/// The pace, as people and programs read it.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    /// Starts a second; 0 is no pace.
    limit: u32,
    /// Permits given out in the last whole second; `None` when Redis does not answer.
    used: Option<i64>,
    paused: bool,
}

impl Record for Row {
    const HEADINGS: &'static [&'static str] = &["PACE", ">LIMIT/S", ">USED/S", "STATE"];

    fn cells(&self) -> Vec<String> {
        let limit = if self.limit == 0 { "none".to_owned() } else { self.limit.to_string() };
        let used = self.used.map_or_else(|| "?".to_owned(), |used| used.to_string());
        let state = if self.paused { "paused" } else { "running" };
        vec![self.name.to_owned(), limit, used, state.to_owned()]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let (pool, _) = context.mysql().await?;
    if let Some(Action::Set { rate }) = args.action {
        let work = async {
            setting::set(&pool, Name::Rate.as_str(), &rate).await?;
            let when = announce(context, &pool).await?;
            let said = format!("the rate is {rate}");
            output::note(&format!("{said}{when}"));
            Ok(said)
        };
        context.act(&pool, &Deed::of_all("rate set"), work).await?;
    }
    let settings = Settings::load(&pool).await?;
    let used = match context.redis_if_up().await? {
        Some(redis) => Some(redis.pace_use(PACE).await?),
        None => None,
    };
    let used = used.map(|PaceUse { last_second, .. }| last_second);
    let row = Row { name: PACE, limit: settings.rate, used, paused: settings.paused };
    output::records(context.output, &[row])?;
    Ok(Exit::Done)
}

/// Tells Redis of the limit at once, so that no worker has to hear of it from MySQL; answers how it went, for people.
pub(super) async fn announce(context: &Context, pool: &MySqlPool) -> anyhow::Result<&'static str> {
    let limit = Settings::load(pool).await?.limit();
    Ok(match context.redis_if_up().await? {
        Some(redis) => {
            redis.set_limit(PACE, limit).await?;
            ", at once for all workers"
        }
        None => "; Redis does not answer: workers hear of it when it is back",
    })
}
