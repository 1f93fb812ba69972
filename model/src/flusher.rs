//! Flushers, checks against MySQL, and the losses of Redis.

use crate::{
    Protocol, Rule, promise,
    round::{Product, Row, Status, at},
    state::{Check, Entry, Flusher, Redis, Said, State},
};

impl State {
    /// A flusher gets the lock, and reads the position.
    pub(crate) fn lead(&mut self, flusher: usize) -> Option<()> {
        if self.leader.is_some() || self.flushers[flusher].is_some() {
            return None;
        }
        self.leader = Some(flusher);
        self.flushers[flusher] = Some(Flusher { known: self.mysql.position, ..Flusher::default() });
        Some(())
    }

    /// The leader finds another log than that of the position.
    pub(crate) fn examine(&mut self, protocol: &Protocol, flusher: usize) -> Option<()> {
        let mut own = self.flushers[flusher].clone().filter(|own| own.batch.is_empty())?;
        if self.redis.incarnation == own.known.0 && own.known.0 != 0 {
            return None;
        }
        if self.redis.incarnation == 0 {
            self.redis.incarnation = self.truth.life + 1;
        }
        let to = (self.redis.incarnation, 0);
        if !self.move_position(protocol, &mut own, to) {
            return self.depose(flusher);
        }
        self.flushers[flusher] = Some(own);
        Some(())
    }

    fn depose(&mut self, flusher: usize) -> Option<()> {
        self.flushers[flusher] = None;
        if self.leader == Some(flusher) {
            self.leader = None;
        }
        Some(())
    }

    fn move_position(&mut self, protocol: &Protocol, own: &mut Flusher, to: (u8, u8)) -> bool {
        if self.mysql.position != own.known && protocol.keeps(Rule::Position) {
            return false;
        }
        if to.0 == self.mysql.position.0 && to.1 < self.mysql.position.1 {
            self.breaks(promise::FORWARD);
        }
        (self.mysql.position, own.known) = (to, to);
        true
    }

    /// It reads a batch: one script's entries, or all.
    pub(crate) fn read(&mut self, protocol: &Protocol, flusher: usize, all: bool) -> Option<()> {
        let own = self.flushers[flusher].as_mut().filter(|own| own.batch.is_empty())?;
        if self.redis.incarnation != own.known.0 {
            return None;
        }
        let log = &self.redis.log;
        let script = log
            .iter()
            .position(|entry| !protocol.keeps(Rule::WholeScripts) || !entry.goes_on)
            .map_or(0, |last| last + 1);
        let count = if all { log.len() } else { script };
        if count == 0 || (all && count == script) {
            return None;
        }
        own.batch = log[..count].to_vec();
        own.committed = false;
        Some(())
    }

    /// `flush`: the rows and the position, in one transaction.
    pub(crate) fn flush(&mut self, protocol: &Protocol, flusher: usize) -> Option<()> {
        let mut own = self.flushers[flusher].clone().filter(|own| !own.batch.is_empty() && !own.committed)?;
        if protocol.keeps(Rule::StillLogged) && self.is_overtaken(&own) && !self.is_still_logged(&own) {
            own.batch.clear();
            self.flushers[flusher] = Some(own);
            return Some(());
        }
        let last = own.batch.last()?.id;
        let to = (own.known.0, last.max(own.known.1));
        if !self.move_position(protocol, &mut own, to) {
            return self.depose(flusher);
        }
        for entry in &own.batch {
            self.apply(protocol, entry);
        }
        own.committed = true;
        self.flushers[flusher] = Some(own);
        Some(())
    }

    /// Whether a check has reserved an epoch since something in the batch was written: Redis may have been filled anew.
    fn is_overtaken(&self, own: &Flusher) -> bool {
        own.batch.iter().any(|entry| match entry.said {
            Said::Product(Product { stamp, .. }) | Said::Round(Row { stamp, .. }, _) => {
                stamp.epoch < self.mysql.reserved_epoch
            }
            Said::Request(..) => false,
        })
    }

    /// Whether Redis has lost nothing of the batch: what it loses it loses from the end.
    fn is_still_logged(&self, own: &Flusher) -> bool {
        let last = own.batch.last().map(|entry| entry.id);
        self.redis.incarnation == own.known.0 && self.redis.log.iter().any(|entry| Some(entry.id) == last)
    }

    fn apply(&mut self, protocol: &Protocol, entry: &Entry) {
        match entry.said {
            Said::Product(product) => {
                if product.stamp > self.mysql.product.stamp || !protocol.keeps(Rule::NewerOnly) {
                    if product.stamp < self.mysql.product.stamp {
                        self.breaks(promise::FORWARD);
                    }
                    self.mysql.product = product;
                    self.mysql.reserved_epoch = self.mysql.reserved_epoch.max(product.stamp.epoch);
                }
            }
            Said::Round(row, people) => {
                self.mysql.people[at(row.round)] |= people;
                let old = &mut self.mysql.rounds[at(row.round)];
                let newer = old.is_none_or(|old| row.stamp > old.stamp);
                if newer || !protocol.keeps(Rule::NewerOnly) {
                    let undone = old.is_some_and(|old| old.status == Status::Completed && row.status != old.status);
                    *old = Some(row);
                    if undone || !newer {
                        self.breaks(promise::FORWARD);
                    }
                }
            }
            Said::Request(request, round) => {
                let asked = &mut self.mysql.requests[usize::from(request)];
                if asked.is_none_or(|known| known == 0) {
                    *asked = Some(round);
                }
            }
        }
    }

