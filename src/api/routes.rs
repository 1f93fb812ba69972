//! All paths, what surrounds them, and their description made of the code.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post},
};
use tower_http::{catch_panic::CatchPanicLayer, cors::CorsLayer};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, Content, HeaderBuilder, Ref, RefOr, ResponseBuilder, Schema, SecurityRequirement,
        path::{Operation, Parameter},
        schema::{SchemaType, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    Api, admin, auth, bulk, deployment, guard, inbox, page,
    problem::{self, Problem},
    product, restock, round, stock, stream, subscription,
};
use crate::observe::{self, Observer};

/// Where all paths are; those that other systems of this kind have at the root are there too.
const PREFIX: &str = "/api";
/// Where the description of all paths is, and the page that shows it.
const DESCRIPTION: &str = "/openapi.json";
const PAGE: &str = "/docs";
/// How the tokens are called in the description.
const SCHEME: &str = "token";
const USER_SCHEME: &str = "userToken";
/// How long a browser may remember what it may do, in seconds.
const CORS_MAX_AGE: Duration = Duration::from_secs(600);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Restock",
        description = "Tells everyone who asked for a product that it is back, in the order in which they asked. \
                       Errors are problem documents (RFC 9457).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        contact()
    ),
    components(schemas(problem::Document, problem::FieldError)),
    modifiers(&Tokens)
)]
struct Description;

/// Every operation needs a token.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, description: &mut openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let bearer = bearer.description(Some("A token for producers or for admins, made by `restock-cli token`"));
        let components = description.components.get_or_insert_default();
        components.add_security_scheme(SCHEME, SecurityScheme::Http(bearer.build()));
        let of_user = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let of_user = of_user.description(Some("A user's token, made by the shop or by `restock-cli token user`"));
        components.add_security_scheme(USER_SCHEME, SecurityScheme::Http(of_user.build()));
    }
}

/// The whole server.
pub(super) fn router(api: &Arc<Api>, origins: Vec<HeaderValue>, observer: Observer) -> Router {
    let request_timeout = Duration::from_millis(api.options.request_timeout_ms);
    let bulk_timeout = Duration::from_millis(api.options.bulk_timeout_ms);
    let let_producers = from_fn_with_state(api.clone(), auth::let_producers);
    let let_admins = from_fn_with_state(api.clone(), auth::let_admins);
    let metrics = observe::exposition(observer.clone()).route_layer(let_admins.clone());
    let quick = producers().route_layer(let_producers.clone()).merge(admins().route_layer(let_admins.clone()));
    let quick = quick.merge(users().route_layer(from_fn_with_state(api.clone(), auth::let_users)));
    let quick = quick.route_layer(from_fn_with_state(request_timeout, guard::hurry));
    let bulk = OpenApiRouter::new().routes(routes!(bulk::subscribe)).route_layer(from_fn(guard::refuse_parameters));
    let bulk = bulk.route_layer(let_producers.clone());
    let bulk = bulk.route_layer(from_fn_with_state(bulk_timeout, guard::hurry));
    let (router, mut description) =
        OpenApiRouter::with_openapi(Description::openapi()).nest(PREFIX, quick.merge(bulk)).split_for_parts();
    let at_the_root = Router::new()
        .route(
            RESTOCK,
            post(restock::restock).route_layer(from_fn(guard::refuse_parameters)).route_layer(let_producers.clone()),
        )
        .route(FOLLOW, get(stream::routes::follow_all).route_layer(let_producers))
        .route(RESUME, post(admin::resume).route_layer(from_fn(guard::refuse_parameters)).route_layer(let_admins))
        .route_layer(from_fn_with_state(request_timeout, guard::hurry));
    describe(&mut description);
    let gate = Arc::new(guard::Gate::new(api.clone()));
    let router = router
        .merge(at_the_root)
        .with_state(api.clone())
        .merge(documents(description))
        .merge(page::router())
        // One of our own, or what is merged after the layers would bring one that they do not surround.
        .fallback(async || Problem::of_status(StatusCode::NOT_FOUND))
        .layer(CatchPanicLayer::custom(guard::panicked))
        .layer(from_fn_with_state(gate, guard::admit));
    let router = router.layer(from_fn(observe::track));
    let router = if origins.is_empty() { router } else { router.layer(cors(origins)) };
    // Whoever looks after the process is let in however busy it is, and is no caller that counts.
    // Of two routers the fallback of the second one stands: what no route knows is the API's to answer.
    observe::probes(observer).merge(metrics.layer(from_fn(guard::dress))).merge(router.layer(from_fn(guard::dress)))
}

const RESTOCK: &str = "/products/{productId}/notifications/re-stock";
const FOLLOW: &str = "/products/notifications/stream";
const RESUME: &str = "/admin/products/{productId}/notifications/re-stock";

/// Those that read parameters come last, behind the layer that refuses them.
fn producers() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(restock::restock))
        .routes(routes!(restock::show_request))
        .routes(routes!(product::show, product::put))
        .routes(routes!(stock::show, stock::put))
        .routes(routes!(round::show))
        .routes(routes!(stream::routes::follow_rounds))
        .routes(routes!(subscription::show, subscription::put, subscription::delete))
        .route_layer(from_fn(guard::refuse_parameters))
        .routes(routes!(product::list))
        .routes(routes!(subscription::line))
        .routes(routes!(round::list))
        .routes(routes!(round::recipients))
        .routes(routes!(stream::routes::follow_all))
}

