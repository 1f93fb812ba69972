//! From an entry to a lane in hand.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Deps,
    crew::Exit,
    flight::LaneSignal,
    following::Following,
    lane::Lane,
    line::{Line, Source},
    window::{SeatNo, Tries, Window},
};
use crate::{
    channel::ProductCard,
    clock::BootTime,
    ids::ProductId,
    mysql::{
        answered,
        history::PeopleOf,
        line::{self, Person},
        many::{self, Look},
    },
    producer::BACKLOG_MAX,
    redis::{
        RETRY_PAUSE,
        jobs::Entry,
        scripts::{Begin, BeginReply, Begun, FirstLook, random_hex},
    },
    stores::{Checked, StoreError},
};

/// A hold makes its first call at the latest so long after it began, in µs: that call logs the begin.
const FIRST_CALL_US: i64 = 400_000;

/// What became of an entry.
pub(super) enum Taken {
    /// The lane is ours.
    Lane(Box<Lane>),
    /// Somebody's lease runs this much longer.
    Busy(Duration),
    /// There is nothing to do for it.
    Nothing,
}

/// Begins the lane of an entry. Waits for stores that do not answer, until `stop`; a call under way is waited for, or the lane could
/// be held by nobody. What is rarely asked is boxed, so that the future of each errand stays small.
pub(super) async fn take(
    deps: &Arc<Deps>,
    exit: &Arc<Exit>,
    entry: &Entry,
    signal: Arc<LaneSignal>,
    stop: &CancellationToken,
) -> Taken {
    let token = random_hex();
    let mut look = None;
    while !stop.is_cancelled() {
        let step = match begin(deps, entry, &token, &mut look).await {
            Ok(step) => step,
            Err(error) if error.is_passing() => {
                tracing::debug!(lane = %entry.lane, %error, "cannot begin yet");
                // The line may have grown by the time that the stores answer again.
                look = None;
                sleep(RETRY_PAUSE).await;
                continue;
            }
            Err(error) => {
                tracing::error!(lane = %entry.lane, %error, "cannot begin; the entry stays pending");
                return Taken::Nothing;
            }
        };
        match step {
            Step::Again => {}
            Step::Busy(ms) => return Taken::Busy(Duration::from_millis(ms + 1)),
            Step::Nothing => return Taken::Nothing,
            Step::Begun(begun, handed, card, seen) => {
                let post = Post { exit: exit.clone(), card, signal, handed, seen };
                return Taken::Lane(Box::new(lane(deps, entry, *begun, post)));
            }
        }
    }
    Taken::Nothing
}

enum Step {
    Again,
    Busy(u64),
    Nothing,
    /// Asked for at this moment; with the line as it was seen.
    Begun(Box<Begun>, BootTime, Arc<ProductCard>, Option<(Vec<Person>, BootTime)>),
}

async fn begin(deps: &Deps, entry: &Entry, token: &str, look: &mut Option<Seen>) -> Result<Step, StoreError> {
    let (stores, id) = (&deps.stores, entry.lane.product);
    let seen = match look {
        Some(seen) => seen,
        None => look.insert(see(deps, id).await?),
    };
    let begin = Begin {
        entry,
        token,
        consumer: &deps.consumer,
        claim_idle_ms: deps.options.claim_idle_ms,
        attempts_max: deps.options.attempts_max,
        look: seen.look,
        backlog_max: BACKLOG_MAX,
    };
    let handed = BootTime::now();
    Ok(match stores.redis.begin(&begin).await? {
        BeginReply::Go(begun) => match seen.card.clone() {
            Some(card) => Step::Begun(begun, handed, card, seen.line.take()),
            None => Step::Nothing,
        },
        BeginReply::Look { from, ahead } => {
            let someone = match seen.look.newest {
                Some(newest) => Box::pin(answered(line::anyone_after(&stores.mysql, id, from, newest, &ahead))).await?,
                None => false,
            };
            seen.look = FirstLook { after: Some(from), nobody: !someone, ..seen.look };
            Step::Again
        }
        BeginReply::Busy(ms) => Step::Busy(ms),
        BeginReply::Unchecked => {
            deps.check_limit.until_ready().await;
            match Box::pin(deps.stores_now().check(id)).await? {
                Checked::Done(_) => Step::Again,
                Checked::NoSuchProduct => {
                    tracing::warn!(product = %id, "dropped an entry of a product that MySQL does not know");
                    Box::pin(stores.redis.drop_entry(entry)).await?;
                    Step::Nothing
                }
            }
        }
        reply @ (BeginReply::Stale | BeginReply::Canceled | BeginReply::Paused | BeginReply::Buried) => {
            tracing::info!(lane = %entry.lane, entry = entry.name(), how = ?reply, "nothing to begin");
            Step::Nothing
        }
    })
}

