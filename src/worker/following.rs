//! The trace of a lane that somebody follows: a span for the hold, and one for each of its first attempts.

use tracing::{Span, field::Empty, info_span};

use crate::{
    channel::Answer,
    ids::{LaneId, Round},
    trace::{self, TARGET, Traceparent},
};

/// Attempts of a hold with a span of their own: a round of a hundred thousand people must not fill the collector. All
/// others carry the hold's own context.
const SPANS_MAX: u32 = 100;

/// What is passed on to the attempts of a hold; nothing where nobody follows the round.
#[derive(Debug)]
pub(super) struct Following {
    parent: Option<Traceparent>,
    hold: Span,
    spans_left: u32,
}

/// The trace of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Traced {
    /// For the provider.
    pub(super) parent: Option<Traceparent>,
    pub(super) span: Option<Span>,
}

impl Following {
    pub(super) fn new(lane: &LaneId, round: Round, parent: Option<Traceparent>) -> Self {
        let parent = parent.filter(Traceparent::is_sampled);
        if parent.is_none() || !trace::is_on() {
            return Self { parent, hold: Span::none(), spans_left: 0 };
        }
        let hold = info_span!(
            target: TARGET, "round", otel.kind = "consumer", restock.product = %lane.product, restock.round = round.0,
            restock.channel = %lane.channel,
        );
        let hold = trace::child(hold, parent.as_ref());
        Self { parent: trace::of(&hold).or(parent), hold, spans_left: SPANS_MAX }
    }

    pub(super) fn attempt(&mut self) -> Traced {
        if self.spans_left == 0 {
            return Traced { parent: self.parent.clone(), span: None };
        }
        self.spans_left -= 1;
        let span = info_span!(
            target: TARGET, parent: &self.hold, "send", otel.kind = "client", restock.answer = Empty,
            otel.status_code = Empty,
        );
        Traced { parent: trace::of(&span).or_else(|| self.parent.clone()), span: Some(span) }
    }
}

/// Notes what the provider answered.
pub(super) fn note(span: &Span, answer: &Answer) {
    let (said, is_error) = match answer {
        Answer::Delivered => ("delivered", false),
        Answer::Skipped => ("skipped", false),
        Answer::Refused(_) => ("refused", false),
        Answer::Retry { .. } => ("retry", true),
        Answer::Misconfigured(_) => ("misconfigured", true),
    };
    span.record("restock.answer", said);
    if is_error {
        span.record("otel.status_code", "ERROR");
    }
}