/// For users too, who see what is theirs.
fn users() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(inbox::list))
        .routes(routes!(inbox::read_all))
        .routes(routes!(inbox::read_one))
        .routes(routes!(stream::routes::follow_own))
}

fn admins() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(admin::resume))
        .routes(routes!(admin::cancel))
        .routes(routes!(admin::pause))
        .routes(routes!(admin::unpause))
        .routes(routes!(deployment::show_rate, deployment::put_rate))
        .route_layer(from_fn(guard::refuse_parameters))
        .routes(routes!(deployment::pending))
        .routes(routes!(deployment::dead))
}

/// Whether a route shows nothing of the shop: [`documents`], and the files of the pages.
pub(super) fn is_document(route: &str) -> bool {
    route == DESCRIPTION || route.starts_with(PAGE) || page::is_asset(route)
}

/// `/openapi.json`, and the page at `/docs` that shows it, which comes from this program alone.
fn documents(description: openapi::OpenApi) -> Router {
    let config = Config::new([DESCRIPTION]).try_it_out_enabled(true);
    let page = Router::from(SwaggerUi::new(PAGE).config(config)).layer(from_fn(guard::dress_docs));
    let description = Arc::new(description);
    Router::new().route(DESCRIPTION, get(async move || Json(description.clone()))).merge(page)
}

/// What browsers may do from other origins.
fn cors(origins: Vec<HeaderValue>) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::PUT, Method::POST, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([header::ETAG, header::LOCATION, header::RETRY_AFTER])
        .max_age(CORS_MAX_AGE)
}

/// Adds what all operations have in common, and those that are at the root too.
fn describe(description: &mut openapi::OpenApi) {
    for (path, item) in &mut description.paths.paths {
        let is_admin = ["/admin/", "/pending", "/dead", "/rate"].iter().any(|part| path.contains(part));
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            complete(operation, path, is_admin);
        }
    }
    for path in [RESTOCK, RESUME, FOLLOW] {
        if let Some(mut item) = description.paths.paths.get(&format!("{PREFIX}{path}")).cloned() {
            for operation in [&mut item.post, &mut item.get].into_iter().flatten() {
                operation.operation_id = operation.operation_id.take().map(|id| format!("{id}AtTheRoot"));
            }
            description.paths.paths.insert(path.to_owned(), item);
        }
    }
}

fn complete(operation: &mut Operation, path: &str, is_admin: bool) {
    let is_of_user = path.contains("/users/");
    let schemes = [SCHEME, USER_SCHEME].into_iter().take(1 + usize::from(is_of_user));
    operation.security = Some(schemes.map(|scheme| SecurityRequirement::new(scheme, Vec::<String>::new())).collect());
    let has_body = operation.request_body.is_some();
    let is_named = path.contains('{');
    for (status, needed, what) in [
        ("400", true, "The request cannot be read"),
        ("401", true, "A token is needed"),
        ("403", is_admin, "This needs the token of an admin"),
        ("403", is_of_user, "The token is another user's"),
        ("404", is_named, "There is no such thing"),
        ("408", has_body, "The body did not come in time"),
        ("413", has_body, "The body is too large"),
        ("415", has_body, "The body is of another type"),
        ("421", true, "Without tokens the server is asked by the names of its own machine only"),
        ("422", has_body, "A field cannot be used"),
        ("429", true, "Too many requests; `Retry-After` says when to come again"),
        ("500", true, "Something went wrong here"),
        ("503", true, "A backend does not answer, or too much is in hand; `Retry-After` says when to come again"),
    ] {
        if needed && !operation.responses.responses.contains_key(status) {
            let response = ResponseBuilder::new().description(what).build();
            operation.responses.responses.insert(status.to_owned(), RefOr::T(response));
        }
    }
    // A parameter that may be left out is never null.
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(Parameter { schema: Some(schema), .. }) = parameter {
            leave_out_null(schema);
        }
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) && response.content.is_empty() {
            let document = Content::new(Some(Ref::from_schema_name("Problem")));
            response.content.insert(problem::CONTENT_TYPE.to_owned(), document.into());
        }
        if matches!(status.as_str(), "429" | "503") {
            let header = HeaderBuilder::new().description(Some("Seconds")).build();
            response.headers.insert(header::RETRY_AFTER.as_str().to_owned(), header.into());
        }
    }
}

fn leave_out_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|kind| *kind != Type::Null);
                if let [only] = types.as_slice() {
                    object.schema_type = SchemaType::Type(only.clone());
                }
            }
        }
        RefOr::T(Schema::OneOf(one_of)) => {
            let is_null = |item: &RefOr<Schema>| matches!(item, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null));
            one_of.items.retain(|item| !is_null(item));
            if let [only] = one_of.items.as_slice() {
                *schema = only.clone();
            }
        }
        _ => {}
    }
}
