//! `restock-cli`: one file per command. Data goes to stdout, everything else to stderr; the exit codes are in [`exit`].

pub mod actions;
pub mod arguments;
pub mod cancel;
pub mod dead;
pub mod doctor;
pub mod enqueue;
pub mod erase_user;
mod examples;
pub mod exit;
pub mod history;
pub mod import;
mod manual;
pub mod migrate;
pub mod output;
pub mod pause;
pub mod pending;
pub mod product;
pub mod prune;
pub mod rate;
pub mod reclaim;
pub mod resume;
#[cfg(feature = "local-servers")]
pub mod servers;
pub mod service;
pub mod settings;
pub mod status;
pub mod stock;
pub mod subscribe;
pub mod test_send;
#[cfg(feature = "local-servers")]
pub mod up;
pub mod verify;
mod wait;
pub mod why;

use clap::{ArgMatches, CommandFactory, Parser, Subcommand, parser::ValueSource};
use sqlx::MySqlPool;

#[cfg(feature = "local-servers")]
use crate::demo::End;
use crate::{
    config::{self, Backends, Logging},
    ids::ProductRef,
    mysql::{
        action::{self, Deed, Operator},
        product::{self as product_table, ProductRow},
        setting::Settings,
    },
    redis::{Patience, Redis},
    report::Sources,
    stores::Stores,
};
use exit::{Exit, Failure};
use output::Output;

/// Connections to MySQL that a command needs at most.
const CONNECTIONS_MAX: u32 = 2;

/// Tells people a product is back, in the order in which they asked
#[derive(Debug, Parser)]
#[command(name = "restock-cli", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    backends: Backends,
    #[command(flatten)]
    logging: Logging,
    /// The form of what is printed on stdout
    #[arg(long, value_enum, default_value = "table", global = true, value_name = "FORM")]
    output: Output,
    /// Who does this, as it is kept in MySQL; the system user by default
    #[arg(long, env = "RESTOCK_BY", global = true, value_name = "NAME")]
    by: Option<Operator>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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
    /// Run everything for development: private servers, flusher and worker in one process
    #[cfg(feature = "local-servers")]
    Up(Box<up::Args>),
    /// Print the completions of a shell: put them where it looks for them
    Completions(manual::CompletionArgs),
    /// Print the manual page, or write all of them into a folder
    Man(manual::ManArgs),
    /// Watch a restock from end to end on private servers
    #[cfg(feature = "local-servers")]
    Demo,
    /// Run a command with a private Redis and MySQL beside it
    #[cfg(feature = "local-servers")]
    #[command(hide = true)]
    Servers(servers::Args),
}

/// What every command gets.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where Redis and MySQL are.
    pub backends: Backends,
    /// Which of them were named by an option or a variable, and do not merely stand at their default.
    pub given: Given,
    /// The form of the output.
    pub output: Output,
    /// Who does it.
    pub by: Operator,
}

/// Which addresses somebody gave.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    /// That of Redis.
    pub redis: bool,
    /// That of MySQL.
    pub mysql: bool,
}

impl Given {
    fn of(matches: &ArgMatches) -> Self {
        let is_given =
            |name: &str| matches.value_source(name).is_some_and(|source| source != ValueSource::DefaultValue);
        Self { redis: is_given("redis_url"), mysql: is_given("mysql_url") }
    }
}

impl Context {
    /// Connects to MySQL and makes sure that it is this deployment's.
    ///
    /// # Errors
    /// When MySQL does not answer, the schema is not ours, or the namespace is another.
    pub async fn mysql(&self) -> anyhow::Result<(MySqlPool, Settings)> {
        Ok(Stores::open_record(&self.backends, CONNECTIONS_MAX).await?)
    }

    /// Connects to Redis too.
    ///
    /// # Errors
    /// As [`Context::mysql`], and when Redis does not answer.
    pub async fn stores(&self) -> anyhow::Result<Stores> {
        Ok(Stores::open(&self.backends, Patience::Short, CONNECTIONS_MAX).await?)
    }

