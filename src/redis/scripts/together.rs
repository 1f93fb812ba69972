//! Calls of several lanes that come at the same time, made as one.
//!
//! Each is answered for itself. A failure of the call is a failure of each in it, and each may be made again.

use std::sync::Arc;

use fred::{
    error::{Error, ErrorKind},
    interfaces::ClientLike,
};
use tokio::sync::oneshot;

use super::{
    Redis, RedisError, Reply, Script,
    gather::{Kind, Waiting},
    joint::{Arguments, BETWEEN, Joint, Shape},
};

/// Before what a call raised.
const RAISED: &str = "raised|";

impl Redis {
    /// Makes a call of a script that is [shared](Script::shared).
    pub(super) async fn run_together(&self, script: &'static Script, call: Joint) -> Result<Reply, RedisError> {
        let Joint { keys, own, common } = call;
        let Some(shape) = script.shared else {
            return Err(Error::new(ErrorKind::InvalidArgument, "not a script that several calls share").into());
        };
        debug_assert_eq!((own.count(), common.count()), (shape.own, shape.common), "{}.lua", script.name);
        // Keys of several hash tags may stand in one call where all are on one server.
        let tag = if self.client.is_clustered() { tag(&keys.lane) } else { "" }.to_owned();
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { keys, own: own.into_text(), answer };
        let kind = Kind { script: script.name, tag, common };
        if self.gathering.push(&kind, waiting) {
            let (redis, common) = (self.clone(), kind.common.clone());
            let make = move |calls| redis.clone().make_one(script, shape, calls, common.clone());
            tokio::spawn(self.gathering.clone().make_all(kind, make));
        }
        let given_up =
            |_| Error::new(ErrorKind::Canceled, "the call was given up: the process ends, or an answer is missing");
        let words = answered.await.map_err(given_up)??;
        Reply::of(script, words)
    }

    /// One call of all these, and its answer to each.
    async fn make_one(self, script: &'static Script, shape: Shape, calls: Vec<Waiting>, common: Arguments) {
        let (keys, args, answers) = one_of(shape, calls, &common);
        let replies: Result<Vec<String>, Error> = self.eval(script, keys, args).await;
        // Whoever asked may have gone away.
        match replies {
            Ok(replies) => {
                answers.into_iter().zip(replies).for_each(|(answer, reply)| drop(answer.send(judged(&reply))))
            }
            Err(error) => answers.into_iter().for_each(|answer| drop(answer.send(Err(error.clone())))),
        }
    }
}

/// What stands between the braces of a key: keys of one tag may be named in one call.
fn tag(key: &str) -> &str {
    key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or(key, |(tag, _)| tag)
}

type Answers = Vec<oneshot::Sender<Result<Vec<String>, Error>>>;

/// The KEYS and ARGV of one call for all of these, as `lua/shared/each.lua` lists them, and who is answered in that order.
fn one_of(shape: Shape, calls: Vec<Waiting>, common: &Arguments) -> (Vec<String>, Vec<String>, Answers) {
    // By what is around their lanes: few, and in the order in which they came.
    let mut groups: Vec<Vec<Waiting>> = Vec::new();
    for call in calls {
        match groups.iter_mut().find(|group| Arc::ptr_eq(&group[0].keys.around, &call.keys.around)) {
            Some(group) => group.push(call),
            None => groups.push(vec![call]),
        }
    }
    let sizes: Vec<String> = groups.iter().map(|group| group.len().to_string()).collect();
    let (mut keys, mut args, mut answers) = (Vec::new(), vec![sizes.join(",")], Vec::new());
    for group in groups {
        keys.extend(group[0].keys.around.shared().into_iter().take(shape.around).cloned());
        for Waiting { keys: own_keys, own, answer } in group {
            keys.extend([own_keys.lane.clone(), own_keys.product.clone()]);
            args.push(own);
            answers.push(answer);
        }
    }
    args.extend(common.as_str().split(BETWEEN).map(str::to_owned));
    (keys, args, answers)
}

/// The words of a reply, or what the call raised.
fn judged(reply: &str) -> Result<Vec<String>, Error> {
    match reply.strip_prefix(RAISED) {
        Some(what) => Err(Error::new(ErrorKind::Unknown, what.to_owned())),
        None => Ok(reply.split(BETWEEN).map(str::to_owned).collect()),
    }
}
