//! What admins do to rounds: going on, ending, pausing. Each is kept with who did it.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api, Ready,
    ask::{At, Perhaps},
    auth::Caller,
    problem::{Kind, Problem},
};
use crate::{
    ids::{Channel, ParseError, ProductId, Round, UserId},
    mysql::action::{self, Deed},
    producer::{CanceledLane, Cancellation, Continued, PausedProduct, Resume},
};

impl Api {
    /// Does something by hand, to its end, with a row about it; `words` says what came of it.
    pub(super) async fn act<T: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        deed: Deed,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
        words: impl FnOnce(&T) -> String + Send + 'static,
    ) -> Result<T, Problem> {
        let mysql = self.ready()?.producer.stores().mysql.clone();
        let acting = async move {
            let words = |done: &Result<T, Problem>| match done {
                Ok(done) => words(done),
                Err(problem) => format!("failed: {}", problem.detail()),
            };
            action::record(&mysql, &caller.by, &deed, work, words).await
        };
        self.finish(acting).await?
    }
}

/// Lanes in words.
fn in_words<T: ToString>(lanes: &[T]) -> String {
    lanes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Ready {
    /// The product, for what cannot be done without Redis.
    async fn live_product(&self, product: ProductId) -> Result<(), Problem> {
        self.redis()?;
        self.product(product).await.map(drop)
    }
}

/// The lanes that are meant.
fn read_channel(channel: Option<String>) -> Result<Option<Channel>, Problem> {
    let read = channel.map(|channel| channel.parse()).transpose();
    read.map_err(|error: ParseError| Problem::of_field(Kind::InvalidFields, "channel", error))
}

/// How a round goes on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "an object")]
pub(super) struct ResumeWish {
    /// Give up the person who could not be told.
    #[serde(default)]
    #[schema(default = false)]
    skip: bool,
    /// Tell those again who FAILED in the last round, also when it was completed; then go on. `retry_failed` is read too.
    // Requests of other systems of this kind have the one name; all else that is written here is like the other.
    #[serde(default, alias = "retry_failed")]
    #[schema(default = false)]
    retry_failed: bool,
    /// Only on this channel.
    #[serde(default)]
    #[schema(value_type = Option<Channel>)]
    channel: Option<String>,
}

/// A lane that goes on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContinuedLane {
    product: ProductId,
    round: Round,
    channel: Channel,
    /// Who was given up.
    skipped: Option<UserId>,
}

/// Go on with a round that was cut off
///
/// After the last person who was told. With `skip` without the one who could not be told; with `retryFailed` those who
/// FAILED are told again first. Both at once cannot be.
#[utoipa::path(
    post, path = "/admin/products/{productId}/notifications/re-stock", tag = "Admin", operation_id = "resume",
    params(("productId" = ProductId, Path, description = "The product's number")),
    request_body(content = Option<ResumeWish>),
    responses(
        (status = 202, description = "These lanes go on", body = Vec<ContinuedLane>),
        (status = 409, description = "Nothing is cut off, nobody is to be skipped or told again, or there is no stock"),
    )
)]
pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    At(product): At<ProductId>,
    caller: Caller,
    Perhaps(wish): Perhaps<ResumeWish>,
) -> Result<(StatusCode, Json<Vec<ContinuedLane>>), Problem> {
    let how = match (wish.skip, wish.retry_failed) {
        (true, true) => {
            return Err(Problem::of_field(Kind::InvalidFields, "retryFailed", "it cannot go together with skip"));
        }
        (true, false) => Resume::Skip,
        (false, true) => Resume::RetryFailed,
        (false, false) => Resume::Plain,
    };
    let channel = read_channel(wish.channel)?;
    api.ready()?.live_product(product).await?;
    let deed = Deed { channel: channel.clone(), ..Deed::of_product(how.action(), product) };
    let shared = api.clone();
    let work = async move {
        let producer = shared.ready()?.exact_producer().await?;
        let lanes = producer.resume_all(product, channel.as_ref(), how).await?;
        // Whoever looks from now on must not take the end that is past for the new one.
        lanes.iter().for_each(|lane| shared.rounds.forget(&(product, lane.round)));
        Ok(lanes)
    };
    let lanes = api.act(caller, deed, work, |lanes| in_words(lanes)).await?;
    let lane =
        |lane: Continued| ContinuedLane { product, round: lane.round, channel: lane.channel, skipped: lane.skipped };
    Ok((StatusCode::ACCEPTED, Json(lanes.into_iter().map(lane).collect())))
}

