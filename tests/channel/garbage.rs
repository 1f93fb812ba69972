//! Whatever a provider answers, an attempt ends in one of the four answers, in time.

use std::time::{Duration, Instant};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{
    message,
    server::{Reply, Server},
    webhook,
};

/// Something that begins as HTTP does, and something that does not.
fn answer() -> impl Strategy<Value = String> {
    let head = "(content-length|transfer-encoding|retry-after|connection|location|[a-z-]{0,8}): ?([0-9]{0,25}|chunked|close|.{0,20})\r\n";
    let http = ("HTTP/1\\.[01] [1-5][0-9]{2} ?[a-z]{0,10}\r\n", prop::collection::vec(head, 0..6), "\r\n|", ".{0,60}");
    prop_oneof![
        4 => http.prop_map(|(line, heads, end, body)| format!("{line}{}{end}{body}", heads.concat())),
        1 => "HTTP/[0-3]\\.[0-9] [0-9]{1,4} ?.{0,10}\r\n\r\n",
        1 => "(?s).{0,200}",
    ]
}

#[test]
fn whatever_comes_back_is_an_answer_within_the_timeout() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    TestRunner::new(Config { cases: 100, ..Config::default() })
        .run(&answer(), |raw| {
            let told = runtime.block_on(async {
                let given = raw.clone();
                let server = Server::start(move |_| Reply::Raw(given.clone())).await;
                let start = Instant::now();
                let answer = webhook(&server.url(), &["--send-timeout-ms", "50"]).send(message(1)).await;
                (answer, start.elapsed())
            });
            // The machine may be busy; without a limit it would wait for ever.
            prop_assert!(told.1 < Duration::from_secs(10), "{:?} after {raw:?}", told);
            let shown = format!("{:?}", told.0);
            prop_assert!(!shown.contains("127.0.0.1") && !shown.contains("KEY"), "{}", shown);
            Ok(())
        })
        .unwrap();
}
