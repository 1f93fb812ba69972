//! Stores what this release keeps in Redis and MySQL, for the tests of later ones: `make state`.
//!
//! The release's own programs work on private servers until each kind of state is there ([`story`]); then both stores are
//! written to `tests/data/state-<version>` as commands and statements that people can read ([`dump`]).

mod dump;
#[path = "../../tests/releases/resp.rs"]
mod resp;
mod story;

use std::{fs, path::PathBuf};

use restock::local::Servers;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let servers = Servers::start().await?;
    story::play(&servers).await?;
    let folder =
        PathBuf::from(format!("{}/tests/data/state-{}", env!("CARGO_MANIFEST_DIR"), env!("CARGO_PKG_VERSION")));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("redis.jsonl"), dump::redis(servers.redis.port()).await)?;
    fs::write(folder.join("mysql.sql"), dump::mysql(&servers.mysql.url(story::DATABASE)).await?)?;
    eprintln!("restock: the state of release {} is in {}", env!("CARGO_PKG_VERSION"), folder.display());
    Ok(())
}
