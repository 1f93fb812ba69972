//! Errors as RFC 9457 problem documents.
//!
//! A handler answers a [`Problem`]; the outermost layer writes it down, because only that knows the path of the request.

mod refusal;

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of a problem document.
pub(super) const CONTENT_TYPE: &str = "application/problem+json";
/// What comes before the name of a kind in `type`.
const TYPE: &str = "urn:restock:problem:";
/// When a caller who was turned away may come again, in seconds.
const COME_AGAIN_S: u64 = 1;

/// The kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NoStock,
    NothingToResume,
    NothingToCancel,
    NotEnabled,
    RefusedBefore,
    SkuTaken,
    StockHasChanged,
    TooLarge,
    UnsupportedMediaType,
    Misdirected,
    SlowBody,
    InvalidFields,
    KeyReused,
    TooManyRequests,
    Internal,
    Unavailable,
    Overloaded,
    TooSlow,
}

impl Kind {
    /// The status, the last word of the type, and the title.
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad-request", "The request cannot be read"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "A token is needed"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "This token may not do that"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Not by this method"),
            Self::NoStock => (StatusCode::CONFLICT, "no-stock", "There is no stock to announce"),
            Self::NothingToResume => (StatusCode::CONFLICT, "nothing-to-resume", "There is nothing to go on with"),
            Self::NothingToCancel => (StatusCode::CONFLICT, "nothing-to-cancel", "No round is open"),
            Self::NotEnabled => (StatusCode::CONFLICT, "channel-not-enabled", "The channel is not enabled"),
            Self::RefusedBefore => (StatusCode::CONFLICT, "refused-before", "The same request was refused for good"),
            Self::SkuTaken => (StatusCode::CONFLICT, "sku-taken", "The code is another product's"),
            Self::StockHasChanged => {
                (StatusCode::PRECONDITION_FAILED, "stock-has-changed", "The product has changed since")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body is of another type")
            }
            Self::SlowBody => (StatusCode::REQUEST_TIMEOUT, "slow-body", "The body did not come in time"),
            Self::Misdirected => (StatusCode::MISDIRECTED_REQUEST, "misdirected", "Not asked by this name"),
            Self::InvalidFields => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-fields", "A field cannot be used"),
            Self::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "key-reused", "The key means another restock"),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "A backend does not answer"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Too much is in hand"),
            Self::TooSlow => (StatusCode::SERVICE_UNAVAILABLE, "too-slow", "It took too long"),
        }
    }
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct FieldError {
    /// Which field, parameter or header; of bulk input `line N`, with the field after a dot.
    pub(super) field: String,
    /// What is wrong with it.
    pub(super) detail: String,
}

/// What asking once more may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repetition {
    /// Nothing: it changes nothing.
    Reads,
    /// Nothing more than the first time did.
    SameKey,
    /// It may do it twice.
    Doubles,
}

impl Repetition {
    /// Of a request as it came.
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Self {
        if method.is_safe() {
            Self::Reads
        } else if headers.contains_key("idempotency-key") {
            Self::SameKey
        } else {
            Self::Doubles
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Reads => "ask again",
            Self::SameKey => "it may have been done; ask again with the same Idempotency-Key",
            Self::Doubles => "it may have been done; look before you ask again",
        }
    }
}

/// Why a request was not answered as it wished.
#[derive(Debug, Clone)]
pub(super) struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether it may have been done all the same.
    is_in_doubt: bool,
}

/// A problem document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document {
    /// Names the kind of problem, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:restock:problem:no-stock")]
    kind: String,
    /// The same for people.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time, to what, what to do.
    detail: String,
    /// The path of the request.
    instance: String,
    /// The fields that are to blame.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let mut headers = Vec::new();
        if matches!(kind, Kind::TooManyRequests | Kind::Unavailable | Kind::Overloaded | Kind::TooSlow) {
            headers.push((header::RETRY_AFTER, HeaderValue::from(COME_AGAIN_S)));
        }
        if kind == Kind::SlowBody {
            // What is left of the body is not waited for.
            headers.push((header::CONNECTION, HeaderValue::from_static("close")));
        }
        Self(Box::new(Inner { kind, detail: detail.into(), errors: Vec::new(), headers, is_in_doubt: false }))
    }

    /// It may have been done all the same: what to do is added when it is known what was asked for.
    pub(super) fn in_doubt(kind: Kind, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(kind, detail);
        problem.0.is_in_doubt = true;
        problem
    }

    /// One field is to blame.
    pub(super) fn of_field(kind: Kind, field: impl Into<String>, detail: impl ToString) -> Self {
        let (field, detail) = (field.into(), detail.to_string());
        let whole = format!("{field}: {detail}");
        Self::new(kind, whole).with_errors(vec![FieldError { field, detail }])
    }

    /// There is no such product.
    pub(super) fn no_product(product: impl std::fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("there is no product {product}"))
    }

    /// A fault of this program: what it is goes to the log, and to nobody else.
    pub(super) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(Kind::Internal, "the fault is not yours; its reason is in the server's log")
    }

    pub(super) fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The same, with what was done until then before the detail.
    pub(super) fn behind(mut self, done: &str) -> Self {
        self.0.detail = format!("{done}: {}", self.0.detail);
        self
    }

    /// What happened, for the list of actions.
    pub(super) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// For an answer that the libraries gave without a document.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let kind = match status {
            StatusCode::NOT_FOUND => Kind::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Kind::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Kind::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Kind::UnsupportedMediaType,
            status if status.is_client_error() => Kind::BadRequest,
            _ => Kind::Internal,
        };
        let detail = match kind {
            Kind::NotFound => "nothing is found at this path; /openapi.json lists all that are",
            Kind::MethodNotAllowed => "the header `allow` lists the methods of this path",
            _ => "",
        };
        Self::new(kind, detail)
    }

    /// Writes it down, with the headers that are there already.
    pub(super) fn write(self, instance: &str, repetition: Repetition, mut response: Response) -> Response {
        let Inner { kind, mut detail, errors, headers, is_in_doubt } = *self.0;
        if is_in_doubt {
            detail = format!("{detail}: {}", repetition.advice());
        }
        let (status, word, title) = kind.parts();
        let kind = format!("{TYPE}{word}");
        let document = Document { kind, title, status: status.as_u16(), detail, instance: instance.to_owned(), errors };
        let mut written = (status, Json(document)).into_response();
        let own = written.headers_mut();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        for (name, value) in response.headers() {
            own.entry(name).or_insert_with(|| value.clone());
        }
        own.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        for (name, value) in headers {
            own.insert(name, value);
        }
        written
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.kind.parts().0.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
