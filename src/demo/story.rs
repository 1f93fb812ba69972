//! The story, act by act.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::{process::Child, time::sleep};

use super::{
    data::{Data, Product},
    stage::{RATE, Stage, println},
    verdict,
    watch::{Watch, pid_of},
};
use crate::{
    ids::{ProductId, Round, UserId},
    producer::{Producer, ProducerError},
    redis::{lane::LaneView, scripts::StockChange},
    round::Status,
};

/// Products that are restocked.
const LANES: usize = 6;
/// Of these, so many get more stock than is bought during the round.
const PLENTY: usize = 2;
const WORKERS: usize = 3;
/// Somebody buys each product this often.
const SALE_EVERY: Duration = Duration::from_millis(200);
/// The worker with most lanes is killed after so many messages.
const KILL_AFTER: usize = 500;
/// No act may take longer.
const ACT_MAX: Duration = Duration::from_secs(45);

/// What the story must remember for the verdict.
pub(super) struct Told<'a> {
    pub(super) products: Vec<&'a Product>,
    /// Where the first round of each lane ended.
    pub(super) first: HashMap<i64, LaneView>,
    /// The rounds of those that were restocked again.
    pub(super) second: HashMap<i64, Round>,
    /// Lanes that the killed worker held.
    pub(super) lanes_lost: usize,
}

pub(super) async fn tell() -> anyhow::Result<bool> {
    let started = Instant::now();
    println(
        "Reading the orders of a real shop (Chen, D. (2015), Online Retail, UCI, CC BY 4.0) and starting servers …",
    )?;
    let (data, stage) = tokio::try_join!(async { tokio::task::spawn_blocking(Data::read).await? }, Stage::set())?;
    let folder = tempfile::tempdir()?;
    let (products, wishes) = data.write(folder.path())?;
    stage.cli(&["migrate"]).await?;
    stage.cli(&["import", "products", &products.to_string_lossy()]).await?;
    println(&format!("{} customers' first purchases stand for wishes to be told:", data.wishes()))?;
    stage.cli(&["import", "subscriptions", &wishes.to_string_lossy()]).await?;

    let wanted = data.most_wanted(LANES);
    println(&format!("\nThe {LANES} most wanted products:"))?;
    for product in &wanted {
        println(&format!("  {:>8}  {:<36} {:>4} people wait", product.sku, product.name, product.line.len()))?;
    }
    let (producer, _flusher) = (stage.producer().await?, stage.flusher()?);
    let mut crew = (0..WORKERS).map(|_| stage.worker()).collect::<anyhow::Result<Vec<_>>>()?;
    let (first, lanes_lost) = first_round(&stage, &producer, &wanted, &mut crew).await?;
    let second = second_round(&producer, &wanted, &first).await?;
    let told = Told { products: wanted, first, second, lanes_lost };
    let right = verdict::give(&stage, producer.stores(), &told).await?;
    producer.stores().redis.close().await;
    println(&format!(
        "\n{:.0} s in all; {}",
        started.elapsed().as_secs_f64(),
        if right { "every figure is right" } else { "A FIGURE IS WRONG" }
    ))?;
    Ok(right)
}

