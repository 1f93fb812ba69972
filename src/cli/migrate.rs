//! `restock-cli migrate`: makes the database, the schema and the first settings. Can be run again at any time.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Context, exit::Exit, output};
use crate::{
    config::Backends,
    ids::Channel,
    mysql::{
        connect, schema,
        setting::{KNOWN_CHANNELS, Name, PARTITIONS_MAX, RATE_MAX, SettingError, Settings},
    },
};

/// Options of `migrate`: the first values of the settings. Those that are stored already stand.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Over how many Redis slots the products are spread; cannot be changed later
    #[arg(long, env = "RESTOCK_PARTITIONS", default_value_t = 4, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=i64::from(PARTITIONS_MAX)))]
    partitions: u16,
    /// The channels by which people are told
    #[arg(long, env = "RESTOCK_CHANNELS", default_value = KNOWN_CHANNELS[0], value_delimiter = ',', value_name = "A,B")]
    channels: Vec<Channel>,
    /// The most starts a second over all workers; 0 = no pace
    #[arg(long, env = "RESTOCK_RATE", default_value_t = 500, value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=i64::from(RATE_MAX)))]
    rate: u32,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let first = Settings::first(context.backends.namespace.clone(), args.partitions, args.channels, args.rate);
    let stored = prepare(&context.backends, &first).await?;
    let settings = Name::ALL.map(|name| format!("{}={}", name.as_str(), stored.value(name)));
    output::note(&format!("the schema is up to date; {}", settings.join(" ")));
    let kept = differing(&context.given.settings, &first, &stored)?;
    for name in &kept {
        let (name, value) = (name.as_str(), stored.value(*name));
        output::note(&format!("{name} stays {value}: see `restock-cli settings set`"));
    }
    let kept = kept.into_iter().map(Name::as_str).collect();
    output::for_programs(
        context.output,
        &Migrated { schema: schema::newest_known(), settings: stored.entries().into_iter().collect(), kept },
    )?;
    Ok(Exit::Done)
}

/// What there is now, for programs.
#[derive(Debug, Serialize)]
struct Migrated {
    /// The version of the schema.
    schema: i64,
    settings: BTreeMap<String, String>,
    /// Settings that were given with another value than the stored one, which stands.
    kept: Vec<&'static str>,
}

/// Those of the `given` settings of which another value is stored.
///
/// # Errors
/// When it is one that cannot be changed later.
fn differing(given: &[Name], first: &Settings, stored: &Settings) -> Result<Vec<Name>, SettingError> {
    let differ = given.iter().copied().filter(|name| first.value(*name) != stored.value(*name));
    let differ: Vec<Name> = differ.collect();
    if differ.contains(&Name::Partitions) {
        return Err(SettingError::Fixed { name: Name::Partitions.as_str(), stored: stored.value(Name::Partitions) });
    }
    Ok(differ)
}

/// Makes what is missing: the database, its schema, and of the settings those that are not stored; answers the stored.
pub(super) async fn prepare(backends: &Backends, first: &Settings) -> anyhow::Result<Settings> {
    for (name, value) in first.entries() {
        crate::mysql::setting::check(&name, &value)?;
    }
    let url = &backends.mysql_url;
    schema::create_database(url).await?;
    let pool = connect(url, 1).await?;
    schema::migrate(&pool).await?;
    first.store_first(&pool).await?;
    let stored = Settings::load(&pool).await?;
    stored.check_namespace(&backends.namespace)?;
    pool.close().await;
    Ok(stored)
}
