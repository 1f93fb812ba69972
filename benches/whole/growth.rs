//! Throughput and memory as the line and the number of products grow: both ought to stay flat.
//! `benches/plots` draws them.

use crate::{
    Options, jobs,
    report::{Report, Row},
    round,
    shop::Shop,
    wire::Wire,
};

const PEOPLE: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
const PRODUCTS: [u64; 5] = [10, 100, 1_000, 10_000, 100_000];

pub(crate) async fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    for people in PEOPLE.into_iter().filter(|people| *people <= options.people) {
        let told = round::once(people).await?;
        let row = Row::new("growth", format!("a round of {people}"), told.per_second, "/s");
        report.add(row.used(&told.used));
    }
    for products in PRODUCTS {
        let shop = Shop::open("null", 0).await?;
        let empty = Wire::open(&shop.servers.redis).await?.used_memory().await?;
        let worked = jobs::work(&shop, products, jobs::LANES[0]).await?;
        report.add(Row::new("growth", format!("{products} products"), worked.jobs, "/s").used(&worked.used));
        if products == PRODUCTS[PRODUCTS.len() - 1] {
            let each = |bytes: u64| bytes.saturating_sub(empty) as f64 / products as f64;
            report.add(Row::new("growth", "Redis memory of a queued job", each(worked.bytes_queued), "B"));
            report.add(Row::new("growth", "Redis memory of a product that was worked", each(worked.bytes_idle), "B"));
        }
    }
    Ok(())
}
