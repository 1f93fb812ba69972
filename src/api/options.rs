//! Options of `restock-api`.

use std::{net::SocketAddr, time::Duration};

use axum::http::HeaderValue;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::auth::{Role, Tokens};
use crate::{ids::ParseError, token::KnownToken, user_token::UserTokenKey};

/// Where and for whom the HTTP API works, and how much it takes on.
#[derive(Debug, Clone, Args)]
pub struct ApiOptions {
    /// The address to listen on; without tokens only one of this machine's own, such as 127.0.0.1 or ::1
    #[arg(long, env = "RESTOCK_LISTEN", default_value = "127.0.0.1:8000", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Hash of a token for producers, with a name if you like; several: separated by commas, or the option again
    #[arg(
        long = "producer-token-hash",
        env = "RESTOCK_API_PRODUCER_TOKENS",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "[NAME:]HASH"
    )]
    pub producer_tokens: Vec<String>,
    /// Hash of a token for admins, who may do everything; see `restock-cli token`
    #[arg(
        long = "admin-token-hash",
        env = "RESTOCK_API_ADMIN_TOKENS",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "[NAME:]HASH"
    )]
    pub admin_tokens: Vec<String>,
    /// Key of the tokens with which users read their own notifications; several: separated by commas, or the option again
    #[arg(
        long = "user-token-key",
        env = "RESTOCK_USER_TOKEN_KEY",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "KEY"
    )]
    pub user_token_keys: Vec<SecretString>,
    /// A web page's origin that browsers may call from, such as `https://shop.example`; none by default
    #[arg(long = "allow-origin", env = "RESTOCK_API_ALLOW_ORIGINS", value_delimiter = ',', value_name = "ORIGIN")]
    pub origins: Vec<String>,
    /// Requests a second that are answered, over all callers; more get 429. 0 = no limit
    #[arg(long, env = "RESTOCK_API_REQUESTS_PER_SECOND", default_value_t = 500, value_name = "N")]
    pub requests_per_second: u32,
    /// Requests that are worked on at once; more get 503
    #[arg(long, env = "RESTOCK_API_IN_FLIGHT_MAX", default_value_t = 256, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub in_flight_max: u32,
    /// Open connections, without streams; more wait to be accepted
    #[arg(long = "api-connections-max", env = "RESTOCK_API_CONNECTIONS_MAX", default_value_t = 1024, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub connections_max: u32,
    /// Open streams of events; more get 503
    #[arg(long, env = "RESTOCK_API_STREAMS_MAX", default_value_t = 1_000, value_name = "N")]
    pub streams_max: u32,
    /// The longest that one request may take, but for bulk subscriptions; then it gets 503
    #[arg(long, env = "RESTOCK_API_REQUEST_TIMEOUT_MS", default_value_t = 5_000, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub request_timeout_ms: u64,
    /// The longest that bulk subscriptions may take
    #[arg(long, env = "RESTOCK_API_BULK_TIMEOUT_MS", default_value_t = 120_000, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub bulk_timeout_ms: u64,
    /// The largest body, but for bulk subscriptions, in bytes; a larger one gets 413
    #[arg(long, env = "RESTOCK_API_BODY_BYTES_MAX", default_value_t = 65_536, value_name = "N")]
    pub body_bytes_max: usize,
    /// The longest that a stop waits for what is in hand
    #[arg(long, env = "RESTOCK_DRAIN_MS", default_value_t = 20_000, value_name = "MS")]
    pub drain_ms: u64,
}

/// Options that do not go together, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OptionError {
    /// Anybody in the network could do anything.
    #[error(
        "--listen {0} can be reached from other machines, and there are no tokens: give --producer-token-hash or \
         --admin-token-hash (RESTOCK_API_PRODUCER_TOKENS, RESTOCK_API_ADMIN_TOKENS; `restock-cli token` makes them), or \
         listen on 127.0.0.1"
    )]
    OpenToAll(SocketAddr),
    /// An entry of a list of tokens.
    #[error("{option}: {error}")]
    Token {
        /// The option and its variable.
        option: &'static str,
        /// What is wrong with it.
        error: ParseError,
    },
    /// Any visitor's browser on this machine could do anything.
    #[error(
        "--allow-origin / RESTOCK_API_ALLOW_ORIGINS lets web pages call, and there are no tokens: give --producer-token-hash \
         or --admin-token-hash (RESTOCK_API_PRODUCER_TOKENS, RESTOCK_API_ADMIN_TOKENS; `restock-cli token` makes them)"
    )]
    OriginsWithoutTokens,
    /// Not the origin of a web page.
    #[error("--allow-origin / RESTOCK_API_ALLOW_ORIGINS: `{0}` is not an origin such as https://shop.example")]
    Origin(String),
}

