//! `restock-api`: the HTTP side, see [`restock::api`].

use std::process::ExitCode;

use clap::Parser;
use restock::{
    api::{self, options::ApiOptions},
    cli::{arguments, service},
    config::{Backends, Logging},
    meter::Role,
    observe::Observing,
};

/// Answers a shop's backend over HTTP; any number may run behind a proxy
#[derive(Debug, Parser)]
#[command(
    name = "restock-api",
    version,
    after_help = "Example: restock-api --listen 0.0.0.0:8000 --admin-token-hash ann:HASH"
)]
struct Command {
    #[command(flatten)]
    backends: Backends,
    #[command(flatten)]
    options: ApiOptions,
    #[command(flatten)]
    observing: Observing,
    #[command(flatten)]
    logging: Logging,
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let Command { backends, options, observing, logging } = arguments::parse();
    let serving = async |stop, observer| Ok(api::run(options, &backends, stop, observer).await?);
    service::run("restock-api", &backends, &logging, (Role::Api, &observing), serving).await
}
