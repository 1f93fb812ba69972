//! The pages that people look at: `/` for whoever is on duty, `/me` for a subscriber. Their files lie in `page/` and are
//! part of the program.
//!
//! They hold nothing of the shop: whatever they show they ask of the routes, with the token that somebody gave them.

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

/// A file of the pages.
#[derive(Clone, Copy)]
struct Asset {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($path:literal $kind:ident $file:literal,)*) => {
        &[$(Asset { path: $path, kind: $kind, bytes: include_bytes!(concat!("../../page/", $file)) },)*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

const ASSETS: &[Asset] = assets! {
    "/" HTML "index.html",
    "/me" HTML "me.html",
    "/page/page.css" STYLE "page.css",
    "/page/icon.svg" PICTURE "icon.svg",
    "/page/api.js" SCRIPT "api.js",
    "/page/dom.js" SCRIPT "dom.js",
    "/page/entries.js" SCRIPT "entries.js",
    "/page/lanes.js" SCRIPT "lanes.js",
    "/page/me.js" SCRIPT "me.js",
    "/page/names.js" SCRIPT "names.js",
    "/page/plot.js" SCRIPT "plot.js",
    "/page/product.js" SCRIPT "product.js",
    "/page/rounds.js" SCRIPT "rounds.js",
    "/page/said.js" SCRIPT "said.js",
    "/page/stream.js" SCRIPT "stream.js",
    "/page/theme.js" SCRIPT "theme.js",
    "/page/words.js" SCRIPT "words.js",
};

/// Nothing from elsewhere, nothing that stands in the HTML itself, no page around it; and a browser that knows trusted
/// types makes no code and no markup of text, so that the name of a product stays a name.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// Asked about each time, and sent only where it is another: a new program must not run beside an old page.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::CACHE_CONTROL, "no-cache"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Whether a route is a file of the pages.
pub(super) fn is_asset(route: &str) -> bool {
    ASSETS.iter().any(|asset| asset.path == route)
}

/// All files of the pages.
pub(super) fn router() -> Router {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let tag = tag_of(asset.bytes);
        router.route(asset.path, get(async move |headers: HeaderMap| answer(*asset, &tag, &headers)))
    })
}

/// Names the content, in quotes.
fn tag_of(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn answer(asset: Asset, tag: &str, headers: &HeaderMap) -> Response {
    let mut response = if is_known(headers, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, asset.kind)], asset.bytes).into_response()
    };
    let headers = response.headers_mut();
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// Whether the caller has it already.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|list| list.split(',')).map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_pages_is_served_and_every_file_that_they_name_is_there() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|file| file.expect("a file").file_name().into_string().expect("a name"))
            .collect();
        files.sort();
        let mut served: Vec<String> = ASSETS
            .iter()
            .map(|asset| match asset.path {
                "/" => "index.html".to_owned(),
                "/me" => "me.html".to_owned(),
                path => path.trim_start_matches("/page/").to_owned(),
            })
            .collect();
        served.sort();
        assert_eq!(served, files);
        for asset in ASSETS {
            let text = std::str::from_utf8(asset.bytes).expect("text");
            for named in text.split(['"', '\'']).filter(|text| text.starts_with("/page/") || text.starts_with("./")) {
                let path = named.strip_prefix("./").map_or_else(|| named.to_owned(), |file| format!("/page/{file}"));
                assert!(is_asset(&path), "{} names {path}", asset.path);
            }
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let tag = tag_of(b"text");
        let known = |value: &str| {
            is_known(&HeaderMap::from_iter([(header::IF_NONE_MATCH, value.parse().expect("a value"))]), &tag)
        };
        assert!(known(&tag) && known(&format!("W/{tag}")) && known(&format!("\"other\", {tag}")) && known("*"));
        assert!(!known("\"other\"") && !known(tag.trim_matches('"')) && !is_known(&HeaderMap::new(), &tag));
    }
}
