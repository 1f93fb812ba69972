//! The messages that a user has: listing them, and noting that they were read.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawPathParams, State},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api,
    ask::{Asked, At, Given, InPath, Whole, named},
    auth::Caller,
    problem::{Kind, Problem},
    product::{check_limit, next_after, page_default},
};
use crate::{ids::UserId, mysql::inbox, report::inbox::NotificationView};

impl InPath for UserId {
    fn read(path: &RawPathParams) -> Result<Self, Problem> {
        named(path, "userId")
    }
}

/// One of a user's messages.
pub(super) struct OneOf(UserId, i64);

impl InPath for OneOf {
    fn read(path: &RawPathParams) -> Result<Self, Problem> {
        Ok(Self(named(path, "userId")?, named(path, "notificationId")?))
    }
}

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct InboxAsked {
    /// Only those before this number: the `next` of the page before.
    #[param(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    before: Option<u64>,
    /// At most so many.
    #[serde(default = "page_default")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: u32,
    /// A user's token, for who cannot send the header `Authorization`.
    #[serde(default, rename = "token")]
    #[param(rename = "token", value_type = Option<String>)]
    _token: Option<String>,
}

/// The token alone.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TokenAsked {
    /// A user's token, for who cannot send the header `Authorization`.
    #[serde(default, rename = "token")]
    #[param(rename = "token", value_type = Option<String>)]
    _token: Option<String>,
}

/// Some of a user's messages.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Inbox {
    /// The newest first.
    items: Vec<NotificationView>,
    /// The `before` of the next page, which has older ones; null after the last.
    next: Option<String>,
    /// How many are not read, of all that there are; counted up to 10,000.
    unread: u64,
}

/// List the messages of a user
///
/// Needs a token of that user, or a producer's.
#[utoipa::path(
    get, path = "/users/{userId}/notifications", tag = "Notifications", operation_id = "listNotifications",
    params(("userId" = i64, Path, description = "The user's number", minimum = 1), InboxAsked),
    responses((status = 200, description = "A page of messages, the newest first", body = Inbox))
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    At(user): At<UserId>,
    caller: Caller,
    Asked(asked): Asked<InboxAsked>,
) -> Result<Json<Inbox>, Problem> {
    caller.check_may_read(user)?;
    let (limit, db) = (check_limit(asked.limit)?, &api.ready()?.producer.stores().mysql);
    let before = asked.before.map(i64::try_from).transpose();
    let before = before.map_err(|_| Problem::of_field(Kind::BadRequest, "before", "there is no such number"))?;
    let rows = inbox::page_before(db, user, before, limit).await?;
    let items: Vec<NotificationView> = rows.into_iter().map(NotificationView::from).collect();
    let next = next_after(&items, limit, |item| item.id.to_string());
    let unread = inbox::count_unread(db, user).await?;
    Ok(Json(Inbox { items, next, unread }))
}

/// What was noted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NowRead {
    /// How many were not read before.
    read: u64,
    /// How many are not read now; counted up to 10,000.
    unread: u64,
}

/// Note that a user has read a message
#[utoipa::path(
    put, path = "/users/{userId}/notifications/{notificationId}/read", tag = "Notifications", operation_id = "readNotification",
    params(
        ("userId" = i64, Path, description = "The user's number", minimum = 1),
        ("notificationId" = i64, Path, description = "The message's number", minimum = 1),
        TokenAsked,
    ),
    responses((status = 200, description = "It is noted, now or before", body = NowRead))
)]
pub(super) async fn read_one(
    State(api): State<Arc<Api>>,
    At(OneOf(user, message)): At<OneOf>,
    caller: Caller,
    _asked: Asked<TokenAsked>,
) -> Result<Json<NowRead>, Problem> {
    caller.check_may_read(user)?;
    let db = &api.ready()?.producer.stores().mysql;
    let none = || Problem::new(Kind::NotFound, format!("user {user} has no message {message}"));
    let read = u64::from(inbox::mark_read(db, user, message).await?.ok_or_else(none)?);
    Ok(Json(NowRead { read, unread: inbox::count_unread(db, user).await? }))
}

/// Up to where a user has read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadWish {
    /// The number of the newest message that they have seen.
    #[schema(value_type = i64, minimum = 0)]
    upto: Whole,
}

/// Note that a user has read all messages up to one
#[utoipa::path(
    put, path = "/users/{userId}/notifications/read", tag = "Notifications", operation_id = "readNotifications",
    params(("userId" = i64, Path, description = "The user's number", minimum = 1), TokenAsked),
    request_body = ReadWish,
    responses((status = 200, description = "It is noted", body = NowRead))
)]
pub(super) async fn read_all(
    State(api): State<Arc<Api>>,
    At(user): At<UserId>,
    caller: Caller,
    _asked: Asked<TokenAsked>,
    Given(wish): Given<ReadWish>,
) -> Result<Json<NowRead>, Problem> {
    caller.check_may_read(user)?;
    if wish.upto.0 < 0 {
        return Err(Problem::of_field(Kind::InvalidFields, "upto", "there is no such number"));
    }
    let db = &api.ready()?.producer.stores().mysql;
    let read = inbox::mark_all_read(db, user, wish.upto.0).await?;
    Ok(Json(NowRead { read, unread: inbox::count_unread(db, user).await? }))
}
