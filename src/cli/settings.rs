//! `restock-cli settings`: what all processes of the deployment share.

use std::collections::BTreeSet;

use clap::Subcommand;
use serde::Serialize;

use super::{
    Context,
    exit::{Exit, Failure},
    output::{self, Record},
};
use crate::{
    ids::Partition,
    mysql::{
        action::Deed,
        setting::{self, Settings},
    },
    redis::scripts::channel_list,
};

/// Options of `settings`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Change settings for all processes
    Set {
        /// Such as rate=200, rate.webhook=100 or channels=webhook,file
        #[arg(required = true, value_name = "NAME=VALUE")]
        values: Vec<String>,
    },
}

#[derive(Debug, Serialize)]
struct Setting {
    name: String,
    value: String,
}

impl Record for Setting {
    const HEADINGS: &'static [&'static str] = &["NAME", "VALUE"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.value.clone()]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let (pool, mut settings) = context.mysql().await?;
    if let Some(Action::Set { values }) = args.action {
        let wishes = values.iter().map(|value| read(value)).collect::<anyhow::Result<Vec<_>>>()?;
        refuse_repeats(wishes.iter().map(|(name, _)| *name))?;
        let deed = Deed::of_all("settings set");
        let work = async {
            setting::set_all(&pool, &wishes).await?;
            Ok(values.join(" "))
        };
        context.act(&pool, &deed, work).await?;
        let before = std::mem::replace(&mut settings, Settings::load(&pool).await?);
        if before.channels != settings.channels {
            mirror(context, &settings).await?;
        }
    }
    let rows: Vec<Setting> = settings.entries().into_iter().map(|(name, value)| Setting { name, value }).collect();
    output::records(context.output, &rows)?;
    Ok(Exit::Done)
}

/// Which of two values is meant is not for us to guess.
pub(super) fn refuse_repeats<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Failure::new(
                Exit::Usage,
                format!("`{name}` is given twice; nothing was changed: give it once"),
            ));
        }
    }
    Ok(())
}

/// A setting and its value, if they can be stored: nothing is, unless all can.
fn read(text: &str) -> anyhow::Result<(&str, &str)> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        Failure::new(Exit::Usage, format!("`{text}` is not of the form NAME=VALUE, such as rate=200"))
    })?;
    setting::check(name, value)?;
    Ok((name, value))
}

/// Tells Redis of the channels, so that a round that is announced right now, by whomever, is one for the new ones. A Redis
/// that does not answer queues no rounds, and learns of them from a flusher.
async fn mirror(context: &Context, settings: &Settings) -> anyhow::Result<()> {
    if let Some(redis) = context.redis_if_up().await? {
        let channels = channel_list(&settings.channels);
        for partition in (0..settings.partitions).map(Partition) {
            redis.mirror_channels(partition, &channels).await?;
        }
    }
    Ok(())
}