/// Which lanes are to end.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct CancelWish {
    /// Only on this channel.
    #[serde(default)]
    #[schema(value_type = Option<Channel>)]
    channel: Option<String>,
}

/// A lane whose open round ends.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EndedLane {
    product: ProductId,
    round: Round,
    channel: Channel,
    /// Whether it has ended; else it ends when what is in flight is settled.
    ended: bool,
}

/// End the open rounds of a product, the waiting one too
#[utoipa::path(
    post, path = "/admin/products/{productId}/notifications/cancel", tag = "Admin", operation_id = "cancel",
    params(("productId" = ProductId, Path, description = "The product's number")),
    request_body(content = Option<CancelWish>),
    responses(
        (status = 202, description = "These lanes end", body = Vec<EndedLane>),
        (status = 409, description = "No round is open"),
    )
)]
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    At(product): At<ProductId>,
    caller: Caller,
    Perhaps(wish): Perhaps<CancelWish>,
) -> Result<(StatusCode, Json<Vec<EndedLane>>), Problem> {
    let channel = read_channel(wish.channel)?;
    api.ready()?.live_product(product).await?;
    let deed = Deed { channel: channel.clone(), ..Deed::of_product("cancel", product) };
    let (shared, reason) = (api.clone(), format!("canceled by {}", caller.by.as_str()));
    let work = async move {
        let producer = shared.ready()?.exact_producer().await?;
        // A channel that is not enabled any more may still have an open round.
        let channels = channel.map_or_else(|| producer.channels().to_vec(), |channel| vec![channel]);
        Ok(producer.cancel_all(product, &channels, &reason).await?)
    };
    let lanes = api.act(caller, deed, work, |lanes| in_words(lanes)).await?;
    let lane = |lane: CanceledLane| {
        let (round, ended) = match lane.done {
            Cancellation::Ended(round) => (round, true),
            Cancellation::Told(round) => (round, false),
        };
        EndedLane { product, round, channel: lane.channel, ended }
    };
    Ok((StatusCode::ACCEPTED, Json(lanes.into_iter().map(lane).collect())))
}

/// Nothing: all lanes of a product stand still together.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct NoWish {}

/// A product that stands still, or goes on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PausedView {
    product: ProductId,
    /// Whether it stands still now.
    paused: bool,
    /// Whether it was otherwise before.
    changed: bool,
    /// Its open lanes; 0 where nothing was changed.
    open: u32,
    /// Of those that stand still: how many do so only when what is in flight is settled.
    held: u32,
}

/// Let a product stand still
#[utoipa::path(
    post, path = "/admin/products/{productId}/notifications/pause", tag = "Admin", operation_id = "pause",
    params(("productId" = ProductId, Path, description = "The product's number")),
    request_body(content = Option<NoWish>),
    responses((status = 200, description = "It stands still, or did before", body = PausedView))
)]
pub(super) async fn pause(
    State(api): State<Arc<Api>>,
    At(product): At<ProductId>,
    caller: Caller,
    Perhaps(NoWish {}): Perhaps<NoWish>,
) -> Result<Json<PausedView>, Problem> {
    set_paused(&api, product, caller, true).await
}

/// Let a paused product go on
#[utoipa::path(
    post, path = "/admin/products/{productId}/notifications/unpause", tag = "Admin", operation_id = "unpause",
    params(("productId" = ProductId, Path, description = "The product's number")),
    request_body(content = Option<NoWish>),
    responses((status = 200, description = "It goes on, or did before", body = PausedView))
)]
pub(super) async fn unpause(
    State(api): State<Arc<Api>>,
    At(product): At<ProductId>,
    caller: Caller,
    Perhaps(NoWish {}): Perhaps<NoWish>,
) -> Result<Json<PausedView>, Problem> {
    set_paused(&api, product, caller, false).await
}

async fn set_paused(
    api: &Arc<Api>,
    product: ProductId,
    caller: Caller,
    paused: bool,
) -> Result<Json<PausedView>, Problem> {
    api.ready()?.live_product(product).await?;
    let deed = Deed::of_product(if paused { "pause" } else { "unpause" }, product);
    let shared = api.clone();
    let work = async move { Ok(shared.ready()?.exact_producer().await?.pause(product, paused).await?) };
    let done = api.act(caller, deed, work, ToString::to_string).await?;
    let PausedProduct { paused, changed, open, held } = done;
    Ok(Json(PausedView { product, paused, changed, open, held }))
}
