//! The page of whoever is on duty, by the keyboard: a restock, a sell-out, going on.

use std::time::Instant;

use serde_json::json;
use tokio::time::sleep;

use super::{
    axe,
    browser::{DEADLINE, with_browser},
    provider::Provider,
    shop::Shop,
};

const PEOPLE: usize = 160;
const NAME: &str = "<img src=x onerror=alert(1)> & 'bunting'";

/// Users from 1001 on.
fn people() -> Vec<String> {
    (1001..).take(PEOPLE).map(|user| user.to_string()).collect()
}

async fn shop_with_people(channel: &str, rate: &str) -> Shop {
    let shop = Shop::open().await;
    shop.cli(&["migrate", "--partitions", "2", "--channels", channel, "--rate", rate]).await;
    shop.cli(&["product", "add", "42", "--name", NAME, "--sku", "47566"]).await;
    let people = people();
    let args: Vec<&str> = ["subscribe", "42"].into_iter().chain(people.iter().map(String::as_str)).collect();
    shop.cli(&args).await;
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restock_is_seen_stopped_by_a_sell_out_and_resumed_by_the_button() {
    let mut shop = shop_with_people("inbox", "25").await;
    let address = shop.serve_with_tokens().await;
    shop.work(&[]);
    let user = shop.token_of(1001).await;
    with_browser(async move |browser| {
        // Nobody is let in without the token, and it is asked for once.
        browser.goto(&format!("http://{address}/")).await;
        browser.find("#token-dialog[open]").await;
        browser.enter("#token-input", &shop.token).await;
        browser.shows("#link", "Live").await;
        browser.shows("#headline", "No round is running and nothing needs you.").await;
        assert_eq!(browser.run("return location.href").await, json!(format!("http://{address}/")));

        // The subscriber, in a window of their own. The token is gone from the address at once.
        let duty = browser.client.window().await.expect("a window");
        let theirs = browser.client.new_window(true).await.expect("a window").handle;
        browser.client.switch_to_window(theirs.clone()).await.expect("it is there");
        browser.goto(&format!("http://{address}/me#token={user}")).await;
        browser.shows("#link", "Live").await;
        browser.shows("#messages-empty", "No message yet").await;
        assert_eq!(browser.run("return location.href").await, json!(format!("http://{address}/me")));

        // A product is found by its code; what somebody called it stays text.
        browser.client.switch_to_window(duty.clone()).await.expect("it is there");
        browser.enter("#find-input", "sku:47566").await;
        browser.shows("#product-title", NAME).await;
        browser.shows("#product", &format!("{PEOPLE} people stand in line.")).await;
        browser.shows("#product", "Customers in their order: 1001, 1002").await;
        assert_eq!(browser.run("return document.querySelectorAll('main img').length").await, json!(0));

        // Who searched stands before what was found.
        assert_eq!(browser.run("return document.activeElement.id").await, json!("product-title"));

        // Restock.
        browser.enter("#restock-pieces", "500").await;
        browser.shows("#sure-text", &format!("{PEOPLE} people who asked are told")).await;
        browser.press("#sure-yes").await;
        browser.shows("#running", NAME).await;
        browser.shows("#headline", "1 round is running").await;
        browser.until("#running", "how many were told", |text| text.contains(" told") && !text.contains("0 of ")).await;

        // The message has come by itself.
        browser.client.switch_to_window(theirs).await.expect("it is there");
        browser.shows("#messages", &format!("{NAME} is back in stock")).await;
        browser.shows("#headline", "1 new message").await;
        browser.press(".message-foot button").await;
        browser.shows("#headline", "My messages").await;
        assert_eq!(browser.run("return document.querySelectorAll('main img').length").await, json!(0));
        browser.is_quiet(|line| line.contains("401 (Unauthorized)")).await;

        // Sold out: the round stops.
        browser.client.switch_to_window(duty).await.expect("it is there");
        browser.enter("#stock-pieces", "0").await;
        browser.shows("#stopped", "Sold out").await;
        browser.shows("#stopped", "The stock was gone.").await;
        browser.shows("#running-empty", "No round is open.").await;
        let stopped = shop.round(42).await;
        assert_eq!(stopped["status"], "CANCELED_BY_SOLD_OUT");
        let told = stopped["sent"].as_u64().expect("a number");
        assert!((1..PEOPLE as u64).contains(&told), "{stopped}");

        // Without stock it cannot go on, and the page says why; with stock it does.
        browser.press("#stopped .actions button").await;
        browser.shows("#stopped .said-no", "Announce a restock, or set the stock first.").await;
        assert_eq!(shop.round(42).await["sent"], told, "nobody was told after the stock was gone");
        axe::check(&browser, "a round that was cut off, and a refusal").await;
        browser.enter("#stock-pieces", "500").await;
        browser.shows("#product .facts", "500").await;
        browser.press("#stopped .actions button").await;
        browser.shows("#done", &format!("{PEOPLE} of {PEOPLE} told")).await;
        let told = shop.json(&["history", "42", "--round", "1"]).await;
        let users: Vec<String> = told.as_array().expect("people").iter().map(|row| row["user"].to_string()).collect();
        assert_eq!(users, people(), "everybody once, in the order of the line");
        // What the server refused is told by the browser too.
        browser.is_quiet(|line| line.contains("409 (Conflict)")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_failed_says_why_and_goes_on_by_the_button() {
    let mut shop = shop_with_people("webhook", "0").await;
    let provider = Provider::start().await;
    provider.answer(42, 401);
    let url = provider.url.clone();
    shop.work(&["--webhook-url", &url]);
    // Without tokens: from this machine everybody may do everything, and nothing is asked.
    let address = shop.serve(&[]).await;
    shop.cli(&["enqueue", "42", "--quantity", "500"]).await;
    with_browser(async move |browser| {
        browser.goto(&format!("http://{address}/#product=42")).await;
        browser.shows("#product-title", NAME).await;
        browser.shows("#failed", "The receiver answered 401: it does not accept us.").await;
        browser.shows("#headline", "1 failed and needs you.").await;
        provider.answer(42, 204);
        browser.press("#failed .actions button").await;
        browser.shows("#done", &format!("{PEOPLE} of {PEOPLE} told")).await;
        browser.shows("#failed-empty", "Nothing.").await;
        browser.shows("#product", "Completed").await;
        // Who listens was told of it in words.
        browser.until("#said", "what happened", |_| true).await;
        browser.enter("#find-input", "sku:none").await;
        browser.shows("#product", "No product has the code none.").await;
        browser.is_quiet(|_| false).await;
        let start = Instant::now();
        let script = "return document.getElementById('said').textContent";
        while !browser.run(script).await.as_str().is_some_and(|said| !said.is_empty()) {
            assert!(start.elapsed() < DEADLINE, "a screen reader hears nothing");
            sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}
