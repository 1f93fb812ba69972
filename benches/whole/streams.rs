//! Ten thousand open streams on one API: what each costs in memory, and how long a message takes from the start of its attempt
//! until the client has it. First each stream is another user's, and messages come one by one; then all follow everything.

use std::{
    fs,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail, ensure};
use chrono::DateTime;
use restock::{
    channel::{Answer, ChannelOptions, Message, ProductCard, Sender},
    ids::{ProductId, Round, UserId},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    Options,
    report::{Report, Row, say},
    shop::{Role, Shop},
};

const STREAMS: u32 = 10_000;
/// Messages a second, each for one stream: the pace that is usual.
const SINGLE_PER_SECOND: u32 = 500;
const SINGLE: u32 = 5_000;
/// Messages a second that come to every stream.
const SHARED_PER_SECOND: u32 = 5;
const SHARED: u32 = 50;
/// Nothing that is measured here takes so long.
const DEADLINE: Duration = Duration::from_secs(300);
/// Streams that are opened at once.
const OPENING: usize = 200;

pub(crate) async fn run(_: &Options, report: &mut Report) -> anyhow::Result<()> {
    allow_files(u64::from(STREAMS) + 1_000)?;
    let shop = Shop::open("inbox", 0).await?;
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let (streams_max, rate) = ((STREAMS + 100).to_string(), "0");
    let api = shop.role(
        "api",
        env!("CARGO_BIN_EXE_restock-api"),
        &["--listen", &address, "--streams-max", &streams_max, "--requests-per-second", rate],
    )?;
    // The first that is answered says that it is ready.
    let (heard, mut arrivals) = mpsc::unbounded_channel();
    let first = async {
        while open(&address, 1, heard.clone()).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(DEADLINE, first).await.context("the API is not ready")?;

    let before_kib = resident_kib(&api)?;
    let own = open_all(&address, &heard, |user| format!("/api/users/{user}/notifications/stream")).await?;
    let each_kib = (resident_kib(&api)? - before_kib) / f64::from(STREAMS);
    report.add(
        Row::new("streams", format!("memory of one of {STREAMS} open streams"), each_kib, "KiB").goal("20").used(&[]),
    );

    let watch = shop.watch(&[&api]);
    let took = tell(&shop, (SINGLE, SINGLE_PER_SECOND), 1, &mut arrivals).await?;
    let used = watch.read();
    let what = format!("{STREAMS} streams of users, {SINGLE_PER_SECOND} messages/s: start of the attempt to arrival");
    for percent in [50, 99] {
        report.add(Row::new("streams", format!("{what}, p{percent}"), of(&took, percent), "ms").used(&used));
    }
    drop(own);
    closed(&api).await?;
    let _all = open_all(&address, &heard, |_| "/products/notifications/stream".to_owned()).await?;
    while arrivals.try_recv().is_ok() {}
    let watch = shop.watch(&[&api]);
    let took = tell(&shop, (SHARED, SHARED_PER_SECOND), STREAMS as usize, &mut arrivals).await?;
    let used = watch.read();
    let what = format!("each message to {STREAMS} streams, {SHARED_PER_SECOND} messages/s: start to arrival");
    for percent in [50, 99] {
        let goal = if percent == 99 { "100" } else { "" };
        report.add(Row::new("streams", format!("{what}, p{percent}"), of(&took, percent), "ms").goal(goal).used(&used));
    }
    Ok(())
}

/// Both ends of every stream are open here or in the API, which inherits the limit.
fn allow_files(needed: u64) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let why =
            || format!("{needed} open files are needed: raise the limit in this shell, as root: ulimit -Hn {needed}");
        setrlimit(Resource::Nofile, Rlimit { current: Some(needed), ..limit }).with_context(why)?;
    }
    Ok(())
}

/// Opens all streams, and waits until each has begun.
async fn open_all(
    address: &str,
    heard: &mpsc::UnboundedSender<f64>,
    path: impl Fn(u32) -> String,
) -> anyhow::Result<JoinSet<()>> {
    let mut streams = JoinSet::new();
    let (mut opening, mut next) = (JoinSet::new(), 0);
    while next < STREAMS || !opening.is_empty() {
        if next < STREAMS && opening.len() < OPENING {
            next += 1;
            let (address, path, heard) = (address.to_owned(), path(next), heard.clone());
            opening.spawn(async move { open_at(&address, &path, heard).await });
            continue;
        }
        if let Some(opened) = opening.join_next().await {
            streams.spawn(opened??);
        }
    }
    say(&format!("  {STREAMS} streams are open"));
    Ok(streams)
}

