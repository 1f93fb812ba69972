//! `restock-cli doctor`: whether this deployment can keep its promises, from here.

mod deployment;
mod engine;
mod record;
mod sheet;

use serde::Serialize;

use self::sheet::{Check, Level, Sheet};
use super::{
    Context,
    context::CONNECTIONS_MAX,
    exit::Exit,
    output::{self, Output, Record},
};
use crate::{
    channel::ChannelOptions,
    mysql::{self, schema, setting::Settings},
    redis::{Patience, Redis},
    stores::Stores,
    worker::WorkerOptions,
};

/// Options of `doctor`: those of the worker are taken as they would be by a `restock-worker` started here.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exits 5 when a server does not answer, 6 when something \
                        fails; a warning is no failure.")]
pub struct Args {
    /// As --output json
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    channels: ChannelOptions,
}

impl Record for Check {
    const HEADINGS: &'static [&'static str] = &["", "CHECK", "WHAT IS THERE", "WHAT TO DO"];

    fn cells(&self) -> Vec<String> {
        let advice = self.advice.map(str::to_owned).unwrap_or_default();
        vec![self.level.as_str().to_owned(), self.check.to_owned(), self.detail.clone(), advice]
    }
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    ok: bool,
    checks: &'a [Check],
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let mut sheet = Sheet::default();
    let redis = open_redis(context, &mut sheet).await;
    let pool = open_mysql(context, &mut sheet).await;
    let unreachable = redis.is_none() || pool.is_none();
    if let Some(redis) = &redis {
        engine::examine(redis, &mut sheet).await?;
    }
    let mut settings = None;
    if let Some(pool) = &pool {
        record::examine(pool, &mut sheet).await?;
        settings = read_settings(context, pool, &mut sheet).await?;
    }
    if let (Some(redis), Some(mysql)) = (&redis, &pool) {
        deployment::compare_clocks(redis, mysql, &mut sheet).await?;
    }
    if let Some(settings) = &settings {
        deployment::examine_settings(settings, &args.worker, &args.channels, &mut sheet);
    }
    if let (Some(redis), Some(mysql), Some(settings)) = (redis, pool, settings) {
        let stores = Stores { redis, mysql, settings };
        deployment::examine_running(&stores, &mut sheet).await?;
    }
    let checks = sheet.into_checks();
    let failed = checks.iter().filter(|check| check.level == Level::Fail).count();
    if args.json || context.output == Output::Json {
        output::json(&Document { ok: failed == 0, checks: &checks })?;
    } else {
        output::records(context.output, &checks)?;
        let warned = checks.iter().filter(|check| check.level == Level::Warn).count();
        output::note(&format!("{} checks, {failed} failed, {warned} warnings", checks.len()));
    }
    Ok(match failed {
        _ if unreachable => Exit::Unreachable,
        0 => Exit::Done,
        _ => Exit::Findings,
    })
}

async fn open_redis(context: &Context, sheet: &mut Sheet) -> Option<Redis> {
    match Redis::connect(&context.backends.redis_url, &context.backends.namespace, Patience::Short).await {
        Ok(redis) => Some(redis),
        Err(error) => {
            let advice = "start Redis, or check --redis-url / RESTOCK_REDIS_URL";
            sheet.fail("redis", super::Failure::of(&error.into(), &context.backends).message, advice);
            None
        }
    }
}

async fn open_mysql(context: &Context, sheet: &mut Sheet) -> Option<sqlx::MySqlPool> {
    match mysql::connect(&context.backends.mysql_url, CONNECTIONS_MAX).await {
        Ok(pool) => Some(pool),
        Err(error) => {
            let failure = super::Failure::of(&error.into(), &context.backends);
            let advice = "start MySQL, run `restock-cli migrate`, or check --mysql-url / RESTOCK_MYSQL_URL";
            sheet.fail("mysql", failure.message, advice);
            None
        }
    }
}

/// The settings, if the schema is ours; else that is what is wrong.
async fn read_settings(
    context: &Context,
    pool: &sqlx::MySqlPool,
    sheet: &mut Sheet,
) -> anyhow::Result<Option<Settings>> {
    if let Err(error) = schema::check(pool).await {
        if let schema::SchemaError::Sql(error) = error {
            return Err(error.into());
        }
        sheet.fail("schema", error.to_string(), "run `restock-cli migrate` of this version");
        return Ok(None);
    }
    sheet.ok("schema", "the one of this version");
    let settings = match Settings::load(pool).await {
        Ok(settings) => settings,
        Err(error) => {
            sheet.fail("settings", error.to_string(), "run `restock-cli migrate`, or `restock-cli settings set`");
            return Ok(None);
        }
    };
    if let Err(error) = settings.check_namespace(&context.backends.namespace) {
        sheet.fail("namespace", error.to_string(), "give the --namespace / RESTOCK_NAMESPACE of this deployment");
        return Ok(None);
    }
    Ok(Some(settings))
}
