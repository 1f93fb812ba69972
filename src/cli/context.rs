//! What every command gets: addresses, connections, and who does it.

use clap::{ArgMatches, parser::ValueSource};
use sqlx::MySqlPool;

use super::{
    exit::{Exit, Failure},
    output::{self, Output},
};
use crate::{
    config::Backends,
    ids::ProductRef,
    mysql::{
        action::{self, Deed, Operator, Upshot},
        product::{self as product_table, ProductRow},
        setting::{Name, Settings},
    },
    redis::{Patience, Redis},
    report::Sources,
    stores::Stores,
};

/// Connections to MySQL that a command needs at most.
pub(super) const CONNECTIONS_MAX: u32 = 2;

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

/// What somebody gave, of what has a default.
#[derive(Debug, Clone)]
pub struct Given {
    /// That of Redis.
    pub redis: bool,
    /// That of MySQL.
    pub mysql: bool,
    /// First values of the settings, for `migrate`.
    pub settings: Vec<Name>,
}

impl Given {
    pub(super) fn of(matches: &ArgMatches) -> Self {
        let settings = matches.subcommand_matches("migrate").map_or_else(Vec::new, |migrate| {
            let first = [Name::Partitions, Name::Channels, Name::Rate];
            first.into_iter().filter(|name| is_given(migrate, name.as_str())).collect()
        });
        Self { redis: is_given(matches, "redis_url"), mysql: is_given(matches, "mysql_url"), settings }
    }
}

fn is_given(matches: &ArgMatches, name: &str) -> bool {
    matches.value_source(name).is_some_and(|source| source != ValueSource::DefaultValue)
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
    pub(super) fn note_no_redis(&self) {
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
    pub async fn act<U: Into<Upshot> + Clone>(
        &self,
        pool: &MySqlPool,
        deed: &Deed,
        work: impl Future<Output = anyhow::Result<U>>,
    ) -> anyhow::Result<()> {
        let upshot = |done: &anyhow::Result<U>| match done {
            Ok(upshot) => upshot.clone().into(),
            Err(error) => Upshot::from(format!("failed: {}", Failure::of(error, &self.backends).message)),
        };
        action::record(pool, &self.by, deed, work, upshot).await.map(drop)
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
