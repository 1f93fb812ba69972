//! `restock-cli`: one file per command. Data goes to stdout, everything else to stderr; the exit codes are in [`exit`].

pub mod actions;
pub mod arguments;
pub mod cancel;
mod command;
mod context;
pub mod dead;
pub mod doctor;
pub mod enqueue;
pub mod erase_user;
mod examples;
pub mod exit;
pub mod hands;
mod history;
pub mod import;
mod manual;
pub mod migrate;
pub mod output;
pub mod pause;
pub mod pending;
pub mod probe;
pub mod product;
pub mod programs;
pub mod prune;
pub mod rate;
pub mod reclaim;
pub mod resume;
#[cfg(feature = "local-servers")]
pub mod servers;
pub mod service;
pub mod settings;
mod standing;
pub mod status;
pub mod stock;
pub mod subscribe;
pub mod test_send;
pub mod token;
#[cfg(feature = "local-servers")]
pub mod up;
pub mod verify;
mod wait;
pub mod why;

use crate::{config, mysql::action::Operator, trace};
use command::{Cli, Command};
use exit::{Exit, Failure};

pub use context::{Context, Given};

/// Runs the command of this process' arguments, prints what went wrong, and answers how to exit.
pub async fn run() -> Exit {
    let (cli, matches) = arguments::parse_with::<Cli>(command::with_examples());
    let Cli { backends, logging, output, by, command } = cli;
    let by = by.unwrap_or_else(Operator::of_system);
    let context = Context { backends, given: Given::of(&matches), output, by };
    let logging = match &command {
        Command::Status(args) if args.takes_the_terminal(output) => logging.silent(),
        #[cfg(feature = "local-servers")]
        Command::Demo(_) => logging.silent(),
        _ => logging,
    };
    if let Some(done) = manual::run(&command) {
        return done.unwrap_or_else(|error| fail(&error, &context));
    }
    let done = match config::prepare(&context.backends, &logging) {
        Ok(()) => command.run(&context).await,
        Err(error) => Err(error.into()),
    };
    trace::end().await;
    done.unwrap_or_else(|error| fail(&error, &context))
}

/// Says in one line what went wrong.
fn fail(error: &anyhow::Error, context: &Context) -> Exit {
    let failure = Failure::of(error, &context.backends);
    if !failure.message.is_empty() {
        output::note(&format!("restock-cli: {failure}"));
    }
    failure.code
}
