//! A live line per lane on a terminal; elsewhere a row a second, and the lines as they stand in the end.

use std::{collections::HashMap, time::Instant};

use anyhow::Context;
use console::style;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{crew::Crew, data::Product, stage::say};
use crate::{
    ids::{LaneId, ProductId},
    redis::lane::LaneView,
    round::Status,
    stores::Stores,
};

const BAR_WIDTH: usize = 30;

/// The lines of the lanes that are being restocked.
pub(super) struct Watch<'a> {
    stores: &'a Stores,
    products: Vec<&'a Product>,
    /// People told in earlier rounds, by product.
    before: HashMap<i64, u64>,
    bars: Vec<ProgressBar>,
    screen: MultiProgress,
    start: Instant,
    /// Seconds for which a row was printed; none on a terminal.
    printed_s: Option<u64>,
    /// The lines as they are now.
    lines: Vec<String>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(stores: &'a Stores, products: Vec<&'a Product>, before: HashMap<i64, u64>) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = |_: &_| screen.add(ProgressBar::no_length().with_style(style.clone()));
        let bars = products.iter().map(bar).collect();
        let printed_s = screen.is_hidden().then_some(0);
        Self { stores, products, before, bars, screen, start: Instant::now(), printed_s, lines: Vec::new() }
    }

    /// Says something above the lines.
    pub(super) fn say(&self, text: &str) -> anyhow::Result<()> {
        self.screen.suspend(|| say(text))
    }

    /// Reads all lanes and draws them again.
    pub(super) async fn look(&mut self, crew: &Crew) -> anyhow::Result<Vec<LaneView>> {
        let mut views = Vec::new();
        for product in &self.products {
            let lane = lane_of(product)?;
            let partition = self.stores.partition_of(lane.product);
            let view = self.stores.redis.read_lanes(partition, &[lane]).await?.pop().flatten();
            views.push(view.with_context(|| format!("Redis has lost the lane of {}", product.sku))?);
        }
        self.lines = views.iter().zip(&self.products).map(|(view, product)| self.line(view, product, crew)).collect();
        for (line, bar) in self.lines.iter().zip(&self.bars) {
            bar.set_message(line.clone());
        }
        self.print_row(&views)?;
        Ok(views)
    }

    fn line(&self, view: &LaneView, product: &Product, crew: &Crew) -> String {
        let (told, all) = (self.told(view, product), product.line.len());
        let full = BAR_WIDTH * usize::try_from(told).unwrap_or(all).min(all) / all.max(1);
        let (full, rest) = ("━".repeat(full), "─".repeat(BAR_WIDTH - full));
        let status = view.status.to_string();
        let (full, status) = match view.status {
            Status::Completed => (style(full).green(), style(status).green()),
            Status::Queued | Status::InProgress => (style(full).cyan(), style(status)),
            _ => (style(full).yellow(), style(status).yellow()),
        };
        let owner = crew.owner(view).map(|owner| format!("  {owner}")).unwrap_or_default();
        format!("  {:>7}  {full}{}  {told:>4} of {all}  {status}{owner}", product.sku, style(rest).dim())
    }

    /// Where nothing can be drawn again: how many have been told, once a second.
    fn print_row(&mut self, views: &[LaneView]) -> anyhow::Result<()> {
        let elapsed_s = self.start.elapsed().as_secs();
        let Some(printed_s) = self.printed_s.as_mut().filter(|printed_s| **printed_s < elapsed_s) else {
            return Ok(());
        };
        let is_first = std::mem::replace(printed_s, elapsed_s) == 0;
        if is_first {
            let skus: Vec<String> = self.products.iter().map(|product| format!("{:>8}", product.sku)).collect();
            say(&format!("   told{}", skus.concat()))?;
        }
        let told = |(view, product): (&LaneView, &&Product)| format!("{:>8}", self.told(view, product));
        let cells: Vec<String> = views.iter().zip(&self.products).map(told).collect();
        say(&format!("  {elapsed_s:>3} s{}", cells.concat()))
    }

    fn told(&self, view: &LaneView, product: &Product) -> u64 {
        self.before.get(&product.id).copied().unwrap_or(0) + view.counts.sent
    }

    /// Leaves the lines as they stand.
    pub(super) fn finish(&self) -> anyhow::Result<()> {
        self.bars.iter().for_each(ProgressBar::abandon);
        if self.printed_s.is_some() {
            self.lines.iter().try_for_each(|line| say(line))
        } else {
            // The cursor stands behind the last line.
            say("")
        }
    }
}

/// The lane of a product.
pub(super) fn lane_of(product: &Product) -> anyhow::Result<LaneId> {
    Ok(LaneId { product: ProductId(product.id), channel: "webhook".parse()? })
}
