//! The workers of the demo, by number, and the kill of one of them.

use std::collections::BTreeMap;

use anyhow::Context;

use super::{data::Product, receiver::now_us, stage::Stage};
use crate::{local::Companion, redis::lane::LaneView};

/// A worker's number, from 1.
type Number = usize;

/// Workers that run as processes of their own.
pub(super) struct Crew {
    workers: Vec<Companion>,
    /// The process of each, kept beyond its end.
    pids: Vec<u32>,
    killed: Option<Number>,
}

/// What a kill cut short.
pub(super) struct Kill {
    pub(super) worker: Number,
    pub(super) pid: u32,
    /// The products in the middle of which it was.
    pub(super) products: Vec<i64>,
    /// When it was gone, in µs since the epoch: all that it sent was started before.
    pub(super) gone_us: i64,
}

impl Crew {
    pub(super) fn start(stage: &Stage, size: usize) -> anyhow::Result<Self> {
        let workers = (0..size).map(|_| stage.worker()).collect::<anyhow::Result<Vec<_>>>()?;
        let pids = workers.iter().map(Companion::check_running).collect::<Result<_, _>>()?;
        Ok(Self { workers, pids, killed: None })
    }

    /// An error when a worker has ended that nobody killed.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for (number, worker) in (1..).zip(&self.workers) {
            if self.killed != Some(number) {
                worker.check_running().with_context(|| format!("worker {number}"))?;
            }
        }
        Ok(())
    }

    /// Who works the lane, for people.
    pub(super) fn owner(&self, view: &LaneView) -> Option<String> {
        let number = self.number(view)?;
        let killed = if self.killed == Some(number) { ", killed" } else { "" };
        Some(format!("worker {number}{killed}"))
    }

    fn number(&self, view: &LaneView) -> Option<Number> {
        // A consumer is named `<process>-<random>`.
        let pid: u32 = view.owner.as_deref().filter(|_| view.status.is_open())?.split('-').next()?.parse().ok()?;
        self.pids.iter().position(|known| *known == pid).map(|at| at + 1)
    }

    /// Ends the worker that holds most lanes with SIGKILL; `None` while nobody holds one.
    pub(super) fn kill_busiest(&mut self, views: &[LaneView], products: &[&Product]) -> Option<Kill> {
        let mut held: BTreeMap<Number, Vec<i64>> = BTreeMap::new();
        for (view, product) in views.iter().zip(products) {
            if let Some(worker) = self.number(view) {
                held.entry(worker).or_default().push(product.id);
            }
        }
        let (worker, products) = held.into_iter().max_by_key(|(_, products)| products.len())?;
        self.workers[worker - 1].kill();
        self.killed = Some(worker);
        Some(Kill { worker, pid: self.pids[worker - 1], products, gone_us: now_us() })
    }
}