impl ApiOptions {
    /// The tokens that are accepted.
    ///
    /// # Errors
    /// When one cannot be read; when there is none, and other machines could reach the address or web pages may call.
    pub fn tokens(&self) -> Result<Tokens, OptionError> {
        let mut known = Vec::new();
        for (role, option, entries) in [
            (Role::Producer, "--producer-token-hash / RESTOCK_API_PRODUCER_TOKENS", &self.producer_tokens),
            (Role::Admin, "--admin-token-hash / RESTOCK_API_ADMIN_TOKENS", &self.admin_tokens),
        ] {
            for entry in entries.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty()) {
                let token: KnownToken = entry.parse().map_err(|error| OptionError::Token { option, error })?;
                known.push((role, token));
            }
        }
        if known.is_empty() && !self.listen.ip().is_loopback() {
            return Err(OptionError::OpenToAll(self.listen));
        }
        if known.is_empty() && self.origins.iter().any(|origin| !origin.trim().is_empty()) {
            return Err(OptionError::OriginsWithoutTokens);
        }
        Ok(Tokens::new(known))
    }

    /// The keys of users' tokens; with none only producers and admins read notifications.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn user_token_keys(&self) -> Result<Vec<UserTokenKey>, OptionError> {
        let given = self.user_token_keys.iter().map(|key| key.expose_secret().trim()).filter(|key| !key.is_empty());
        let option = "--user-token-key / RESTOCK_USER_TOKEN_KEY";
        given.map(|key| key.parse().map_err(|error| OptionError::Token { option, error })).collect()
    }

    /// The origins of pages that may call.
    ///
    /// # Errors
    /// When one is not an origin.
    pub fn origins(&self) -> Result<Vec<HeaderValue>, OptionError> {
        let given = self.origins.iter().map(|origin| origin.trim()).filter(|origin| !origin.is_empty());
        let read = |origin: &str| {
            let url = url::Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            let same = url.is_some_and(|url| url.origin().ascii_serialization() == origin);
            HeaderValue::from_str(origin).ok().filter(|_| same).ok_or_else(|| OptionError::Origin(origin.to_owned()))
        };
        given.map(read).collect()
    }

    /// [`ApiOptions::drain_ms`].
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::token::TokenHash;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: ApiOptions,
    }

    fn options(args: &[&str]) -> ApiOptions {
        Command::parse_from(["api"].iter().chain(args)).options
    }

    #[test]
    fn without_tokens_only_this_machine_is_listened_to() {
        for own in ["127.0.0.1:0", "127.1.2.3:8000", "[::1]:8000"] {
            assert!(options(&["--listen", own]).tokens().is_ok(), "{own}");
        }
        let hash = TokenHash::of("t").to_string();
        for open in ["0.0.0.0:8000", "[::]:8000", "192.0.2.1:80"] {
            assert!(matches!(options(&["--listen", open]).tokens(), Err(OptionError::OpenToAll(_))), "{open}");
            assert!(options(&["--listen", open, "--admin-token-hash", &hash]).tokens().is_ok(), "{open}");
        }
        assert!(options(&["--producer-token-hash", "secret"]).tokens().is_err());
        let pages = ["--allow-origin", "https://shop.example"];
        assert!(matches!(options(&pages).tokens(), Err(OptionError::OriginsWithoutTokens)));
        assert!(options(&[pages[0], pages[1], "--admin-token-hash", &hash]).tokens().is_ok());
        assert!(options(&["--allow-origin", ""]).tokens().is_ok(), "an empty variable is none");
    }

    #[test]
    fn an_origin_is_what_browsers_send() {
        assert!(options(&["--allow-origin", "https://shop.example,http://localhost:3000"]).origins().is_ok());
        for bad in ["*", "null", "shop.example", "https://shop.example/", "https://shop.example/a", "ftp://a"] {
            assert!(options(&["--allow-origin", bad]).origins().is_err(), "{bad}");
        }
    }
}