    /// Connects to Redis, for what goes on without it.
    ///
    /// # Errors
    /// When Redis answers and cannot be used; `None` when it does not answer.
    pub async fn redis_if_up(&self) -> anyhow::Result<Option<Redis>> {
        match Redis::connect(&self.backends.redis_url, &self.backends.namespace, Patience::Short).await {
            Ok(redis) => Ok(Some(redis)),
            Err(error) if error.is_unreachable() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What is read from: MySQL, and Redis if it answers.
    ///
    /// # Errors
    /// As [`Context::mysql`], and when Redis answers and cannot be used.
    pub async fn sources(&self) -> anyhow::Result<Sources> {
        let (mysql, settings) = self.mysql().await?;
        Ok(Sources { mysql, redis: self.redis_if_up().await?, settings })
    }

    /// Says that what is shown is MySQL's alone.
    fn note_no_redis(&self) {
        output::note(&format!(
            "Redis at {} does not answer: this is what MySQL knows, and it may lag; check --redis-url / \
             RESTOCK_REDIS_URL",
            self.backends.redis_address()
        ));
    }

    /// Does something by hand, with a row about it in MySQL: `work` answers what came of it.
    ///
    /// # Errors
    /// Those of the work; those of MySQL, before anything is done.
    pub async fn act(
        &self,
        pool: &MySqlPool,
        deed: &Deed,
        work: impl Future<Output = anyhow::Result<String>>,
    ) -> anyhow::Result<()> {
        let row = action::open(pool, &self.by, deed).await?;
        let done = work.await;
        let result = match &done {
            Ok(result) => result.clone(),
            Err(error) => format!("failed: {}", Failure::of(error, &self.backends).message),
        };
        if let Err(error) = action::close(pool, row, &result).await {
            tracing::warn!(%error, row, "the row about what was done stays open");
        }
        done.map(drop)
    }

    /// The product that was named, as MySQL knows it.
    ///
    /// # Errors
    /// Exit 3 when there is none, and those of MySQL.
    pub async fn product(&self, pool: &MySqlPool, name: &ProductRef) -> anyhow::Result<ProductRow> {
        let found = product_table::find(pool, name).await?;
        Ok(found.ok_or_else(|| {
            Failure::new(Exit::NotFound, format!("there is no product {name}; see `restock-cli product list`"))
        })?)
    }
}

/// Runs the command of this process' arguments, prints what went wrong, and answers how to exit.
pub async fn run() -> Exit {
    let (cli, matches) = arguments::parse_with::<Cli>(command());
    let Cli { backends, logging, output, by, command } = cli;
    let by = by.unwrap_or_else(Operator::of_system);
    let context = Context { backends, given: Given::of(&matches), output, by };
    let logging = match &command {
        Command::Status(args) if args.takes_the_terminal(output) => logging.silent(),
        #[cfg(feature = "local-servers")]
        Command::Demo => logging.silent(),
        _ => logging,
    };
    if let Some(done) = manual::run(&command) {
        return done.unwrap_or_else(|error| fail(&error, &context));
    }
    let done = match config::prepare(&context.backends, &logging) {
        Ok(()) => dispatch(&context, command).await,
        Err(error) => Err(error.into()),
    };
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

/// The whole command line, with an example in the help of each command.
fn command() -> clap::Command {
    examples::add(Cli::command())
}

async fn dispatch(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Migrate(args) => migrate::run(context, args).await,
        Command::Settings(args) => settings::run(context, args).await,
        Command::Product(args) => product::run(context, args).await,
        Command::Stock(args) => stock::run(context, args).await,
        Command::Subscribe(args) => subscribe::subscribe(context, args).await,
        Command::Unsubscribe(args) => subscribe::unsubscribe(context, args).await,
        Command::Import(args) => import::run(context, args).await,
        Command::Enqueue(args) => enqueue::run(context, args).await,
        Command::Resume(args) => resume::run(context, args).await,
        Command::Cancel(args) => cancel::run(context, args).await,
        Command::Pause(args) => pause::pause(context, args).await,
        Command::Unpause(args) => pause::unpause(context, args).await,
        Command::Rate(args) => rate::run(context, args).await,
        Command::Actions(args) => actions::run(context, args).await,
        Command::Status(args) => status::run(context, args).await,
        Command::History(args) => history::run(context, args).await,
        Command::EraseUser(args) => erase_user::run(context, args).await,
        Command::Why(args) => why::run(context, args).await,
        Command::Pending => pending::run(context).await,
        Command::Dead(args) => dead::run(context, args).await,
        Command::TestSend(args) => test_send::run(context, *args).await,
        Command::Reclaim(args) => reclaim::run(context, args).await,
        Command::Verify(args) => verify::run(context, args).await,
        Command::Doctor(args) => doctor::run(context, args).await,
        // Done before anything was prepared.
        Command::Completions(_) | Command::Man(_) => Ok(Exit::Done),
        #[cfg(feature = "local-servers")]
        Command::Up(args) => up::run(context, *args).await,
        #[cfg(feature = "local-servers")]
        Command::Demo => match crate::demo::run().await? {
            End::Right => Ok(Exit::Done),
            End::Wrong => Ok(Exit::Failure),
            End::Stopped(signal) => std::process::exit(128 + signal),
        },
        #[cfg(feature = "local-servers")]
        Command::Servers(args) => servers::run(args).await,
    }
}
