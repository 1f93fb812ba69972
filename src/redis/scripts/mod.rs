//! One typed wrapper per Lua file, of the same name. A reply that a wrapper does not know is an error, not a panic.

mod advance;
mod begin;
mod bury;
mod cancel;
mod drop_consumer;
mod enqueue;
mod evict;
mod finish;
mod forget;
mod hold;
mod hydrate;
mod pause;
mod reclaim;
mod release;
mod relog;
mod renew;
mod requeue;
mod reserve_pace;
mod resume;
mod stock;

use std::sync::LazyLock;

use fred::{
    interfaces::LuaInterface,
    types::{MultipleKeys, MultipleValues, scripts::Script as FredScript},
};

use super::{Redis, RedisError};
use crate::ids::ParseError;

pub use advance::{Advance, Advanced, PendingAdvance, Stop};
pub use begin::{Begin, BeginReply, Begun, FirstLook};
pub use bury::Unreadable;
pub use cancel::Canceled;
pub use enqueue::{Enqueue, Enqueued, channel_list};
pub use evict::{Evict, Evicted};
pub use finish::Finish;
pub use hold::{Hold, Settlement};
pub use hydrate::{Hydrate, Hydrated, LaneRecord};
pub use pause::Paused;
pub use reclaim::{Reclaimed, Silence, Silent};
pub use release::Released;
pub use relog::Relogged;
pub use renew::{PendingRenew, Renew};
pub use requeue::Requeued;
pub use reserve_pace::{PaceUse, Reserve, Reserved, TOTAL};
pub use resume::{Before, Resumed, Skip};
pub use stock::{StockChange, StockChanged, StockSet};

/// How many KEYS or ARGV a script takes: so many, and so many more for each channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Arity {
    base: usize,
    each: usize,
}

impl Arity {
    const fn exactly(base: usize) -> Self {
        Self { base, each: 0 }
    }

    const fn and_each(self, each: usize) -> Self {
        Self { each, ..self }
    }

    fn fits(self, count: usize) -> bool {
        match self.each {
            0 => count == self.base,
            each => count >= self.base && (count - self.base).is_multiple_of(each),
        }
    }
}

/// A Lua file with what its wrapper knows of it.
struct Script {
    name: &'static str,
    #[cfg(test)]
    source: &'static str,
    keys: Arity,
    args: Arity,
    replies: &'static [&'static str],
    loaded: LazyLock<FredScript, Box<dyn FnOnce() -> FredScript + Send>>,
}

impl Script {
    fn new(
        name: &'static str,
        source: &'static str,
        keys: Arity,
        args: Arity,
        replies: &'static [&'static str],
    ) -> Self {
        let load = Box::new(move || FredScript::from_lua(expand(source)));
        Self {
            name,
            #[cfg(test)]
            source,
            keys,
            args,
            replies,
            loaded: LazyLock::new(load),
        }
    }
}

const SHARED: [(&str, &str); 5] = [
    ("shared/lane.lua", include_str!("../../../lua/shared/lane.lua")),
    ("shared/round.lua", include_str!("../../../lua/shared/round.lua")),
    ("shared/hold.lua", include_str!("../../../lua/shared/hold.lua")),
    ("shared/settle.lua", include_str!("../../../lua/shared/settle.lua")),
    ("shared/product.lua", include_str!("../../../lua/shared/product.lua")),
];

/// Puts the pieces that a script names with `-- include <file>` before it, and leaves out all comments: Redis
/// keeps what it is given.
fn expand(source: &str) -> String {
    let included = source.lines().filter_map(|line| line.strip_prefix("-- include "));
    let pieces = included.map(|name| SHARED.iter().find(|(file, _)| *file == name).map_or("", |(_, text)| *text));
    let whole: Vec<&str> = pieces.chain([source]).flat_map(str::lines).collect();
    whole.into_iter().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n")
}

impl Redis {
    async fn run(&self, script: &Script, keys: Vec<String>, args: Vec<String>) -> Result<Reply, RedisError> {
        debug_assert!(script.keys.fits(keys.len()), "{}.lua: {} keys", script.name, keys.len());
        debug_assert!(script.args.fits(args.len()), "{}.lua: {} arguments", script.name, args.len());
        // Shared, not copied: they are wanted again only by a server that does not know the script.
        let (keys, args) = (MultipleKeys::from(keys), MultipleValues::try_from(args)?);
        let known: Result<Vec<String>, _> = script.loaded.evalsha(&self.client, keys.clone(), args.clone()).await;
        let words = match (known, script.loaded.lua()) {
            // Where the call belongs, and nowhere else: another server may have just taken over, or not be there.
            (Err(error), Some(source)) if error.details().starts_with("NOSCRIPT") => {
                self.client.eval(source.clone(), keys, args).await?
            }
            (known, _) => known?,
        };
        tracing::trace!(script = script.name, reply = words.first(), "called");
        let reply = Reply { script: script.name, words };
        if script.replies.contains(&reply.verdict()) { Ok(reply) } else { Err(reply.unknown()) }
    }
}

/// The words of a reply.
#[derive(Debug)]
struct Reply {
    script: &'static str,
    words: Vec<String>,
}

impl Reply {
    fn verdict(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    fn unknown(&self) -> RedisError {
        RedisError::Protocol { script: self.script, reply: self.words.clone() }
    }

    fn parse<T: std::str::FromStr>(&self, at: usize) -> Result<T, RedisError> {
        self.word(at).parse().map_err(|_| self.unknown())
    }

    /// An empty word is `None`.
    fn optional<T: std::str::FromStr>(&self, at: usize) -> Result<Option<T>, RedisError> {
        if self.word(at).is_empty() { Ok(None) } else { self.parse(at).map(Some) }
    }

    fn with<T>(&self, read: impl FnOnce(&str) -> Result<T, ParseError>, at: usize) -> Result<T, RedisError> {
        read(self.word(at)).map_err(|_| self.unknown())
    }
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// As the scripts and the log write a yes or a no.
fn flag(value: bool) -> String {
    if value { "1".to_owned() } else { String::new() }
}

/// A name for one call that Redis answers once, however often the client sends it.
fn call_name() -> String {
    random_hex()
}

/// 128 random bits in hex: tokens, calls, incarnations.
#[must_use]
pub fn random_hex() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests;
