//! `restock-cli token`: a fresh token for the HTTP API, shown once, with the hash that the server keeps.

use serde::Serialize;

use super::{
    Context,
    exit::{Exit, Failure},
    output::{self, Output, Record},
};
use crate::{
    mysql::action::Operator,
    token::{self, TokenHash},
};

/// Options of `token`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whose it is, as it is kept with what is done by it
    #[arg(long, value_name = "NAME")]
    name: Option<Operator>,
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

pub(super) fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let token = token::fresh();
    let hash = TokenHash::of(&token);
    let hash = match args.name.as_ref().map(Operator::as_str) {
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
