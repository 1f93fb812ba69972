//! The pages with the products of a real shop: pictures of them for the documentation, and what axe says of what is on them.

use std::{fs, path::Path};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::{
    axe,
    browser::{Browser, Look, with_browser},
    provider::Provider,
    shop::Shop,
};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
const BYTES_MAX: usize = 250_000;
const THEMES: [&str; 2] = ["light", "dark"];
const DESKTOP: (u32, u32) = (1280, 860);
const PHONE: (u32, u32) = (390, 844);

/// Keeps a picture where it is wanted: beside the documentation for `RESTOCK_PICTURES=docs`, else in a folder of that name.
fn keep(name: &str, picture: &[u8]) {
    let folder = match std::env::var("RESTOCK_PICTURES") {
        Err(_) => return,
        Ok(folder) if folder == "docs" => {
            assert!(picture.len() < BYTES_MAX, "{name} has {} bytes", picture.len());
            DOCS.to_owned()
        }
        Ok(folder) => folder,
    };
    fs::write(Path::new(&folder).join(name), picture).expect("it can be written");
}

/// Pictures of a page, dark and light, wide and narrow, and what axe says of it.
async fn look_at(browser: &Browser, page: &str) {
    let is_for_docs = std::env::var("RESTOCK_PICTURES").is_ok_and(|folder| folder == "docs");
    let looks =
        THEMES.into_iter().flat_map(|theme| [DESKTOP, PHONE].map(|(width, height)| Look { theme, width, height }));
    for look in looks.clone() {
        browser.look(look).await;
        if look.width != DESKTOP.0 && !is_for_docs {
            keep(&format!("{page}-{}-phone.png", look.theme), &browser.picture(true).await);
        } else if look.width == DESKTOP.0 && !(is_for_docs && page == "product") {
            keep(&format!("{page}-{}.png", look.theme), &browser.picture(false).await);
        }
    }
    for look in looks {
        browser.look(look).await;
        axe::check(browser, &format!("{page}, {}, {} wide", look.theme, look.width)).await;
    }
}

/// Runs one line of Redis' inline protocol.
async fn redis(line: &str) {
    let url = url::Url::parse(&std::env::var("RESTOCK_TEST_REDIS_URL").expect("a Redis")).expect("a URL");
    let address = (url.host_str().expect("a host").to_owned(), url.port().unwrap_or(6379));
    let mut stream = TcpStream::connect(address).await.expect("Redis is there");
    stream.write_all(format!("{line}\r\n").as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await.expect("it answers");
    assert!(!answer.starts_with('-'), "{line}: {answer}");
}

/// The first customer of the sample, and what they bought first.
const CUSTOMER: i64 = 17850;
const THEIRS: [&str; 7] = ["85123A", "71053", "84406B", "84029G", "84029E", "22752", "21730"];
/// The most wanted: those that are being sent, one that stands still, and those that something happens to.
const SENT: [&str; 5] = ["22423", "47566", "84879", "22720", "20725"];
const PAUSED: &str = "22457";
const UNANSWERED: &str = "85099B";
const REFUSED: &str = "23298";
const SOLD_OUT: [&str; 2] = ["22138", "21212"];

#[tokio::test(flavor = "multi_thread")]
async fn both_pages_let_everybody_in_and_look_as_in_the_documentation() {
    let provider = Provider::start().await;
    let mut shop = Shop::open().await;
    let url = provider.url.clone();
    let worker = ["--webhook-url", &url, "--retry-max", "1", "--retry-budget-ms", "500"];
    shop.up(&[&["--data", "sample", "--channels", "inbox", "--rate", "0"], worker.as_slice()].concat()).await;
    let address = shop.serve_with_tokens().await;
    let token = shop.token_of(CUSTOMER).await;
    with_browser(async move |browser| {
        browser.look(Look { theme: "light", width: DESKTOP.0, height: DESKTOP.1 }).await;
        my_messages(&browser, &shop, &format!("http://{address}/me#token={token}")).await;
        shop.cli(&["settings", "set", "channels=webhook", "rate=60"]).await;
        browser.goto(&format!("http://{address}/")).await;
        browser.enter("#token-input", &shop.token).await;
        browser.shows("#link", "Live").await;
        rounds(&browser, &shop, &provider).await;
        browser.is_quiet(|line| line.contains("401 (Unauthorized)")).await;
    })
    .await;
}

async fn my_messages(browser: &Browser, shop: &Shop, url: &str) {
    browser.goto(url).await;
    browser.shows("#link", "Live").await;
    for sku in THEIRS {
        shop.cli(&["enqueue", &format!("sku:{sku}"), "--quantity", "500", "--wait"]).await;
    }
    browser.shows("#headline", "7 new messages").await;
    for unread in [6, 5] {
        browser.press("#messages > li:last-child .message-foot button, #messages > li:nth-last-child(2) .message-foot button:not([hidden])").await;
        browser.shows("#headline", &format!("{unread} new messages")).await;
    }
    look_at(browser, "me").await;
}

async fn rounds(browser: &Browser, shop: &Shop, provider: &Provider) {
    let sku = |sku: &str| format!("sku:{sku}");
    for (code, status) in [(UNANSWERED, 503), (REFUSED, 422)] {
        let product = shop.json(&["product", "show", &sku(code)]).await;
        provider.answer(product["id"].as_i64().expect("a number"), status);
    }
    let restocked = [PAUSED, UNANSWERED, REFUSED].into_iter().chain(SOLD_OUT).chain(SENT);
    for code in restocked {
        shop.cli(&["enqueue", &sku(code), "--quantity", "5000"]).await;
    }
    shop.cli(&["pause", &sku(PAUSED)]).await;
    // An entry that names no product, as a stranger could write it.
    redis(&format!("XADD {{{}:0}}:jobs:webhook * nonsense 1", shop.namespace())).await;
    browser.shows("#failed", "The receiver answered 503").await;
    browser.shows("#failed", "20 people in a row").await;
    for code in SOLD_OUT {
        shop.cli(&["stock", "set", &sku(code), "0"]).await;
    }
    browser.shows("#stopped", "Sold out").await;
    browser.until("#dead", "the entry that names no product", |text| text.contains("Unreadable entry")).await;
    browser
        .until("#fact-left", "that some of them are told", |text| {
            let left: String = text.chars().filter(char::is_ascii_digit).collect();
            left.parse::<u64>().is_ok_and(|left| left < 2_300)
        })
        .await;
    browser.shows("#running", "worker").await;
    look_at(browser, "page").await;
    browser.look(Look { theme: "light", width: DESKTOP.0, height: DESKTOP.1 }).await;
    browser.enter("#find-input", "sku:22423").await;
    browser.shows("#product-title", "REGENCY CAKESTAND 3 TIER").await;
    look_at(browser, "product").await;
}
