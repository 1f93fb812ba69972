//! `restock-cli`: see [`restock::cli`].

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    restock::cli::run().await.into()
}
