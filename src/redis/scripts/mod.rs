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
mod gather;
mod hold;
mod hydrate;
mod joint;
mod pause;
mod reclaim;
mod release;
mod relog;
mod renew;
mod requeue;
mod reserve_pace;
mod resume;
mod stock;
mod take;
mod together;
mod trim;

use std::sync::LazyLock;

use fred::{
    error::Error,
    interfaces::LuaInterface,
    types::{FromValue, MultipleKeys, MultipleValues, scripts::Script as FredScript},
};

use self::joint::Shape;
use super::{Redis, RedisError};
use crate::ids::ParseError;

pub use advance::{Advance, Advanced, PendingAdvance, Stop};
pub use begin::{Begin, BeginReply, Begun, FirstLook};
pub use bury::Unreadable;
pub use cancel::Canceled;
pub use enqueue::{Enqueue, Enqueued, channel_list};
pub use evict::{Evict, Evicted};
pub use finish::Finish;
pub(super) use gather::Gathering;
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
pub(super) use take::Given;
pub use take::Places;
pub use trim::ReadFrom;

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
    /// Calls that come at the same time are made as one.
    shared: Option<Shape>,
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
        Self::loading(name, source, keys, args, replies, move || expand(source))
    }

    /// A script that several calls may share.
    fn shared(name: &'static str, source: &'static str, shape: Shape, replies: &'static [&'static str]) -> Self {
        let (keys, args) = (Arity::exactly(shape.keys()), Arity::exactly(shape.args()));
        let script = Self::loading(name, source, keys, args, replies, move || expand_shared(source, shape));
        Self { shared: Some(shape), ..script }
    }

    fn loading(
        name: &'static str,
        #[cfg_attr(not(test), expect(unused_variables, reason = "tests compare it with the wrapper"))]
        source: &'static str,
        keys: Arity,
        args: Arity,
        replies: &'static [&'static str],
        text: impl FnOnce() -> String + Send + 'static,
    ) -> Self {
        Self {
            name,
            #[cfg(test)]
            source,
            keys,
            args,
            replies,
            shared: None,
            loaded: LazyLock::new(Box::new(move || FredScript::from_lua(text()))),
        }
    }
}

const SHARED: [(&str, &str); 7] = [
    ("shared/server.lua", include_str!("../../../lua/shared/server.lua")),
    ("shared/lane.lua", include_str!("../../../lua/shared/lane.lua")),
    ("shared/round.lua", include_str!("../../../lua/shared/round.lua")),
    ("shared/begun.lua", include_str!("../../../lua/shared/begun.lua")),
    ("shared/hold.lua", include_str!("../../../lua/shared/hold.lua")),
    ("shared/settle.lua", include_str!("../../../lua/shared/settle.lua")),
    ("shared/product.lua", include_str!("../../../lua/shared/product.lua")),
];

const EACH: &str = include_str!("../../../lua/shared/each.lua");

/// Puts the pieces that a script names with `-- include <file>` before it, and leaves out all comments: Redis
/// keeps what it is given.
fn expand(source: &str) -> String {
    without_comments(pieces(source).chain([source]))
}

/// The same, for several calls: the pieces stand before the script, which is a function of them.
fn expand_shared(source: &str, Shape { around, own, common }: Shape) -> String {
    let names: Vec<String> = (1..=own).map(|i| format!("ARGV[{i}]")).collect();
    let given = format!(
        "local all_keys, all_args, around, own, common = KEYS, ARGV, {around}, {own}, {common}
         local KEYS, ARGV = {{}}, {{}}
         local function take_own(text, pattern)
           {} = string.match(text, pattern)
         end",
        names.join(", ")
    );
    let opening = [given.as_str()].into_iter().chain(pieces(source));
    without_comments(opening.chain(["local function run()", source, "end", EACH]))
}

fn pieces(source: &str) -> impl Iterator<Item = &str> {
    let included = source.lines().filter_map(|line| line.strip_prefix("-- include "));
    included.map(|name| SHARED.iter().find(|(file, _)| *file == name).map_or("", |(_, text)| *text))
}

fn without_comments<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.flat_map(str::lines).filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n")
}

impl Redis {
    async fn run(&self, script: &'static Script, keys: Vec<String>, args: Vec<String>) -> Result<Reply, RedisError> {
        debug_assert!(script.keys.fits(keys.len()), "{}.lua: {} keys", script.name, keys.len());
        debug_assert!(script.args.fits(args.len()), "{}.lua: {} arguments", script.name, args.len());
        debug_assert!(script.shared.is_none(), "{}.lua is called together with others", script.name);
        // Boxed: a call of the client is large.
        let words = Box::pin(self.eval(script, keys, args)).await?;
        Reply::of(script, words)
    }

    async fn eval<R: FromValue>(&self, script: &Script, keys: Vec<String>, args: Vec<String>) -> Result<R, Error> {
        // Shared, not copied: they are wanted again only by a server that does not know the script.
        let (keys, args) = (MultipleKeys::from(keys), MultipleValues::try_from(args)?);
        let known: Result<R, _> = script.loaded.evalsha(&self.client, keys.clone(), args.clone()).await;
        match (known, script.loaded.lua()) {
            // Where the call belongs, and nowhere else: another server may have just taken over, or not be there.
            (Err(error), Some(source)) if error.details().starts_with("NOSCRIPT") => {
                self.client.eval(source.clone(), keys, args).await
            }
            (known, _) => known,
        }
    }
}

/// The words of a reply.
#[derive(Debug)]
struct Reply {
    script: &'static str,
    words: Vec<String>,
}

impl Reply {
    /// One that the wrapper knows.
    fn of(script: &Script, words: Vec<String>) -> Result<Self, RedisError> {
        tracing::trace!(script = script.name, reply = words.first(), "called");
        let reply = Self { script: script.name, words };
        if script.replies.contains(&reply.verdict()) { Ok(reply) } else { Err(reply.unknown()) }
    }

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
