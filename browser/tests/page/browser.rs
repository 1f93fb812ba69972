//! A Chromium without a window, and waiting for what it shows.

use std::{
    panic::resume_unwind,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use fantoccini::{Client, ClientBuilder, Locator, elements::Element};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::driver::{Driver, OfChromium};

pub const DEADLINE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);

/// How a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// `light` or `dark`.
    pub theme: &'static str,
    pub width: u32,
    pub height: u32,
}

/// One browser with one page.
#[derive(Clone)]
pub struct Browser {
    pub client: Client,
}

/// Does something with a browser, and ends that however it came out.
pub async fn with_browser<F: Future<Output = ()> + Send + 'static>(work: impl FnOnce(Browser) -> F) {
    let driver = Driver::start().await;
    let mut args = vec!["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"];
    // Chromium has no sandbox for root, nor in most containers.
    args.push("--no-sandbox");
    let mut options = json!({ "args": args });
    if let Ok(binary) = std::env::var("RESTOCK_CHROMIUM") {
        options["binary"] = binary.into();
    }
    let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
    let Value::Object(capabilities) = wanted else { unreachable!("it is an object") };
    let client = ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&driver.url).await;
    let client = client.expect("chromium starts");
    let ended = tokio::spawn(work(Browser { client: client.clone() })).await;
    // Without that the browser would outlive the test.
    let closed = client.close().await;
    if let Err(error) = ended {
        resume_unwind(error.into_panic());
    }
    closed.expect("chromium ends");
}

impl Browser {
    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.expect("the page is there");
    }

    /// The first element of that CSS selector, as soon as there is one that can be seen.
    pub async fn find(&self, css: &str) -> Element {
        let start = Instant::now();
        loop {
            if let Ok(element) = self.client.find(Locator::Css(css)).await
                && element.is_displayed().await.unwrap_or(false)
            {
                return element;
            }
            assert!(start.elapsed() < DEADLINE, "{css} is not there; the page shows: {}", self.text("body").await);
            sleep(POLL).await;
        }
    }

    /// The text of an element, empty where there is none.
    pub async fn text(&self, css: &str) -> String {
        match self.client.find(Locator::Css(css)).await {
            Ok(element) => element.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Waits until an element shows this.
    pub async fn shows(&self, css: &str, text: &str) {
        self.until(css, &format!("`{text}`"), |shown| shown.contains(text)).await;
    }

    /// Waits until what an element shows is right.
    pub async fn until(&self, css: &str, what: &str, is_right: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !is_right(&self.text(css).await) {
            let shown = self.text("body").await;
            assert!(start.elapsed() < DEADLINE, "{css} does not show {what}; the page shows: {shown}");
            sleep(POLL).await;
        }
    }

    /// Presses a button by the keyboard alone.
    pub async fn press(&self, css: &str) {
        self.find(css).await.send_keys("\u{e007}").await.expect("it takes Enter");
    }

    /// Types into a field and sends its form.
    pub async fn enter(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.expect("it can be emptied");
        field.send_keys(&format!("{text}\u{e007}")).await.expect("it takes text");
    }

    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.expect("the script runs")
    }

    pub async fn devtools(&self, command: &str, params: Value) -> Value {
        self.client.issue_cmd(OfChromium::devtools(command, &params)).await.expect("DevTools takes it")
    }

    /// Shows the page like that from now on.
    pub async fn look(&self, Look { theme, width, height }: Look) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// What is seen, or the whole page, as a PNG.
    pub async fn picture(&self, is_whole: bool) -> Vec<u8> {
        let params = json!({ "format": "png", "captureBeyondViewport": is_whole });
        let shot = self.devtools("Page.captureScreenshot", params).await;
        STANDARD.decode(shot["data"].as_str().expect("a picture")).expect("base64")
    }

    /// Fails when the console has an error or a warning; `is_known` ones aside.
    pub async fn is_quiet(&self, is_known: impl Fn(&str) -> bool) {
        let said = self.client.issue_cmd(OfChromium::console()).await.expect("a log");
        let lines = said.as_array().cloned().unwrap_or_default();
        let is_bad = |line: &&Value| matches!(line["level"].as_str(), Some("SEVERE" | "WARNING"));
        let bad: Vec<&str> = lines
            .iter()
            .filter(is_bad)
            .filter_map(|line| line["message"].as_str())
            .filter(|text| !is_known(text))
            .collect();
        assert!(bad.is_empty(), "the console says: {bad:#?}");
    }
}
