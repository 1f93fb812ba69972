//! Who may do what: bearer tokens of producers and of admins; `user` has those of users.

mod user;

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    Api,
    problem::{Kind, Problem},
};
use crate::{
    ids::UserId,
    mysql::action::Operator,
    token::{KnownToken, TokenHash},
};

pub(super) use user::let_users;

/// What a token is for. Admins may do all that producers may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Somebody who buys there: their own notifications.
    User,
    /// The shop's backend: products, stock, subscriptions, restocks.
    Producer,
    /// Those who run it: resume, cancel, pause, the pace, what is stuck.
    Admin,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Producer => "producer",
            Self::Admin => "admin",
        }
    }
}

/// Whoever sent a request.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    role: Role,
    /// As it is kept with what they do.
    pub(super) by: Operator,
    /// Which user, if it is one.
    user: Option<UserId>,
}

/// The tokens that are accepted; none at all where everybody who reaches the server may do everything.
#[derive(Debug, Clone)]
pub struct Tokens(Vec<(Role, KnownToken)>);

impl Tokens {
    pub(super) fn new(known: Vec<(Role, KnownToken)>) -> Self {
        Self(known)
    }

    /// Whether a token is needed.
    #[must_use]
    pub fn are_needed(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whose token it is. All are compared, so that the time says nothing about which one it was.
    fn find(&self, token: &str) -> Option<Caller> {
        let hash = TokenHash::of(token);
        let mut found: Option<&(Role, KnownToken)> = None;
        for known in &self.0 {
            // Under both roles it is the greater one's.
            if known.1.hash.is(&hash) && found.is_none_or(|found| found.0 < known.0) {
                found = Some(known);
            }
        }
        let (role, known) = found?;
        let by = known.name.clone().or_else(|| role.as_str().parse().ok())?;
        Some(Caller { role: *role, by, user: None })
    }

    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let challenge = |text: &'static str, detail: &str| {
            let problem = Problem::new(Kind::Unauthorized, detail);
            problem.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(text))
        };
        let Some(given) = headers.get(header::AUTHORIZATION) else {
            return Err(challenge("Bearer realm=\"restock\"", "give a token: `Authorization: Bearer …`"));
        };
        let token = given.to_str().ok().and_then(|given| {
            let (scheme, token) = given.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        token.and_then(|token| self.find(token)).ok_or_else(|| {
            challenge("Bearer realm=\"restock\", error=\"invalid_token\"", "the token is not one that is accepted")
        })
    }
}

/// Lets producers and admins through.
pub(super) async fn let_producers(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let_in(&api, Role::Producer, request, next).await
}

/// Lets admins through.
pub(super) async fn let_admins(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let_in(&api, Role::Admin, request, next).await
}

impl Api {
    /// Who sent a request, or why nobody here did.
    pub(super) fn identify(&self, uri: &Uri, headers: &HeaderMap) -> Result<Caller, Problem> {
        if let Some(token) = user::token(uri, headers) {
            let user = user::check(&self.user_keys, token)?;
            return Ok(Caller { role: Role::User, by: self.everybody.clone(), user: Some(user) });
        }
        if self.tokens.are_needed() {
            self.tokens.caller(headers)
        } else {
            check_is_local(headers).map(|()| Caller { role: Role::Admin, by: self.everybody.clone(), user: None })
        }
    }
}

async fn let_in(api: &Api, role: Role, mut request: Request, next: Next) -> Response {
    let known = request.extensions_mut().remove::<Result<Caller, Problem>>();
    match known.unwrap_or_else(|| api.identify(request.uri(), request.headers())) {
        Ok(caller) if caller.role >= role => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Ok(_) => {
            let whose = if role == Role::Admin { "an admin" } else { "a producer or an admin" };
            Problem::new(Kind::Forbidden, format!("this needs the token of {whose}")).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// Without tokens a web page must not be able to use the server through the browser of somebody on this machine: neither by
/// a name that was pointed here, nor from another origin. Neither must a proxy on this machine make whoever reaches it from
/// elsewhere the master of the shop.
fn check_is_local(headers: &HeaderMap) -> Result<(), Problem> {
    if let Some(name) = headers.keys().map(header::HeaderName::as_str).find(|name| is_of_a_proxy(name)) {
        let detail = format!(
            "a proxy has passed this on (`{name}`), and without tokens everybody behind it could do anything: \
             give the server tokens, see `restock-cli token`"
        );
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_own = name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if !is_own {
        let detail = "without tokens this server answers to localhost, 127.0.0.1 and [::1] only";
        return Err(Problem::new(Kind::Misdirected, detail));
    }
    match headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default()) {
        Some(origin) if origin != format!("http://{host}") => {
            Err(Problem::new(Kind::Forbidden, "without tokens other web pages cannot call this server"))
        }
        _ => Ok(()),
    }
}

/// Whether proxies add this header.
fn is_of_a_proxy(name: &str) -> bool {
    matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-")
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token;

    #[test]
    fn a_token_has_the_role_and_the_name_it_is_listed_with() {
        let (producer, admin) = (token::fresh(), token::fresh());
        let entry = |text: String| text.parse::<KnownToken>().expect("an entry");
        let tokens = Tokens::new(vec![
            (Role::Producer, entry(format!("shop:{}", TokenHash::of(&producer)))),
            (Role::Admin, entry(TokenHash::of(&admin).to_string())),
        ]);
        let found = |token: &str| tokens.find(token).map(|caller| (caller.role, caller.by.as_str().to_owned()));
        assert_eq!(found(&producer), Some((Role::Producer, "shop".to_owned())));
        assert_eq!(found(&admin), Some((Role::Admin, "admin".to_owned())));
        assert_eq!(found("rst_guess"), None);
    }

    #[test]
    fn a_page_cannot_use_a_server_without_tokens() {
        let check = |host: &'static str, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            check_is_local(&headers).is_ok()
        };
        for host in ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "127.0.0.1"] {
            assert!(check(host, None), "{host}");
        }
        assert!(check("127.0.0.1:8000", Some("http://127.0.0.1:8000")));
        assert!(!check("127.0.0.1:8000", Some("https://evil.example")));
        assert!(!check("evil.example", None) && !check("127.0.0.1.evil.example:8000", None) && !check("", None));
    }
}
