//! A shop's users: their tokens, and what they may see.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Uri, header},
    middleware::Next,
    response::Response,
};

use super::{Caller, Role, let_in};
use crate::{
    api::{
        Api,
        problem::{Kind, Problem},
    },
    clock::wall_us,
    ids::UserId,
    user_token::{self, UserTokenKey},
};

/// Where the paths begin that are for users.
const OF_USERS: &str = "/api/users/";

/// The token of a user, in the header, or in the query where users ask for what is theirs: an `EventSource` has no headers.
/// Other tokens are not read there: what stands in a path is kept by proxies and browsers.
pub(super) fn token<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let in_header = || {
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let (first, second) = (given.next(), given.next());
        // Of two, a proxy in between may have looked at the other one.
        let (scheme, token) = first.filter(|_| second.is_none())?.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    };
    let in_query = || {
        let query = uri.query().filter(|_| uri.path().starts_with(OF_USERS))?;
        // Nothing in a token has to be escaped.
        query.split('&').find_map(|part| part.strip_prefix("token="))
    };
    let is_of_user = |token: &&str| token.starts_with(user_token::PREFIX);
    in_header().filter(is_of_user).or_else(|| in_query().filter(is_of_user))
}

/// Whose token it is.
pub(super) fn check(keys: &[UserTokenKey], token: &str) -> Result<UserId, Problem> {
    user_token::check(keys, token, wall_us() / 1_000_000).map_err(|refusal| {
        let challenge = HeaderValue::from_static("Bearer realm=\"restock\", error=\"invalid_token\"");
        Problem::new(Kind::Unauthorized, refusal.to_string()).with_header(header::WWW_AUTHENTICATE, challenge)
    })
}

/// Lets users, producers and admins through; the route looks which user it is.
pub(in crate::api) async fn let_users(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let_in(&api, Role::User, request, next).await
}

impl Caller {
    /// Lets through whom the notifications of this user are for, and producers.
    pub(in crate::api) fn check_may_read(&self, user: UserId) -> Result<(), Problem> {
        if self.role >= Role::Producer || self.user == Some(user) {
            Ok(())
        } else {
            Err(Problem::new(Kind::Forbidden, "the token is another user's"))
        }
    }
}
