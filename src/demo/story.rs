//! The story, act by act.

use std::{
    cell::Cell,
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use console::style;
use indicatif::HumanCount;
use tokio::{task::spawn_blocking, time::sleep};

use super::{
    crew::{Crew, Kill},
    data::{Data, Product},
    stage::{RATE, Stage, say},
    verdict::{self, next_after},
    watch::Watch,
};
use crate::{
    ids::{ProductId, Round},
    local::Companion,
    producer::{Producer, ProducerError},
    redis::{lane::LaneView, scripts::StockChange},
    round::Status,
};

/// Products that are restocked.
const LANES: usize = 6;
/// Of these, so many get more stock than is bought during the round.
const PLENTY: usize = 2;
const WORKERS: usize = 3;
/// Somebody buys each product whenever so many messages have arrived: by messages and not by time, so that a slow machine
/// sees the same story.
const SALE_EVERY: usize = 100;
/// The worker with most lanes is killed after so many messages.
const KILL_AFTER: usize = 500;
/// No act may take longer.
const ACT_MAX: Duration = Duration::from_secs(45);
/// How often the lanes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// And when the story has been told.
const LINGER_EVERY: Duration = Duration::from_millis(500);

/// What the story must remember for the verdict.
pub(super) struct Told<'a> {
    pub(super) products: Vec<&'a Product>,
    /// Where the first round of each lane ended.
    pub(super) first: HashMap<i64, LaneView>,
    /// The rounds of those that were restocked again.
    pub(super) second: HashMap<i64, Round>,
    /// How many were to sell out in the first round.
    pub(super) scarce: usize,
    /// The worker that was killed.
    pub(super) kill: Kill,
}

/// Who is on the stage.
struct Cast<'a> {
    stage: &'a Stage,
    producer: Producer,
    flusher: Companion,
    crew: Crew,
}

impl Cast<'_> {
    /// An error when somebody has left who should be there.
    fn check(&self) -> anyhow::Result<()> {
        self.stage.check()?;
        self.flusher.check_running()?;
        self.crew.check()
    }

    /// Waits a little, unless somebody has left or the act takes too long.
    async fn pause(&self, act: &str, start: Instant) -> anyhow::Result<()> {
        self.check()?;
        ensure!(start.elapsed() < ACT_MAX, "{act} has not ended after {} s", ACT_MAX.as_secs());
        sleep(LOOK_EVERY).await;
        Ok(())
    }
}

pub(super) async fn tell(with_page: bool, verdict: &Cell<Option<bool>>) -> anyhow::Result<bool> {
    let started = Instant::now();
    say("The orders of a real shop (Chen, D. (2015), Online Retail, UCI, CC BY 4.0): that\n\
         somebody bought a thing once stands for their wish to be told of it. The servers\n\
         are just for this run.\n")?;
    let (data, stage) = tokio::try_join!(async { spawn_blocking(Data::read).await? }, Stage::set())?;
    open_shop(&stage, &data).await?;
    let wanted = data.most_wanted(LANES);
    say(&format!("\nThe {LANES} most wanted:"))?;
    for product in &wanted {
        say(&format!("  {:>7}  {:<36} {:>4} people wait", product.sku, product.name, product.line.len()))?;
    }
    let (producer, flusher) = (stage.producer().await?, stage.flusher()?);
    let page = if with_page { Some(stage.page()?) } else { None };
    if let Some((_, url)) = &page {
        say(&format!("\nThe page shows what follows as it happens: {}", style(url).bold()))?;
    }
    let mut cast = Cast { stage: &stage, producer, flusher, crew: Crew::start(&stage, WORKERS)? };
    let played = play(&mut cast, wanted).await;
    // Of a part that is gone all others complain; its own end is the reason.
    cast.check()?;
    let right = played?;
    verdict.set(Some(right));
    let end =
        if right { style("every figure is right").green() } else { style("A FIGURE IS WRONG: see ✗").red().bold() };
    say(&format!("\n{:.0} s in all; {end}", started.elapsed().as_secs_f64()))?;
    if let Some(((api, _), url)) = &page {
        say(&format!("\nEverything runs on: find a product on {url} and restock it. Ctrl-C ends it."))?;
        linger(&cast, api).await?;
    }
    cast.producer.stores().redis.close().await;
    Ok(right)
}

async fn play(cast: &mut Cast<'_>, wanted: Vec<&Product>) -> anyhow::Result<bool> {
    let (first, kill) = first_round(cast, &wanted).await?;
    let second = second_round(cast, &wanted, &first).await?;
    let told = Told { products: wanted, first, second, scarce: LANES - PLENTY, kill };
    verdict::give(cast.stage, cast.producer.stores(), &told).await
}

