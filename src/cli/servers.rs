//! `restock-cli servers -- CMD …`: runs a command with a private Redis and MySQL beside it.

use std::process;

use super::exit::Exit;
use crate::local;

/// Options of `servers`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The command; it finds the servers in RESTOCK_TEST_REDIS_URL and RESTOCK_TEST_MYSQL_URL
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Exit> {
    match local::run_with_servers(&args.command).await? {
        0 => Ok(Exit::Done),
        // The servers are gone by now; the command's own code is not one of ours.
        code => process::exit(code),
    }
}
