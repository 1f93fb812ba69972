//! `restock-cli token`: a fresh token for the HTTP API, shown once, with the hash that the server keeps; a key for tokens of
//! users, and a token of one user.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{
    Context,
    exit::{Exit, Failure},
    output::{self, Output, Record},
};
use crate::{
    clock::wall_us,
    ids::{ParseError, UserId, time_us},
    mysql::action::Operator,
    token::{self, TokenHash},
    user_token::{self, UserTokenKey},
};

/// A year: who may read for longer is to be asked again.
const TTL_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Options of `token`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Sub>,
    /// Whose it is, as it is kept with what is done by it
    #[arg(long, value_name = "NAME")]
    name: Option<Operator>,
}

#[derive(Debug, clap::Subcommand)]
enum Sub {
    /// Make a token that opens one user's notifications, until it runs out
    User(UserArgs),
    /// Make a key that signs the tokens of users
    Key,
}

/// Options of `token user`.
#[derive(Debug, clap::Args)]
struct UserArgs {
    /// Whose notifications
    user: UserId,
    /// For how long: 90s, 15m, 12h or 30d, a year at most
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = parse_ttl)]
    ttl: Duration,
    /// The key; of several, separated by commas, the first, as with restock-api
    #[arg(long, env = "RESTOCK_USER_TOKEN_KEY", hide_env_values = true, value_name = "KEY")]
    user_token_key: Option<SecretString>,
}

fn parse_ttl(text: &str) -> Result<Duration, ParseError> {
    let bad = || ParseError::new("time", text, "a whole number and s, m, h or d, such as 12h, of a year at most");
    let at = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at)).ok_or_else(bad)?;
    let unit = match &text[at..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(bad()),
    };
    let count: u64 = text[..at].parse().map_err(|_| bad())?;
    let ttl = Duration::from_secs(count.checked_mul(unit).ok_or_else(bad)?);
    if ttl.is_zero() || ttl > TTL_MAX { Err(bad()) } else { Ok(ttl) }
}

/// A token and what the server is given for it.
#[derive(Debug, Serialize)]
struct Made {
    token: String,
    hash: String,
}

impl Record for Made {
    const HEADINGS: &'static [&'static str] = &["TOKEN", "HASH"];

    fn cells(&self) -> Vec<String> {
        vec![self.token.clone(), self.hash.clone()]
    }
}

/// A token of a user.
#[derive(Debug, Serialize)]
struct MadeForUser {
    user: UserId,
    token: String,
    expires_at: String,
}

impl Record for MadeForUser {
    const HEADINGS: &'static [&'static str] = &[">USER", "TOKEN", "EXPIRES AT"];

    fn cells(&self) -> Vec<String> {
        vec![self.user.to_string(), self.token.clone(), self.expires_at.clone()]
    }
}

/// A key.
#[derive(Debug, Serialize)]
struct MadeKey {
    key: String,
}

impl Record for MadeKey {
    const HEADINGS: &'static [&'static str] = &["KEY"];

    fn cells(&self) -> Vec<String> {
        vec![self.key.clone()]
    }
}

pub(super) fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        None => make(context, args.name.as_ref()),
        Some(Sub::User(args)) => make_for_user(context, args),
        Some(Sub::Key) => make_key(context),
    }
}

fn make(context: &Context, name: Option<&Operator>) -> anyhow::Result<Exit> {
    let token = token::fresh();
    let hash = TokenHash::of(&token);
    let hash = match name.map(Operator::as_str) {
        Some(name) if name.contains([',', ':']) => {
            let what =
                format!("the name `{name}` has a `,` or a `:`, which end it in the list of tokens; choose another");
            return Err(Failure::new(Exit::Usage, what).into());
        }
        Some(name) => format!("{name}:{hash}"),
        None => hash.to_string(),
    };
    output::record(context.output, &Made { token, hash })?;
    if context.output == Output::Table {
        output::note(
            "The token is shown this once: give it to who calls, and the hash to restock-api as --producer-token-hash or \
             --admin-token-hash",
        );
    }
    Ok(Exit::Done)
}

fn make_for_user(context: &Context, args: &UserArgs) -> anyhow::Result<Exit> {
    const OPTION: &str = "--user-token-key (RESTOCK_USER_TOKEN_KEY)";
    let given = args.user_token_key.as_ref().map(|key| key.expose_secret().trim()).filter(|key| !key.is_empty());
    let Some(given) = given else {
        let what =
            format!("a token of a user needs the key of restock-api: give {OPTION}; `restock-cli token key` makes one");
        return Err(Failure::new(Exit::Usage, what).into());
    };
    let first = given.split(',').next().unwrap_or_default();
    let key: UserTokenKey = first.parse().map_err(|error| Failure::new(Exit::Usage, format!("{OPTION}: {error}")))?;
    let expires_s = wall_us() / 1_000_000 + i64::try_from(args.ttl.as_secs()).unwrap_or(0);
    let token = key.sign(args.user, expires_s);
    let expires_at = time_us(expires_s * 1_000_000);
    output::record(context.output, &MadeForUser { user: args.user, token, expires_at })?;
    Ok(Exit::Done)
}

fn make_key(context: &Context) -> anyhow::Result<Exit> {
    output::record(context.output, &MadeKey { key: user_token::fresh_key() })?;
    if context.output == Output::Table {
        output::note(
            "The key is shown this once: give it to restock-api as --user-token-key (RESTOCK_USER_TOKEN_KEY), and to whatever \
             makes tokens for users",
        );
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_an_end() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000)] {
            assert_eq!(parse_ttl(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "s", "0s", "-1s", "5", "1.5h", "367d", "99999999999999999999d", "1w", "5é"] {
            assert!(parse_ttl(bad).is_err(), "{bad}");
        }
    }
}
