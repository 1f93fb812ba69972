//! A stock check for every single message (`--window 1`) on one lane, beside a loop that only calls `advance`.

use std::time::Instant;

use anyhow::{Context, bail, ensure};
use restock::{
    ids::{Partition, Place, ProductId, UserId},
    mysql::history,
    outcome::{Outcome, Settled},
    producer::BACKLOG_MAX,
    redis::{
        jobs::Jobs,
        scripts::{Advance, Advanced, Begin, BeginReply, Begun, FirstLook, Hold, Places, Settlement, random_hex},
    },
};

use crate::{
    Options,
    report::{Report, Row},
    shop::Shop,
    wire::Wire,
};

/// People of the lane, and calls of the loop.
const PEOPLE: u32 = 30_000;

pub(crate) async fn run(_: &Options, report: &mut Report) -> anyhow::Result<()> {
    let shop = Shop::open("null", 0).await?;
    shop.products(1, 1, PEOPLE.into()).await?;
    shop.products(2, 1, 1).await?;
    let flusher = shop.flusher()?;
    // In a task, as a lane is: in `main` itself each answer would wake another thread, and the limit look lower.
    let limit = tokio::spawn(advance_only(take(&shop, 2).await?.hold)).await??;

    let worker = shop.worker(&["--window", "1"])?;
    let mut wire = Wire::open(&shop.servers.redis).await?;
    let calls_before = wire.script_calls().await?;
    let watch = shop.watch(&[&worker, &flusher]);
    let round = shop.enqueue(1).await?;
    shop.completed(1, round).await?;
    let used = watch.read();
    let calls = wire.script_calls().await? - calls_before;
    ensure!(calls > PEOPLE.into(), "{calls} calls are no stock check for each of {PEOPLE} messages");
    let row = history::round_of(&shop.stores.mysql, &shop.lane(1), round).await?.context("the round is gone")?;
    let (started, ended) = (row.state.started_us.unwrap_or(0), row.state.ended_us.unwrap_or(0));
    let figure = f64::from(PEOPLE) * 1e6 / (ended - started) as f64;
    report.add(
        Row::new("strict", "messages, each with its own stock check", figure, "/s")
            .limit("a loop of advance.lua", limit)
            .goal("0.8, 5,000/s")
            .used(&used),
    );
    Ok(())
}

/// One lane held by this process: settle one, ask for the next, nothing else.
async fn advance_only(mut hold: Hold) -> anyhow::Result<f64> {
    let mut call = |n: u32| {
        let person = Settled {
            place: place(n),
            user: UserId(n.into()),
            outcome: Outcome::Sent,
            at_us: 1_700_000_000_000_000,
            tries: 1,
        };
        let settlement = match n {
            0 => Settlement::default(),
            _ => Settlement {
                cursor: Some(person.place),
                last_user: Some(person.user),
                people: vec![person],
                ..Settlement::default()
            },
        };
        hold.advance(&Advance {
            settlement,
            outstanding: 0,
            exhausted: n == PEOPLE,
            claim_idle_ms: 15_000,
            backlog_max: BACKLOG_MAX,
        })
    };
    let start = Instant::now();
    for n in 0..=PEOPLE {
        match call(n).call().await? {
            Advanced::Go if n < PEOPLE => {}
            Advanced::Completed if n == PEOPLE => {}
            other => bail!("call {n} of advance: {other:?}"),
        }
    }
    Ok(f64::from(PEOPLE) / start.elapsed().as_secs_f64())
}

fn place(n: u32) -> Place {
    Place(1_704_067_200_000_000 + i64::from(n))
}

/// Takes a lane as a worker does.
async fn take(shop: &Shop, product: i64) -> anyhow::Result<Begun> {
    let id = ProductId(product);
    let partition: Partition = shop.stores.partition_of(id);
    let jobs = Jobs::new(shop.stores.redis.clone(), partition, shop.channel.clone(), "bench".to_owned());
    jobs.ensure_groups().await?;
    shop.enqueue(product).await?;
    let entry = jobs.take(Places::any(1)).await?.pop().context("no entry for the lane")?;
    ensure!(entry.lane == shop.lane(product), "the entry is of {}", entry.lane);
    let begin = Begin {
        entry: &entry,
        token: &random_hex(),
        consumer: "bench",
        claim_idle_ms: 15_000,
        attempts_max: 5,
        backlog_max: BACKLOG_MAX,
        look: FirstLook { newest: Some(place(PEOPLE)), ..FirstLook::default() },
    };
    match shop.stores.redis.begin(&begin).await? {
        BeginReply::Go(begun) => Ok(*begun),
        other => bail!("begin answered {other:?}"),
    }
}
