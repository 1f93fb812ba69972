//! Runs a command with a private Redis and a private MySQL beside it: `cargo run --example with_servers -- CMD …`.
//!
//! The command finds them in `RESTOCK_TEST_REDIS_URL` and `RESTOCK_TEST_MYSQL_URL`. `make test` uses it.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let command: Vec<String> = std::env::args().skip(1).collect();
    anyhow::ensure!(!command.is_empty(), "give the command to run: with_servers CMD …");
    let code = restock::local::run_with_servers(&command).await?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