async fn open(address: &str, user: u32, heard: mpsc::UnboundedSender<f64>) -> anyhow::Result<()> {
    open_at(address, &format!("/api/users/{user}/notifications/stream"), heard).await.map(drop)
}

/// Asks for a stream and waits until it has begun; then the time of each message is told that comes over it.
async fn open_at(
    address: &str,
    path: &str,
    heard: mpsc::UnboundedSender<f64>,
) -> anyhow::Result<impl Future<Output = ()> + Send + use<>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await?;
    let mut greeting = Vec::new();
    while !greeting.windows(6).any(|part| part == b"retry:") {
        let count = timeout(DEADLINE, stream.read_buf(&mut greeting)).await??;
        ensure!(count > 0 && greeting.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&greeting));
    }
    Ok(async move {
        let mut text = Vec::new();
        while stream.read_buf(&mut text).await.is_ok_and(|count| count > 0) {
            let now_us = wall_us();
            // A message may come in parts: the last line waits for its end.
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                if let Some(at_us) = started_us(&line) {
                    // Nobody listens between two measurements.
                    let _ = heard.send((now_us - at_us) as f64 / 1e3);
                }
            }
        }
    })
}

fn started_us(line: &[u8]) -> Option<i64> {
    let data: serde_json::Value = serde_json::from_slice(line.strip_prefix(b"data: ")?).ok()?;
    Some(DateTime::parse_from_rfc3339(data["timestamp"].as_str()?).ok()?.timestamp_micros())
}

/// Tells people at even steps, by the channel as a worker does; the times in ms, sorted.
async fn tell(
    shop: &Shop,
    (messages, per_second): (u32, u32),
    copies: usize,
    arrivals: &mut mpsc::UnboundedReceiver<f64>,
) -> anyhow::Result<Vec<f64>> {
    #[derive(clap::Parser)]
    struct Defaults {
        #[command(flatten)]
        channels: ChannelOptions,
    }
    let Defaults { channels } = clap::Parser::parse_from(["bench"]);
    let sender: Arc<dyn Sender> = channels.build_on(&shop.stores, &shop.channel).await?;
    let round = Round(u32::try_from(wall_us() / 1_000_000)?);
    let product = Arc::new(ProductCard { id: ProductId(42), sku: None, name: "Party bunting".to_owned() });
    let (mut tick, mut sent) = (interval(Duration::from_secs(1) / per_second), JoinSet::new());
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let send = async {
        for n in 0..messages {
            tick.tick().await;
            let (sender, product, channel) = (sender.clone(), product.clone(), shop.channel.clone());
            let user = UserId(i64::from(n % STREAMS) + 1);
            let message = Message { product, round, channel, user, started_us: wall_us(), traceparent: None };
            sent.spawn(async move { sender.send(message).await });
        }
        while let Some(answer) = sent.join_next().await {
            match answer? {
                Answer::Delivered => {}
                other => bail!("the inbox answered {other:?}"),
            }
        }
        Ok(())
    };
    let wanted = messages as usize * copies;
    let hear = async {
        let mut took = Vec::with_capacity(wanted);
        while took.len() < wanted {
            let Some(ms) = arrivals.recv().await else { break };
            took.push(ms);
        }
        took
    };
    let (sent, took) = tokio::join!(send, timeout(DEADLINE, hear));
    sent?;
    let mut took = took.context("not all messages arrived")?;
    took.sort_by(f64::total_cmp);
    Ok(took)
}

/// Waits until the API has seen that all streams are gone, so that their places are free.
async fn closed(api: &Role) -> anyhow::Result<()> {
    let is_closed = async {
        while fs::read_dir(format!("/proc/{}/fd", api.pid()))?.count() > OPENING {
            sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    timeout(DEADLINE, is_closed).await.context("streams whose clients are gone stay open")?
}

fn of(sorted: &[f64], percent: usize) -> f64 {
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or(0.0)
}

fn resident_kib(role: &Role) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", role.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn wall_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
