//! `restock-cli settings`: what all processes of the deployment share.

use clap::Subcommand;
use serde::Serialize;

use super::{
    Context,
    exit::{Exit, Failure},
    output::{self, Record},
};
use crate::mysql::setting::{self, Settings};

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
        for value in &values {
            let (name, value) = value.split_once('=').ok_or_else(|| {
                Failure::new(Exit::Usage, format!("`{value}` is not of the form NAME=VALUE, such as rate=200"))
            })?;
            setting::set(&pool, name, value).await?;
        }
        settings = Settings::load(&pool).await?;
    }
    let rows: Vec<Setting> = settings.entries().into_iter().map(|(name, value)| Setting { name, value }).collect();
    output::records(context.output, &rows)?;
    Ok(Exit::Done)
}
