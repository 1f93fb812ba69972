//! The command line of `restock-cli`: what it takes, and which file does it.

use clap::{CommandFactory, Parser, Subcommand};

use super::{
    actions, cancel, context::Context, dead, doctor, enqueue, erase_user, examples, exit::Exit, history, import,
    manual, migrate, output::Output, pause, pending, probe, product, rate, reclaim, resume, settings, status, stock,
    subscribe, test_send, token, verify, why,
};
#[cfg(feature = "local-servers")]
use super::{servers, up};
#[cfg(feature = "local-servers")]
use crate::demo::End;
use crate::{
    config::{Backends, Logging},
    mysql::action::Operator,
};

/// Over the options that every command has, so that its own stand together.
const EVERYWHERE: &str = "Connection and output";

/// Tells people a product is back, in the order in which they asked
#[derive(Debug, Parser)]
#[command(name = "restock-cli", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten, next_help_heading = EVERYWHERE)]
    pub(super) backends: Backends,
    #[command(flatten, next_help_heading = EVERYWHERE)]
    pub(super) logging: Logging,
    /// The form of what is printed on stdout
    #[arg(long, value_enum, default_value = "table", global = true, value_name = "FORM", help_heading = EVERYWHERE)]
    pub(super) output: Output,
    /// Who does this, as it is kept in MySQL; the system user by default
    #[arg(long, env = "RESTOCK_BY", global = true, value_name = "NAME", help_heading = EVERYWHERE)]
    pub(super) by: Option<Operator>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create the database and its schema, and store the first settings
    Migrate(migrate::Args),
    /// Show the deployment's settings, or change them
    Settings(settings::Args),
    /// Add and show products
    Product(product::Args),
    /// Show or change how many pieces there are
    Stock(stock::Args),
    /// Put users at the end of a product's line
    Subscribe(subscribe::SubscribeArgs),
    /// Take users out of a product's line
    Unsubscribe(subscribe::UnsubscribeArgs),
    /// Import products or subscriptions from CSV
    Import(import::Args),
    /// Announce a restock: the next round of a product
    Enqueue(enqueue::Args),
    /// Go on with a round that was cut off
    Resume(resume::Args),
    /// End the open rounds of a product
    Cancel(cancel::Args),
    /// Let a product, or all sending, stand still
    Pause(pause::Args),
    /// Let a paused product, or all sending, go on
    Unpause(pause::Args),
    /// Show the shared pace, or change it
    Rate(rate::Args),
    /// Show who did what by hand
    Actions(actions::Args),
    /// Show where every lane stands
    Status(status::Args),
    /// Show what became of each person in a round
    History(history::Args),
    /// Forget a person: their subscriptions go, what they were told is nobody's
    EraseUser(erase_user::Args),
    /// Show where one user stands, and for each round whether they were told, or why not
    Why(why::Args),
    /// Show which entry of the job streams is with whom
    Pending,
    /// See what was given up, and try it again or forget it
    Dead(dead::Args),
    /// Send one message to one user, to see what a channel answers
    TestSend(Box<test_send::Args>),
    /// End the leases of silent owners, so that any worker takes over
    Reclaim(reclaim::Args),
    /// See whether servers, settings and processes can keep the promises
    Doctor(doctor::Args),
    /// Check both stores against each other and against the rules, and mend what can be mended
    Verify(verify::Args),
    /// Make a token for the HTTP API
    Token(token::Args),
    /// Run everything for development: private servers, flusher, worker and API in one process
    #[cfg(feature = "local-servers")]
    Up(Box<up::Args>),
    /// Ask a running worker, flusher or API whether it is ready: 0 when it is
    Probe(probe::Args),
    /// Print the completions of a shell: put them where it looks for them
    Completions(manual::CompletionArgs),
    /// Print the manual page, or write all of them into a folder
    Man(manual::ManArgs),
    /// Watch a restock from end to end on private servers
    #[cfg(feature = "local-servers")]
    Demo(DemoArgs),
    /// Run a command with a private Redis and MySQL beside it
    #[cfg(feature = "local-servers")]
    #[command(hide = true)]
    Servers(servers::Args),
}

/// The whole command line, with an example in the help of each command.
pub(super) fn with_examples() -> clap::Command {
    examples::add(Cli::command())
}

/// Options of `demo`.
#[cfg(feature = "local-servers")]
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// Serve the page too, and leave everything running until Ctrl-C
    #[arg(long)]
    page: bool,
}

impl Command {
    /// Runs it.
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<Exit> {
        match self {
            Self::Migrate(args) => migrate::run(context, args).await,
            Self::Settings(args) => settings::run(context, args).await,
            Self::Product(args) => product::run(context, args).await,
            Self::Stock(args) => stock::run(context, args).await,
            Self::Subscribe(args) => subscribe::subscribe(context, args).await,
            Self::Unsubscribe(args) => subscribe::unsubscribe(context, args).await,
            Self::Import(args) => import::run(context, args).await,
            Self::Enqueue(args) => enqueue::run(context, args).await,
            Self::Resume(args) => resume::run(context, args).await,
            Self::Cancel(args) => cancel::run(context, args).await,
            Self::Pause(args) => pause::pause(context, args).await,
            Self::Unpause(args) => pause::unpause(context, args).await,
            Self::Rate(args) => rate::run(context, args).await,
            Self::Actions(args) => actions::run(context, args).await,
            Self::Status(args) => status::run(context, args).await,
            Self::History(args) => history::run(context, args).await,
            Self::EraseUser(args) => erase_user::run(context, args).await,
            Self::Why(args) => why::run(context, args).await,
            Self::Pending => pending::run(context).await,
            Self::Dead(args) => dead::run(context, args).await,
            Self::TestSend(args) => test_send::run(context, *args).await,
            Self::Reclaim(args) => reclaim::run(context, args).await,
            Self::Verify(args) => verify::run(context, args).await,
            Self::Doctor(args) => doctor::run(context, args).await,
            Self::Probe(args) => probe::run(&args).await,
            Self::Token(args) => token::run(context, &args),
            // Done before anything was prepared.
            Self::Completions(_) | Self::Man(_) => Ok(Exit::Done),
            #[cfg(feature = "local-servers")]
            Self::Up(args) => up::run(context, *args).await,
            #[cfg(feature = "local-servers")]
            Self::Demo(DemoArgs { page }) => match crate::demo::run(page).await? {
                End::Right => Ok(Exit::Done),
                End::Wrong => Ok(Exit::Failure),
                End::Stopped(signal) => std::process::exit(128 + signal),
            },
            #[cfg(feature = "local-servers")]
            Self::Servers(args) => servers::run(args).await,
        }
    }
}
