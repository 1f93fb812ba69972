//! `restock-cli up`: everything that a restock needs, in one process, for development.
//!
//! ```text
//! private Redis ┐                      ┌─ flusher ─┐      Ctrl-C: the worker drains, the flusher writes the rest,
//! private MySQL ┴─ migrate ─ products ─┼─ worker ──┼─ …   then the private servers go, with their data
//!                                      └─ API ─────┘
//! ```

mod crew;
mod ground;
mod shop;

use std::net::SocketAddr;

use clap::ValueEnum;
use serde::Serialize;

use super::{
    Context,
    exit::Exit,
    migrate,
    output::{self, Output},
};
use crate::{
    channel::ChannelOptions,
    config::Backends,
    ids::{Channel, Namespace, ParseError},
    meter::Role,
    mysql::setting::{PARTITIONS_MAX, RATE_MAX, Settings},
    observe::Observing,
    stop,
    worker::WorkerOptions,
};
use crew::Crew;
use ground::Ground;

/// Options of `up`, beside those of a worker.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which products to begin with; by default the sample on a private MySQL, none on a given one
    #[arg(long, value_enum, value_name = "WHICH")]
    data: Option<Data>,
    /// By which channels people are told; by default `webhook` with a --webhook-url, else `file`
    #[arg(long, env = "RESTOCK_CHANNELS", value_delimiter = ',', value_name = "A,B")]
    channels: Vec<Channel>,
    /// The most starts a second; 0 = no pace
    #[arg(long, env = "RESTOCK_RATE", default_value_t = 500, value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=i64::from(RATE_MAX)))]
    rate: u32,
    /// Over how many Redis slots the products are spread
    #[arg(long, env = "RESTOCK_PARTITIONS", default_value_t = 4, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=i64::from(PARTITIONS_MAX)))]
    partitions: u16,
    /// How long the flusher waits when nothing is left to write, in ms
    #[arg(long, env = "RESTOCK_FLUSH_INTERVAL_MS", default_value_t = 100, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..=60_000))]
    flush_interval_ms: u64,
    /// The address of the HTTP API; by default 127.0.0.1:8000, or another port when that is taken
    #[arg(long, env = "RESTOCK_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    observing: Observing,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    channel_options: ChannelOptions,
}

/// What is in the database at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Data {
    /// The products of a real shop, and who wants them
    Sample,
    /// Nothing is added
    None,
}

/// What runs, as programs read it.
#[derive(Debug, Serialize)]
struct Report {
    redis_url: Option<String>,
    mysql_url: Option<String>,
    namespace: Namespace,
    channels: Vec<Channel>,
    api_url: String,
    first_command: String,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let stop = stop::on_signals()?;
    let observer = args.observing.start(Role::Up, stop.clone()).await?;
    let set_up = async {
        if !(context.given.redis && context.given.mysql) {
            output::note("starting private servers …");
        }
        let ground = Ground::lay(context).await?;
        let settings = migrate::prepare(&ground.backends, &first_settings(context, &args)?).await?;
        let first_command = shop::furnish(&ground, args.data).await?;
        anyhow::Ok((ground, settings, first_command))
    };
    let (ground, settings, first_command) = tokio::select! {
        () = stop.cancelled() => return Ok(Exit::Done),
        ready = set_up => ready?,
    };
    let file_path = args.channel_options.file_path.display().to_string();
    let Some(crew) = Crew::start(&ground.backends, &settings, args, &stop, &observer).await? else {
        return Ok(Exit::Done);
    };
    let report = Report {
        redis_url: ground.redis_url(),
        mysql_url: ground.mysql_url(),
        namespace: settings.namespace.clone(),
        channels: settings.channels.clone(),
        api_url: crew.api_url(),
        first_command,
    };
    show(context, &ground, &report, &file_path)?;
    let ended = crew.work(&stop).await;
    let what = if ground.is_private() { "; the private servers and their data go" } else { "" };
    output::note(&format!("stopped: the worker has handed back its lanes, the flusher has written the rest{what}"));
    ended.map(|()| Exit::Done)
}

fn first_settings(context: &Context, args: &Args) -> Result<Settings, ParseError> {
    let channels = match args.channels.as_slice() {
        [] if args.channel_options.webhook_url.is_some() => vec!["webhook".parse()?],
        [] => vec!["file".parse()?],
        channels => channels.to_vec(),
    };
    Ok(Settings::first(context.backends.namespace.clone(), args.partitions, channels, args.rate))
}

fn show(context: &Context, ground: &Ground, report: &Report, file_path: &str) -> anyhow::Result<()> {
    if context.output == Output::Json {
        return output::json(report);
    }
    let Backends { namespace, .. } = &ground.backends;
    let names: Vec<&str> = report.channels.iter().map(Channel::as_str).collect();
    let mut lines = vec![
        format!("Redis     {}", ground.describe_redis()),
        format!("MySQL     {}", ground.describe_mysql()),
        format!("channels  {}", names.join(", ")),
        format!("API       {0}, to read and try at {0}/docs", report.api_url),
        format!("page      {0}/, and {0}/me#user=… what one customer is told by `inbox`", report.api_url),
    ];
    if names.contains(&"file") {
        lines.push(format!("told      a line each in {file_path}"));
    }
    lines
        .push("A worker, a flusher and the API run; Ctrl-C stops everything in order. In another terminal:".to_owned());
    lines.push(String::new());
    let exports = [("RESTOCK_REDIS_URL", &report.redis_url), ("RESTOCK_MYSQL_URL", &report.mysql_url)];
    for (variable, url) in exports {
        lines.push(match url {
            Some(url) => format!("export {variable}={}", quote(url)),
            None => format!("export {variable}=…    # the one that you gave: it holds a password"),
        });
    }
    if namespace.as_str() != "restock" {
        lines.push(format!("export RESTOCK_NAMESPACE={namespace}"));
    }
    lines.push(report.first_command.clone());
    lines.push(format!("{} status --watch", shop::this_program()));
    output::line(&lines.join("\n"))
}

/// For a shell.
fn quote(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@,+=%".contains(&b);
    if text.bytes().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