/// What was seen of a product and its line after the entry was received.
#[derive(Default)]
struct Seen {
    look: FirstLook,
    card: Option<Arc<ProductCard>>,
    /// The whole line where it is short, and when it was asked for.
    line: Option<(Vec<Person>, BootTime)>,
}

async fn look_alone(deps: &Deps, id: ProductId) -> sqlx::Result<Option<Look>> {
    let mut db = deps.stores.mysql.acquire().await?;
    Ok(many::looks(&mut db, &[id]).await?.pop().flatten())
}

async fn see(deps: &Deps, id: ProductId) -> Result<Seen, StoreError> {
    let at = BootTime::now();
    let look = match deps.inquiries.looks.ask(id).await {
        Some(look) => look,
        None => Box::pin(answered(look_alone(deps, id))).await?,
    };
    let Some(Look { sku, name, newest, line }) = look else { return Ok(Seen::default()) };
    let card = Some(Arc::new(ProductCard { id, sku, name }));
    Ok(Seen { look: FirstLook { newest, ..FirstLook::default() }, card, line: line.map(|people| (people, at)) })
}

/// What a lane has of this process.
struct Post {
    exit: Arc<Exit>,
    card: Arc<ProductCard>,
    signal: Arc<LaneSignal>,
    /// When the lane was asked for.
    handed: BootTime,
    /// The whole line, as it was seen at that moment.
    seen: Option<(Vec<Person>, BootTime)>,
}

fn lane(deps: &Arc<Deps>, entry: &Entry, begun: Begun, post: Post) -> Lane {
    let Post { exit, card, signal, handed, seen } = post;
    let Begun { hold, round, cursor, upto, ahead, tries, tried_us, retry_of, stamp, may_start, traceparent, .. } =
        begun;
    let id = entry.lane.clone();
    let source = match retry_of {
        Some(_) => {
            Source::Failed { of: PeopleOf { product: id.product, round, channel: id.channel.clone() }, recorded: stamp }
        }
        None => Source::InLine(id.product),
    };
    tracing::info!(lane = %id, %round, from = ?cursor, "took the lane");
    let now = BootTime::now();
    let mut line = Line::new(deps.stores.mysql.clone(), source, cursor, upto, Some(deps.inquiries.pages.clone()));
    if let Some((people, at)) = seen {
        line.begin_with(people, at);
    }
    Lane {
        line,
        window: Window::new(cursor, ahead, Tries { count: tries, first_us: tried_us }),
        deps: deps.clone(),
        id,
        round,
        is_retry: retry_of.is_some(),
        card,
        exit,
        signal,
        following: Following::new(&entry.lane, round, traceparent),
        hold,
        unstarted: Default::default(),
        retries: Default::default(),
        flights: Default::default(),
        allowance: Default::default(),
        asked: None,
        call: None,
        authorised: may_start.then_some(handed),
        opening: may_start,
        authorised_before: SeatNo::default(),
        asked_before: SeatNo::default(),
        last_advance: now,
        renew_at: now.plus_us(deps.renew_us().min(FIRST_CALL_US)),
        not_before: now,
        recheck: false,
        ending: None,
        deadline: None,
    }
}
