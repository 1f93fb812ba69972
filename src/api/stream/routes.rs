//! The streams that can be asked for.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    hub::OF_ONE_PERSON_MAX,
    place::{ConnectionPlace, Place},
    replay,
};
use crate::{
    api::{
        Api,
        ask::{Asked, At, header_text},
        auth::Caller,
        problem::{Kind, Problem},
    },
    ids::UserId,
    meter::StreamMeters,
    mysql::inbox::Audience,
};

/// From where on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct FollowAsked {
    /// Only messages after this number; without it those that come from now on. The header `Last-Event-ID`, which browsers send
    /// when they come back, goes before it.
    #[param(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    after: Option<u64>,
}

/// From where on, and by which token.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct FollowOwnAsked {
    /// Only messages after this number; without it those that come from now on. The header `Last-Event-ID`, which browsers send
    /// when they come back, goes before it.
    #[param(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    after: Option<u64>,
    /// A user's token, for who cannot send the header `Authorization`, such as an `EventSource`.
    #[serde(default, rename = "token")]
    #[param(rename = "token", value_type = Option<String>)]
    _token: Option<String>,
}

/// Follow the messages of the inbox, for everybody
///
/// Server-Sent Events: each message is an event `restock-notification` whose data is a `Notification` and whose id is its
/// number. A stream ends when the server stops or the client does not keep up: come back with the last id, at any server, and
/// nothing is missed or comes twice.
#[utoipa::path(
    get, path = "/products/notifications/stream", tag = "Notifications", operation_id = "followNotifications",
    params(
        FollowAsked,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last id that was seen", maximum = 9_223_372_036_854_775_807_i64),
    ),
    responses((status = 200, description = "Events, without end", content_type = "text/event-stream", body = String))
)]
pub(in crate::api) async fn follow_all(
    State(api): State<Arc<Api>>,
    connection: Option<Extension<ConnectionPlace>>,
    Asked(asked): Asked<FollowAsked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    follow(&api, Audience::Everyone, after(asked.after, &headers)?, connection)
}

/// Follow the messages of one user
///
/// As `followNotifications`, with that user's messages only. Needs a token of that user, or a producer's.
#[utoipa::path(
    get, path = "/users/{userId}/notifications/stream", tag = "Notifications", operation_id = "followOwnNotifications",
    params(
        ("userId" = i64, Path, description = "The user's number", minimum = 1),
        FollowOwnAsked,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last id that was seen", maximum = 9_223_372_036_854_775_807_i64),
    ),
    responses((status = 200, description = "Events, without end", content_type = "text/event-stream", body = String))
)]
pub(in crate::api) async fn follow_own(
    State(api): State<Arc<Api>>,
    At(user): At<UserId>,
    caller: Caller,
    connection: Option<Extension<ConnectionPlace>>,
    Asked(asked): Asked<FollowOwnAsked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.check_may_read(user)?;
    if api.streams.hub.count_of(user) >= OF_ONE_PERSON_MAX {
        let detail = format!("user {user} has {OF_ONE_PERSON_MAX} streams already; end one");
        return Err(Problem::new(Kind::TooManyRequests, detail));
    }
    follow(&api, Audience::Person(user), after(asked.after, &headers)?, connection)
}

/// Follow the progress of rounds
///
/// Server-Sent Events without ids: `state` has all lanes that are open, were cut off, or went to their end in the last minutes;
/// then comes a `change` at most every half second, with the lanes that are otherwise than before and those that are `gone`.
/// `trouble` says that a backend does not answer; a `state` follows it.
#[utoipa::path(
    get, path = "/rounds/stream", tag = "Rounds", operation_id = "followRounds",
    responses((status = 200, description = "Events, without end", content_type = "text/event-stream", body = String))
)]
pub(in crate::api) async fn follow_rounds(
    State(api): State<Arc<Api>>,
    connection: Option<Extension<ConnectionPlace>>,
) -> Result<Response, Problem> {
    api.ready()?;
    let rounds = &api.streams.rounds;
    let place = take_place(&api, &rounds.meters)?;
    let events = rounds.join(place).ok_or_else(stopping)?;
    Ok(answer(Body::from_stream(events), connection))
}

fn stopping() -> Problem {
    Problem::new(Kind::Unavailable, "no stream can be followed here at this moment; come again")
}

fn take_place(api: &Api, meters: &StreamMeters) -> Result<Place, Problem> {
    let full = || Problem::new(Kind::Overloaded, "too many streams are open here; come again later");
    api.streams.places.take(meters).ok_or_else(full)
}

fn follow(
    api: &Api,
    audience: Audience,
    after: Option<i64>,
    connection: Option<Extension<ConnectionPlace>>,
) -> Result<Response, Problem> {
    let (library, hub) = (&api.ready()?.library, &api.streams.hub);
    hub.position().ok_or_else(stopping)?;
    let place = take_place(api, hub.meters(audience))?;
    let events = match after {
        Some(after) => replay::Events::after(library.clone(), audience, after, place),
        None => replay::Events::from_now(library, audience, place),
    };
    Ok(answer(Body::from_stream(events), connection))
}

/// The number after which it begins.
fn after(asked: Option<u64>, headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    const NAME: &str = "Last-Event-ID";
    let bad = |field| move || Problem::of_field(Kind::BadRequest, field, "it is the id of an event");
    let text = header_text(headers, NAME)?.filter(|text| !text.is_empty());
    let Some(text) = text else {
        return asked.map(|after| i64::try_from(after).map_err(|_| bad("after")())).transpose();
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text).ok_or_else(bad(NAME))?;
    digits.parse().map(Some).map_err(|_| bad(NAME)())
}

/// A stream is the last that comes over its connection, which does not count among the others any more.
fn answer(events: Body, connection: Option<Extension<ConnectionPlace>>) -> Response {
    if let Some(Extension(connection)) = connection {
        connection.give_back();
    }
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONNECTION, HeaderValue::from_static("close")),
        // nginx gathers answers otherwise.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, events).into_response()
}