async fn first_round(
    stage: &Stage,
    producer: &Producer,
    wanted: &[&Product],
    crew: &mut Vec<Child>,
) -> anyhow::Result<(HashMap<i64, LaneView>, usize)> {
    println(&format!(
        "\nRound 1: all are restocked, {WORKERS} workers, {RATE} messages a second over all of them. Meanwhile people buy:\n\
         real quantities, in the order in which they were bought, until the stock of {} products is gone.",
        LANES - PLENTY
    ))?;
    for (n, product) in wanted.iter().enumerate() {
        let sales = if n < PLENTY { product.sales.len() } else { 8 + 2 * n };
        let stock: i64 = product.sales.iter().take(sales).sum();
        producer.enqueue(ProductId(product.id), u32::try_from(stock)?, None).await?;
    }
    let mut watch = Watch::new(producer.stores(), wanted.to_vec(), HashMap::new());
    let (start, mut sold, mut lanes_lost) = (Instant::now(), 0, None);
    loop {
        let views = watch.look().await?;
        if lanes_lost.is_none() && stage.receiver.count() >= KILL_AFTER {
            lanes_lost = Some(kill_busiest(&watch, &views, crew).await?);
        }
        if views.len() == wanted.len() && views.iter().all(|view| !view.status.is_open()) {
            watch.finish();
            let first = wanted.iter().map(|product| product.id).zip(views).collect();
            return Ok((first, lanes_lost.context("no worker was killed: the round was too short")?));
        }
        while start.elapsed() > SALE_EVERY * (sold + 1) {
            sell(producer, wanted, sold as usize).await?;
            sold += 1;
        }
        if start.elapsed() > ACT_MAX {
            bail!("round 1 has not ended after {} s", ACT_MAX.as_secs());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// One sale of each product.
async fn sell(producer: &Producer, wanted: &[&Product], nth: usize) -> anyhow::Result<()> {
    for product in wanted {
        let Some(quantity) = product.sales.get(nth) else { continue };
        let id = ProductId(product.id);
        match producer.change_stock(id, StockChange::Add(-quantity)).await {
            Ok(_) => {}
            Err(ProducerError::BelowZero { .. }) => {
                producer.change_stock(id, StockChange::Set(0)).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn kill_busiest(watch: &Watch<'_>, views: &[LaneView], crew: &mut Vec<Child>) -> anyhow::Result<usize> {
    let mut lanes: HashMap<&str, usize> = HashMap::new();
    for owner in views.iter().filter(|view| view.status.is_open()).filter_map(|view| view.owner.as_deref()) {
        *lanes.entry(pid_of(owner)).or_default() += 1;
    }
    let (pid, held) = lanes.into_iter().max_by_key(|(_, held)| *held).context("no worker holds a lane")?;
    let at = crew.iter().position(|child| child.id().is_some_and(|id| id.to_string() == pid));
    let mut victim = crew.swap_remove(at.context("a lane is held by a stranger")?);
    victim.kill().await?;
    watch.say(&format!("  kill -9 {pid}: it held {held} lanes; the others take them over when its leases run out"))?;
    Ok(held)
}

async fn second_round(
    producer: &Producer,
    wanted: &[&Product],
    first: &HashMap<i64, LaneView>,
) -> anyhow::Result<HashMap<i64, Round>> {
    let is_cut =
        |product: &&&Product| first.get(&product.id).is_some_and(|view| view.status == Status::CanceledBySoldOut);
    let cut: Vec<&Product> = wanted.iter().filter(is_cut).copied().collect();
    println(&format!(
        "\nRound 2: the {} that were sold out are restocked. Each goes on with the next person:",
        cut.len()
    ))?;
    let (mut rounds, mut before) = (HashMap::new(), HashMap::new());
    for product in &cut {
        let view = &first[&product.id];
        let last = view.last_user.map_or_else(|| "nobody".to_owned(), |user| user.to_string());
        let next =
            verdict::next_after(product, view).map_or_else(|| "nobody".to_owned(), |UserId(user)| user.to_string());
        println(&format!("  {:>8}  the last told was customer {last}; next is customer {next}", product.sku))?;
        let accepted = producer.enqueue(ProductId(product.id), 100_000, None).await?;
        rounds.insert(product.id, accepted.round.context("Redis did not answer")?);
        before.insert(product.id, view.counts.sent);
    }
    let start = Instant::now();
    let mut watch = Watch::new(producer.stores(), cut.clone(), before);
    loop {
        let views = watch.look().await?;
        if views.iter().zip(&cut).all(|(view, product)| view.round == rounds[&product.id] && !view.status.is_open()) {
            watch.finish();
            return Ok(rounds);
        }
        if start.elapsed() > ACT_MAX {
            bail!("round 2 has not ended after {} s", ACT_MAX.as_secs());
        }
        sleep(Duration::from_millis(50)).await;
    }
}