    /// What MySQL has is deleted from the log.
    pub(crate) fn clean_up(&mut self, flusher: usize) -> Option<()> {
        let own = self.flushers[flusher].as_mut().filter(|own| !own.batch.is_empty())?;
        if !own.committed {
            return None;
        }
        let batch = std::mem::take(&mut own.batch);
        own.committed = false;
        self.redis.log.retain(|entry| !batch.iter().any(|done| done.id == entry.id));
        Some(())
    }

    /// Without its rule: a batch is deleted from the log before MySQL has it.
    pub(crate) fn delete_early(&mut self, protocol: &Protocol, flusher: usize) -> Option<()> {
        let own = self.flushers[flusher].as_ref().filter(|own| !own.batch.is_empty() && !own.committed)?;
        let before = self.redis.log.len();
        if protocol.keeps(Rule::DeleteAfterCommit) {
            return None;
        }
        let batch = own.batch.clone();
        self.redis.log.retain(|entry| !batch.contains(entry));
        (self.redis.log.len() < before).then_some(())
    }

    /// A check reserves an epoch in MySQL and reads what is to be installed: when Redis cannot be trusted, or when the
    /// reconciler finds something missing.
    pub(crate) fn check(&mut self, protocol: &Protocol, slot: usize) -> Option<()> {
        let mysql = &self.mysql;
        let newest = mysql.rounds.iter().flatten().map(|row| row.stamp).max().unwrap_or_default();
        let unfinished = mysql.rounds.iter().flatten().any(|row| row.status.is_open());
        let asked = mysql.requests.contains(&Some(0)) || !self.redis.entries.is_empty();
        let distrusted = self.redis.product.is_none() || self.redis.checked_run != self.run;
        let is_behind = match self.redis.lane {
            None => unfinished,
            Some(lane) if lane.row.status.is_open() && !self.redis.entries.contains(&lane.entry) => true,
            Some(lane) => unfinished && lane.row.stamp < newest,
        };
        let wanted =
            (distrusted && (asked || self.redis.product.is_some())) || (is_behind && protocol.keeps(Rule::Reconcile));
        if self.checks[slot].is_some() || !wanted {
            return None;
        }
        let above = self.redis.product.map_or(0, |product| product.stamp.epoch);
        let epoch = mysql.reserved_epoch.max(mysql.product.stamp.epoch).max(above) + 1;
        let (current, waiting) = self.mysql.current_and_waiting();
        let rounds = mysql.rounds.iter().flatten().map(|row| row.round).max().unwrap_or(0);
        let mut product = mysql.product;
        product.round = product.round.max(rounds);
        self.mysql.reserved_epoch = epoch;
        if let Some(current) = current {
            self.mysql.end_stale(current.round);
        }
        self.checks[slot] = Some(Check { epoch, product, current, waiting, newest });
        Some(())
    }

    /// What was read is installed, unless another check came between or Redis is ahead.
    pub(crate) fn install(&mut self, protocol: &Protocol, slot: usize) -> Option<()> {
        let check = self.checks[slot].take()?;
        self.hydrate(protocol, &check);
        Some(())
    }

    /// Told, but not on record: what a loss of Redis makes good.
    fn excuse_loss(&mut self, protocol: &Protocol) {
        let told = self.truth.sent.iter().zip(&self.mysql.people);
        let unrecorded: u32 = told.map(|(sent, known)| (sent & !known).count_ones()).sum();
        let windows = u8::try_from(self.workers.len()).unwrap_or(0) * protocol.window;
        self.excuse(windows + u8::try_from(unrecorded).unwrap_or(u8::MAX));
        self.truth.life += 1;
    }

    /// FLUSHALL.
    pub(crate) fn lose(&mut self, protocol: &Protocol) -> Option<()> {
        self.excuse_loss(protocol);
        self.redis = Redis { checked_run: self.run, ..Redis::default() };
        Some(())
    }

    /// The disk of Redis gets what its memory holds now; what comes later is lost with the next restart.
    pub(crate) fn save(&mut self) -> Option<()> {
        if self.saved.is_some() {
            return None;
        }
        self.saved = Some(Box::new(self.redis.clone()));
        Some(())
    }

    /// Redis starts again with what its disk holds.
    pub(crate) fn age(&mut self, protocol: &Protocol) -> Option<()> {
        let saved = self.saved.take()?;
        self.excuse_loss(protocol);
        self.redis = *saved;
        self.run += 1;
        Some(())
    }

    /// A flusher dies; or it loses its lock, and goes on with what it has read.
    pub(crate) fn fail_flusher(&mut self, flusher: usize, dies: bool) -> Option<()> {
        self.flushers[flusher].as_ref()?;
        if dies {
            return self.depose(flusher);
        }
        self.leader = self.leader.filter(|leader| *leader != flusher);
        Some(())
    }
}
