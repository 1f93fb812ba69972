//! A place in a trace, as [W3C Trace Context](https://www.w3.org/TR/trace-context/) writes it.

use std::{fmt, sync::Arc};

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};

/// `00-<trace>-<span>-<flags>`: 55 characters. Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Traceparent(Arc<str>);

const LEN: usize = 55;

impl Traceparent {
    /// Reads one; none for whatever is not of version 00, as the standard wants it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |part: &str, len| {
            part.len() == len && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let is_some = |part: &str| part.bytes().any(|b| b != b'0');
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_well = version == "00"
            && is_hex(trace, 32)
            && is_some(trace)
            && is_hex(span, 16)
            && is_some(span)
            && is_hex(flags, 2)
            && parts.next().is_none();
        is_well.then(|| Self(text.into()))
    }

    pub(super) fn of(context: &SpanContext) -> Self {
        let flags = context.trace_flags().to_u8();
        Self(format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id()).into())
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether somebody wants to see it.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags() & 1 == 1
    }

    fn flags(&self) -> u8 {
        u8::from_str_radix(&self.0[LEN - 2..], 16).unwrap_or(0)
    }

    pub(super) fn context(&self) -> Context {
        let trace = TraceId::from_hex(&self.0[3..35]).unwrap_or(TraceId::INVALID);
        let span = SpanId::from_hex(&self.0[36..52]).unwrap_or(SpanId::INVALID);
        let remote = SpanContext::new(trace, span, TraceFlags::new(self.flags()), true, TraceState::NONE);
        Context::new().with_remote_span_context(remote)
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_the_standard_allows_is_read() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read = Traceparent::parse(good).expect("it is good");
        assert!(read.is_sampled());
        assert_eq!(Traceparent::of(read.context().span().span_context()).as_str(), good);
        assert!(!Traceparent::parse(&good.replace("-01", "-00")).expect("it is good").is_sampled());
        for bad in [
            "",
            "00",
            &good.replace("00-4b", "01-4b"),
            &good.to_uppercase(),
            &good.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &good.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &format!("{good}-00"),
            &good.replace("-01", "-1"),
            &good.replace('b', "\u{e9}"),
        ] {
            assert_eq!(Traceparent::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_passed_on_as_it_came(text in "0[01]-[0-9a-f]{31,33}-[0-9a-f]{16}-[0-9a-f]{2}|.{0,60}") {
            if let Some(read) = Traceparent::parse(&text) {
                let passed = Traceparent::of(read.context().span().span_context());
                prop_assert_eq!(&passed.as_str()[..52], &text[..52]);
            }
        }
    }
}
