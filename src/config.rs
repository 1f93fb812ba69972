//! Options that every role shares: where the backends are, and how to log.

use std::{
    env,
    io::{self, IsTerminal},
};

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret, SecretString};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};
use url::Url;

use crate::{ids::Namespace, trace};

const REDIS_SCHEMES: [&str; 6] =
    ["redis", "rediss", "redis-cluster", "rediss-cluster", "redis-sentinel", "rediss-sentinel"];
const MYSQL_SCHEMES: [&str; 2] = ["mysql", "mariadb"];
const MYSQL_PORT: u16 = 3306;

/// Where Redis and MySQL are, and which deployment this is.
#[derive(Debug, Clone, Args)]
pub struct Backends {
    /// Redis: redis://, rediss://, redis-cluster:// or redis-sentinel://
    #[arg(
        long,
        env = "RESTOCK_REDIS_URL",
        hide_env_values = true,
        default_value = "redis://127.0.0.1:6379",
        global = true,
        value_name = "URL"
    )]
    pub redis_url: SecretString,
    /// MySQL or MariaDB: mysql://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(
        long,
        env = "RESTOCK_MYSQL_URL",
        hide_env_values = true,
        default_value = "mysql://root@127.0.0.1:3306/restock",
        global = true,
        value_name = "URL"
    )]
    pub mysql_url: SecretString,
    /// The deployment's name: the first word of every Redis key
    #[arg(long, env = "RESTOCK_NAMESPACE", default_value = "restock", global = true, value_name = "NAME")]
    pub namespace: Namespace,
}

/// An option that cannot be used. The message names the option and never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not a URL at all, or one without a host.
    #[error("{option} is not a URL with a host: {why}; give one such as {example}")]
    NotAUrl {
        /// The option and its environment variable.
        option: &'static str,
        /// What the parser found.
        why: String,
        /// A URL that would do.
        example: &'static str,
    },
    /// A URL of another kind.
    #[error("{option} has the scheme `{given}`; {accepted} are accepted")]
    Scheme {
        /// The option and its environment variable.
        option: &'static str,
        /// The scheme found.
        given: String,
        /// The schemes that can be used.
        accepted: String,
    },
    /// No database in the URL, or a name that is not safe to create.
    #[error("{0} must end in the name of a database, 1 to 64 of a-z A-Z 0-9 _ $ -, such as {MYSQL_EXAMPLE}")]
    Database(&'static str),
    /// The filter of the log cannot be read.
    #[error("--log / RESTOCK_LOG is not a filter such as `info` or `restock=debug`: {0}")]
    LogFilter(String),
    /// Spans cannot be exported as the environment says.
    #[error("traces cannot be exported: {0}")]
    Trace(String),
}

const REDIS_OPTION: &str = "--redis-url / RESTOCK_REDIS_URL";
const MYSQL_OPTION: &str = "--mysql-url / RESTOCK_MYSQL_URL";
const REDIS_EXAMPLE: &str = "redis://127.0.0.1:6379";
const MYSQL_EXAMPLE: &str = "mysql://root@127.0.0.1:3306/restock";

impl Backends {
    /// Checks both URLs without connecting.
    ///
    /// # Errors
    /// Names the option and what is accepted; never the password.
    pub fn validate(&self) -> Result<(), ConfigError> {
        parse_url(&self.redis_url, REDIS_OPTION, &REDIS_SCHEMES, REDIS_EXAMPLE)?;
        let mysql = parse_url(&self.mysql_url, MYSQL_OPTION, &MYSQL_SCHEMES, MYSQL_EXAMPLE)?;
        let database = mysql.path().trim_start_matches('/');
        let is_safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'-');
        if (1..=64).contains(&database.len()) && database.bytes().all(is_safe) {
            Ok(())
        } else {
            Err(ConfigError::Database(MYSQL_OPTION))
        }
    }

    /// `host:port` of Redis, for messages.
    #[must_use]
    pub fn redis_address(&self) -> String {
        address(&self.redis_url, 6379)
    }

    /// `host:port` of MySQL, for messages.
    #[must_use]
    pub fn mysql_address(&self) -> String {
        address(&self.mysql_url, MYSQL_PORT)
    }
}

fn parse_url(
    url: &SecretString,
    option: &'static str,
    schemes: &[&str],
    example: &'static str,
) -> Result<Url, ConfigError> {
    let not_a_url = |why: String| ConfigError::NotAUrl { option, why, example };
    let url = Url::parse(url.expose_secret()).map_err(|error| not_a_url(error.to_string()))?;
    if !schemes.contains(&url.scheme()) {
        let accepted = schemes.iter().map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(", ");
        return Err(ConfigError::Scheme { option, given: url.scheme().to_owned(), accepted });
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(not_a_url("it has no host".to_owned()));
    }
    Ok(url)
}

fn address(url: &SecretString, port_default: u16) -> String {
    match Url::parse(url.expose_secret()) {
        Ok(url) => format!("{}:{}", url.host_str().unwrap_or("?"), url.port().unwrap_or(port_default)),
        Err(_) => "?".to_owned(),
    }
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line per event.
    Text,
    /// One JSON object per event.
    Json,
}

