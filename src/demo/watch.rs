//! A live bar per lane; plain lines where there is no terminal.

use std::{collections::HashMap, time::Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{data::Product, stage};
use crate::{
    ids::{LaneId, ProductId},
    redis::lane::LaneView,
    stores::Stores,
};

/// The bars of the lanes that are being restocked.
pub(super) struct Watch<'a> {
    stores: &'a Stores,
    products: Vec<&'a Product>,
    /// People told in earlier rounds, by product.
    before: HashMap<i64, u64>,
    bars: Vec<ProgressBar>,
    screen: MultiProgress,
    start: Instant,
    printed_s: u64,
}

impl<'a> Watch<'a> {
    pub(super) fn new(stores: &'a Stores, products: Vec<&'a Product>, before: HashMap<i64, u64>) -> Self {
        let screen = MultiProgress::new();
        let style = ProgressStyle::with_template("{prefix:>8} {bar:40.green/dim} {pos:>4}/{len:<4} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bars = products
            .iter()
            .map(|product| {
                let bar = screen.add(ProgressBar::new(product.line.len() as u64));
                bar.with_style(style.clone()).with_prefix(product.sku.clone())
            })
            .collect();
        Self { stores, products, before, bars, screen, start: Instant::now(), printed_s: 0 }
    }

    /// Says something above the bars.
    pub(super) fn say(&self, text: &str) -> anyhow::Result<()> {
        self.screen.suspend(|| stage::println(text))
    }

    /// Reads all lanes and redraws them.
    pub(super) async fn look(&mut self) -> anyhow::Result<Vec<LaneView>> {
        let mut views = Vec::new();
        for product in &self.products {
            let lane = lane_of(product)?;
            let partition = self.stores.partition_of(lane.product);
            let view = self.stores.redis.read_lanes(partition, &[lane]).await?.pop().flatten();
            views.extend(view);
        }
        for ((view, product), bar) in views.iter().zip(&self.products).zip(&self.bars) {
            bar.set_position(self.told(view, product));
            bar.set_message(message(view));
        }
        if self.screen.is_hidden() && self.start.elapsed().as_secs() > self.printed_s {
            self.printed_s = self.start.elapsed().as_secs();
            for (view, product) in views.iter().zip(&self.products) {
                let (told, all) = (self.told(view, product), product.line.len());
                stage::println(&format!(
                    "  {:>2} s {:>8} {told:>4}/{all:<4} {}",
                    self.printed_s,
                    product.sku,
                    message(view)
                ))?;
            }
        }
        Ok(views)
    }

    fn told(&self, view: &LaneView, product: &Product) -> u64 {
        self.before.get(&product.id).copied().unwrap_or(0) + view.counts.sent
    }

    /// Leaves the bars as they stand.
    pub(super) fn finish(&self) {
        for bar in &self.bars {
            bar.abandon();
        }
    }
}

fn message(view: &LaneView) -> String {
    match view.owner.as_deref().filter(|owner| !owner.is_empty()) {
        Some(owner) if view.status.is_open() => format!("{} by worker {}", view.status, pid_of(owner)),
        _ => view.status.to_string(),
    }
}

/// The process behind a consumer's name.
pub(super) fn pid_of(owner: &str) -> &str {
    owner.split('-').next().unwrap_or(owner)
}

/// The lane of a product.
pub(super) fn lane_of(product: &Product) -> anyhow::Result<LaneId> {
    Ok(LaneId { product: ProductId(product.id), channel: "webhook".parse()? })
}