/// Until somebody has left who should be there.
async fn linger(cast: &Cast<'_>, api: &Companion) -> anyhow::Result<()> {
    loop {
        cast.check()?;
        api.check_running()?;
        sleep(LINGER_EVERY).await;
    }
}

/// Fills MySQL with the commands that a user would give.
async fn open_shop(stage: &Stage, data: &Data) -> anyhow::Result<()> {
    let (products, wishes) = (data.products_csv()?, data.wishes_csv()?);
    let rate = RATE.to_string();
    let mut shown = vec![(vec!["migrate", "--rate", &rate], Vec::new(), "", String::new())];
    let (count, of_products) = (HumanCount(data.products.len() as u64), "< products.csv");
    shown.push((vec!["import", "products", "-"], products, of_products, format!("{count} products")));
    let (count, of_wishes) = (HumanCount(data.wishes() as u64), "< wishes.csv");
    shown.push((vec!["import", "subscriptions", "-"], wishes, of_wishes, format!("{count} wishes")));
    for (arguments, input, from, what) in shown {
        let done = stage.cli(&arguments, input).await;
        stage.check()?;
        done?;
        let command = format!("{} {from}", arguments.join(" "));
        say(format!("$ restock-cli {command:<38}  {what}").trim_end())?;
    }
    Ok(())
}

async fn first_round(cast: &mut Cast<'_>, wanted: &[&Product]) -> anyhow::Result<(HashMap<i64, LaneView>, Kill)> {
    say(&format!(
        "\n{}: all {LANES} are back; {WORKERS} workers, together {RATE} messages a second.\n\
         Meanwhile people buy, as they really did, until {} of the products are gone.",
        style("Round 1").bold(),
        LANES - PLENTY
    ))?;
    for (n, product) in wanted.iter().enumerate() {
        let sales = if n < PLENTY { product.sales.len() } else { 2 + 2 * n };
        let stock: i64 = product.sales.iter().take(sales).sum();
        cast.producer.enqueue(ProductId(product.id), u32::try_from(stock)?, None).await?;
    }
    let stores = cast.producer.stores().clone();
    let mut watch = Watch::new(&stores, wanted.to_vec(), HashMap::new());
    let (start, mut sold, mut killed) = (Instant::now(), 0, None);
    loop {
        let views = watch.look(&cast.crew).await?;
        let received = cast.stage.receiver.count();
        if killed.is_none() && received >= KILL_AFTER {
            killed = cast.crew.kill_busiest(&views, wanted);
            if let Some(Kill { pid, worker, products, .. }) = &killed {
                let (what, lanes) = (style(format!("kill -9 {pid}")).red(), products.len());
                watch.say(&format!(
                    "  {what}: worker {worker}, in the middle of {lanes} products; the others take over"
                ))?;
            }
        }
        if views.iter().all(|view| !view.status.is_open()) {
            watch.finish()?;
            let first = wanted.iter().map(|product| product.id).zip(views).collect();
            return Ok((first, killed.context("no worker was killed: the round was too short")?));
        }
        for nth in sold..received / SALE_EVERY {
            sell(&cast.producer, wanted, nth).await?;
        }
        sold = sold.max(received / SALE_EVERY);
        cast.pause("round 1", start).await?;
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

async fn second_round(
    cast: &Cast<'_>,
    wanted: &[&Product],
    first: &HashMap<i64, LaneView>,
) -> anyhow::Result<HashMap<i64, Round>> {
    let is_cut =
        |product: &&&Product| first.get(&product.id).is_some_and(|view| view.status == Status::CanceledBySoldOut);
    let cut: Vec<&Product> = wanted.iter().filter(is_cut).copied().collect();
    say(&format!(
        "\n{}: the {} that sold out are back. Each goes on with the next person:",
        style("Round 2").bold(),
        cut.len()
    ))?;
    let (mut rounds, mut before) = (HashMap::new(), HashMap::new());
    for product in &cut {
        let view = &first[&product.id];
        let name = |user: Option<_>| user.map_or_else(|| "nobody".to_owned(), |user| format!("customer {user}"));
        let (last, next) = (name(view.last_user), name(next_after(product, view)));
        say(&format!("  {:>7}  the last told was {last}, the next is {next}", product.sku))?;
        let accepted = cast.producer.enqueue(ProductId(product.id), 100_000, None).await?;
        rounds.insert(product.id, accepted.round.context("Redis did not answer")?);
        before.insert(product.id, view.counts.sent);
    }
    let start = Instant::now();
    let mut watch = Watch::new(cast.producer.stores(), cut.clone(), before);
    loop {
        let views = watch.look(&cast.crew).await?;
        if views.iter().zip(&cut).all(|(view, product)| view.round == rounds[&product.id] && !view.status.is_open()) {
            watch.finish()?;
            return Ok(rounds);
        }
        cast.pause("round 2", start).await?;
    }
}
