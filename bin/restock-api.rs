//! `restock-api`: the HTTP side, see [`restock::api`].

use std::process::ExitCode;

use restock::{
    api,
    cli::{arguments, programs::ApiProgram, service},
    meter::Role,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let ApiProgram { backends, options, observing, logging } = arguments::parse();
    let serving = async |stop, observer| Ok(api::run(options, &backends, stop, observer).await?);
    service::run("restock-api", &backends, &logging, (Role::Api, &observing), serving).await
}
