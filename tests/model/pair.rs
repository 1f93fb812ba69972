//! The model and the real stores, one step after the other.

use restock_model::{
    Action, Faults, Protocol, Rule, State,
    round::{REQUESTS, ROUNDS},
};

use super::{
    calls::Real,
    picture::{self, Names},
    record,
    reply::Reply,
    stage::Stage,
    steps::{Step, next_of},
};

/// The protocol as the scripts keep it, with room for more than the search goes through.
pub(crate) fn agreed() -> Protocol {
    const MANY: u8 = 200;
    Protocol {
        workers: 2,
        flushers: 1,
        checks: 2,
        requests: REQUESTS,
        people: 3,
        window: 2,
        numbered_calls: true,
        faults: Faults {
            crashes: MANY,
            freezes: MANY,
            lost: MANY,
            aged: MANY,
            sold_out: MANY,
            cancels: MANY,
            resumes: MANY,
            releases: MANY,
            failures: MANY,
            newcomers: 2,
            evictions: MANY,
            flushers: MANY,
        },
        without: None,
    }
}

/// Numbers of the model are small: at most so many entries and tokens.
const CLOCK_MAX: u8 = 240;

/// Both sides.
pub(crate) struct Pair<'a> {
    protocol: Protocol,
    state: State,
    real: Real<'a>,
    names: Names,
    /// The step that was made last, what a worker does by its name.
    last: Step,
}

impl<'a> Pair<'a> {
    pub(crate) async fn new(stage: &'a mut Stage, protocol: Protocol) -> Self {
        stage.next_product().await;
        let state = State::first(&protocol);
        Self { state, protocol, real: Real::new(stage), names: Names::default(), last: Step::FlushAll }
    }

    /// Makes all steps that are possible, and flushes at the end. Answers how many were; an error says where they disagree.
    pub(crate) async fn play(mut self, steps: &[Step]) -> Result<usize, String> {
        let mut done = Vec::new();
        for step in steps.iter().chain(&[Step::FlushAll]) {
            if self.state.clock >= CLOCK_MAX {
                break;
            }
            let agreed = self.step(*step).await;
            match agreed {
                Ok(false) => {}
                Ok(true) => done.push(self.last),
                Err(disagreement) => {
                    let before: String = done.iter().map(|step| format!("  {step:?}\n")).collect();
                    return Err(format!("{disagreement}\nat {:?}, after\n{before}", self.last));
                }
            }
        }
        Ok(done.len())
    }

    /// One step on both sides; false when there is nothing to do.
    async fn step(&mut self, step: Step) -> Result<bool, String> {
        let before = self.state.clone();
        self.last = step;
        match step {
            Step::FlushAll => {
                self.flush_model();
                self.real.stage.flush().await;
            }
            Step::CheckNow => {
                if before.checks[0].is_some() || !self.apply(Action::Check(0)) {
                    return Ok(false);
                }
                self.apply(Action::Hydrate(0));
                self.real.check().await;
            }
            Step::Work(worker) => {
                let possible = |action: &Action| action.apply(&self.protocol, &before).is_some();
                let Some(action) = next_of(worker).into_iter().find(possible) else { return Ok(false) };
                return self.act(action, before).await;
            }
            Step::Do(action) => return self.act(action, before).await,
            Step::Again(call) => {
                let made = self.real.again(call).await;
                self.compare()?;
                return Ok(made);
            }
        }
        self.compare()?;
        self.compare_records().await?;
        Ok(true)
    }

    /// One action on both sides; false when there is nothing to do.
    async fn act(&mut self, action: Action, before: State) -> Result<bool, String> {
        self.last = Step::Do(action);
        // A Redis that comes back without any log is another matter, for the flusher: all products are checked then.
        let is_unlogged = action == Action::SaveRedis && !self.real.stage.has_log();
        if is_unlogged || is_beyond_bounds(&self.protocol, &before, action) {
            return Ok(false);
        }
        let changed = self.apply(action);
        let Some(answered) = self.real.call(action, &before, &self.state, &mut self.names).await else {
            return Ok(changed);
        };
        let expected = Reply::of(action, &self.protocol, &before, &self.state);
        same("the replies differ", &expected, &answered)?;
        self.compare()?;
        if before.mysql != self.state.mysql {
            self.compare_records().await?;
        }
        Ok(true)
    }

    fn apply(&mut self, action: Action) -> bool {
        let after = action.apply(&self.protocol, &self.state);
        let changed = after.is_some();
        self.state = after.unwrap_or_else(|| self.state.clone());
        changed
    }

    /// As the flusher does: it leads, examines the log, and brings all of it to MySQL.
    fn flush_model(&mut self) {
        use Action::*;
        self.apply(Lead(0));
        while [Examine(0), ReadWholeLog(0), ReadLog(0)].into_iter().any(|action| self.apply(action)) {
            self.apply(Flush(0));
            self.apply(DeleteLog(0));
        }
    }

    fn compare(&mut self) -> Result<(), String> {
        let real = picture::of_redis(self.real.stage);
        let model = picture::of_model(&self.state, &mut self.names, &real);
        same("Redis differs", &model, &real)
    }

    async fn compare_records(&self) -> Result<(), String> {
        same("MySQL differs", &record::of_model(&self.state), &record::of_mysql(self.real.stage).await)
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, model: &T, real: &T) -> Result<(), String> {
    if model == real { Ok(()) } else { Err(format!("{what}\nmodel: {model:#?}\nreal:  {real:#?}")) }
}

/// What the model has no room for, or takes as one with what came before: nothing is learned from it.
fn is_beyond_bounds(protocol: &Protocol, before: &State, action: Action) -> bool {
    let known = before.redis.product.filter(|_| before.redis.checked_run == before.run);
    match action {
        Action::Enqueue(request) if before.mysql.requests[request] == Some(0) => {
            let seen = before.redis.seen[request];
            let is_full = before.redis.product.is_some_and(|product| usize::from(product.round) >= ROUNDS);
            let is_logged = action.apply(protocol, before).is_none() && seen != 0 && known.is_some();
            (seen == 0 || !protocol.keeps(Rule::Once)) && is_full || is_logged
        }
        Action::Enqueue(_) => true,
        Action::SellOut => known.is_some_and(|product| !product.stock),
        // With a log that the flusher has left for another one it takes MySQL to have been set back, and checks all.
        Action::AgeRedis => before
            .saved
            .as_ref()
            .is_some_and(|saved| saved.incarnation != 0 && saved.incarnation != before.mysql.position.0),
        Action::Evict => before.redis.product.is_none(),
        _ => false,
    }
}
