//! chromedriver, and the commands of WebDriver that are Chromium's own.

use std::{process::Stdio, time::Duration};

use http::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};
use url::{ParseError, Url};

const START_MAX: Duration = Duration::from_secs(60);

/// A running chromedriver, until it is dropped.
pub struct Driver {
    _child: Child,
    /// `http://127.0.0.1:PORT`
    pub url: String,
}

impl Driver {
    /// On a free port.
    pub async fn start() -> Self {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().expect("chromedriver is installed (Debian's chromium-driver)");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let port = timeout(START_MAX, async {
            while let Some(line) = lines.next_line().await.expect("it can be read") {
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    return port.trim_end_matches('.').to_owned();
                }
            }
            panic!("chromedriver ended before it listened");
        });
        let port = port.await.expect("chromedriver listens in time");
        // It must be able to go on writing.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _child: child, url: format!("http://127.0.0.1:{port}") }
    }
}

/// A command of Chromium's own: the end of its path, and its body.
#[derive(Debug)]
pub struct OfChromium(&'static str, Value);

impl OfChromium {
    /// A command of the DevTools protocol.
    pub fn devtools(cmd: &str, params: &Value) -> Self {
        Self("goog/cdp/execute", json!({ "cmd": cmd, "params": params }))
    }

    /// What was written to the console since it was last asked.
    pub fn console() -> Self {
        Self("se/log", json!({ "type": "browser" }))
    }
}

impl fantoccini::wd::WebDriverCompatibleCommand for OfChromium {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}