/// How to log; always to stderr.
#[derive(Debug, Clone, Args)]
pub struct Logging {
    /// The form of the log on stderr
    #[arg(
        long,
        env = "RESTOCK_LOG_FORMAT",
        default_value = "text",
        global = true,
        value_enum,
        value_name = "FORM",
        hide_possible_values = false
    )]
    pub log_format: LogFormat,
    /// What to log, such as `info` or `restock=debug`
    #[arg(long = "log", env = "RESTOCK_LOG", default_value = "info", global = true, value_name = "FILTER")]
    pub log_filter: String,
}

impl Logging {
    /// Says nothing, where a log would spoil the screen.
    #[must_use]
    pub fn silent(self) -> Self {
        Self { log_filter: "off".to_owned(), ..self }
    }

    /// Sends the log of this process to stderr. A second call changes nothing.
    ///
    /// # Errors
    /// When the filter cannot be read.
    pub fn install(&self) -> Result<(), ConfigError> {
        let parse =
            |filter: &str| EnvFilter::try_new(filter).map_err(|error| ConfigError::LogFilter(error.to_string()));
        let given = parse(&self.log_filter)?;
        let filter = if given.max_level_hint().is_some_and(|level| level <= LevelFilter::WARN) {
            given
        } else {
            // The libraries' own lines come first, so that the given filter can still ask for more of them.
            parse(&format!("sqlx=warn,fred=warn,{}", self.log_filter))?
        };
        let is_coloured = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        // A line that cannot be written, on a full disk, is lost. Told to complain on stderr, the layer would panic there.
        let log = fmt::layer().with_writer(io::stderr).with_ansi(is_coloured).log_internal_errors(false);
        let log = match self.log_format {
            LogFormat::Text => log.boxed(),
            LogFormat::Json => log.json().flatten_event(true).boxed(),
        };
        // Failing means that a subscriber is installed: the one of the first call.
        let _ = match trace::tracer().map_err(ConfigError::Trace)? {
            None => tracing_subscriber::registry().with(log.with_filter(filter)).try_init(),
            Some(tracer) => {
                // Nobody but the collector sees these spans.
                let filter = parse(&format!("{filter},{}=off", trace::TARGET))?;
                let spans = tracing_opentelemetry::layer()
                    .with_tracer(tracer)
                    .with_location(false)
                    .with_threads(false)
                    .with_target(false)
                    .with_tracked_inactivity(false)
                    .with_filter(Targets::new().with_target(trace::TARGET, LevelFilter::INFO));
                tracing_subscriber::registry().with(log.with_filter(filter)).with(spans).try_init()
            }
        };
        Ok(())
    }
}

/// Makes this process ready to work: its log, ring as its TLS provider, and addresses that can be used.
///
/// # Errors
/// Names the option that cannot be used.
pub fn prepare(backends: &Backends, logging: &Logging) -> Result<(), ConfigError> {
    // First: the client of a collector needs one.
    install_tls_provider();
    logging.install()?;
    backends.validate()?;
    Ok(())
}

/// Makes ring the TLS provider of this process, once; later calls change nothing.
pub fn install_tls_provider() {
    // Failing means that one is installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn backends(redis: &str, mysql: &str) -> Backends {
        Backends {
            redis_url: redis.to_owned().into(),
            mysql_url: mysql.to_owned().into(),
            namespace: "restock".parse().expect("a valid namespace"),
        }
    }

    #[test]
    fn usual_urls_pass() {
        for redis in [REDIS_EXAMPLE, "rediss://u:p@h", "redis-cluster://h:1?node=i:2", "redis-sentinel://h:26379"] {
            assert_eq!(backends(redis, MYSQL_EXAMPLE).validate(), Ok(()), "{redis}");
        }
        assert_eq!(backends(REDIS_EXAMPLE, "mysql://u:p@[::1]/r").mysql_address(), "[::1]:3306");
    }

    #[test]
    fn a_bad_url_is_named_without_its_password() {
        for (redis, mysql) in [
            ("http://u:hush@h", MYSQL_EXAMPLE),
            ("redis://u:hush@", MYSQL_EXAMPLE),
            (REDIS_EXAMPLE, "postgres://u:hush@h/db"),
            (REDIS_EXAMPLE, "mysql://u:hush@h"),
            (REDIS_EXAMPLE, "mysql://u:hush@h:port/db"),
            (REDIS_EXAMPLE, "mysql://u:hush@h/a%60b"),
        ] {
            let backends = backends(redis, mysql);
            let error = backends.validate().expect_err("it is bad").to_string();
            assert!(error.starts_with("--") && error.contains("_URL"), "{error}");
            assert!(!error.contains("hush") && !format!("{backends:?}").contains("hush"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_given_as_a_url_no_message_shows_what_stands_in_it(
            scheme in "redis|rediss|mysql|http|[a-z]{0,6}",
            rest in "[a-z0-9.:/@%?#\\[\\]_-]{0,30}|.{0,20}",
        ) {
            let url = format!("{scheme}://shop:hushhush@{rest}");
            for backends in [backends(&url, MYSQL_EXAMPLE), backends(REDIS_EXAMPLE, &url)] {
                let told = backends.validate().err().map(|error| error.to_string()).unwrap_or_default();
                let shown = format!("{told} {backends:?} {} {}", backends.redis_address(), backends.mysql_address());
                prop_assert!(!shown.contains("hushhush"), "{shown}");
            }
        }
    }
}
