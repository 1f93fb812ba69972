//! A Redis that is too far away for its pace: nobody is told, and that must not look like idleness.

use std::{process::Stdio, time::Duration};

use restock::demo::receiver::Reaction;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

use super::{
    place,
    proxy::Proxy,
    shop::{DEADLINE, Shop},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_too_far_from_redis_says_so_and_the_doctor_too() {
    let _place = place().await;
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    let proxy = Proxy::start(shop.redis_address(), Duration::from_millis(12)).await;
    let _flusher = shop.flusher();
    shop.product(42, 10, 30).await;
    shop.enqueue(42, 0).await;
    let mut far = shop.role(env!("CARGO_BIN_EXE_restock-worker"));
    far.env("RESTOCK_REDIS_URL", proxy.url()).stderr(Stdio::piped());
    let mut far = far.spawn().expect("the worker starts");
    let mut said = BufReader::new(far.stderr.take().expect("it is piped")).lines();
    loop {
        let line = timeout(DEADLINE, said.next_line()).await.expect("it says so in time").expect("it can be read");
        if line.expect("it runs").contains("Redis is too far away to keep its pace") {
            break;
        }
    }
    assert_eq!(shop.receiver.count(), 0);

    let mut doctor = shop.role(env!("CARGO_BIN_EXE_restock-cli"));
    doctor.env("RESTOCK_REDIS_URL", proxy.url()).args(["doctor", "--json"]);
    let sheet = doctor.output().await.expect("it runs");
    assert_eq!(sheet.status.code(), Some(6));
    let sheet: Value = serde_json::from_slice(&sheet.stdout).expect("it prints JSON");
    let checks = sheet["checks"].as_array().expect("an array");
    let redis = checks.iter().find(|check| check["check"] == "redis").expect("it looks at the distance");
    assert_eq!(redis["level"], "fail", "{redis}");

    // One that is near tells them, as soon as the far one has gone.
    far.kill().await.expect("it is stopped");
    let _near = shop.worker(&["--claim-idle-ms", "1000"]);
    shop.receiver.wait_for(30).await;
}
