//! What a provider's HTTP answer means, or its absence: the table of `docs/contract.md`, section Webhook.
//!
//! Reasons are for people. None holds an address, a body or a secret; those of attempts that got no answer begin
//! with `no answer: `.

use std::{
    error::Error,
    fmt, io,
    time::{Duration, SystemTime},
};

use reqwest::StatusCode;
use rustls::CertificateError;

use super::Answer;

/// A Retry-After beyond this counts as this: it is past every retry budget, and can be added to any clock.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A host name that could not be resolved. Holds neither the name nor the resolver's words.
#[derive(Debug)]
pub(super) struct NameError;

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("host name not resolved")
    }
}

impl Error for NameError {}

/// The answer of a status. `after` counts where we may try again.
pub(super) fn of_status(status: StatusCode, after: Option<Duration>) -> Answer {
    let reason = || format!("webhook answered {}", status.as_u16());
    match status.as_u16() {
        200..=299 => Answer::Delivered,
        410 | 422 => Answer::Refused(reason()),
        408 | 425 | 429 | 500..=599 => Answer::Retry { reason: reason(), after, answered: true },
        300..=399 => Answer::Misconfigured(format!("{}; redirects are not followed", reason())),
        _ => Answer::Misconfigured(reason()),
    }
}

/// A Retry-After in either form of RFC 9110, 10.2.3: seconds, or a date. A date that has passed is zero; what is
/// neither counts as absent.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let after = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only a number too large for u64 fails here.
        value.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs)
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()
    };
    Some(after.min(RETRY_AFTER_MAX))
}

/// The answer of an attempt that nobody answered.
pub(super) fn no_answer(what: impl fmt::Display) -> Answer {
    Answer::Retry { reason: format!("no answer: {what}"), after: None, answered: false }
}

/// The answer of a request that ended without a response.
///
/// The libraries nest their errors; the first cause that is certain decides, else the innermost system error.
pub(super) fn of_error(error: &reqwest::Error) -> Answer {
    if error.is_builder() {
        return Answer::Misconfigured("the webhook's URL is not valid".to_owned());
    }
    let mut kind = None;
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(answer) = of_cause(cause) {
            return answer;
        }
        next = cause.source();
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            kind = Some(error.kind());
            // `source` of an I/O error skips the error it wraps.
            if let Some(inner) = error.get_ref() {
                next = Some(inner);
            }
        }
    }
    match kind {
        None | Some(io::ErrorKind::Other) => no_answer("connection failed"),
        Some(kind) => no_answer(kind),
    }
}

fn of_cause(cause: &(dyn Error + 'static)) -> Option<Answer> {
    if cause.is::<NameError>() {
        return Some(no_answer(NameError));
    }
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(Answer::Misconfigured(of_tls(error).to_owned()));
    }
    let error = cause.downcast_ref::<hyper::Error>()?;
    if error.is_parse() {
        Some(Answer::Misconfigured("webhook's answer is not HTTP".to_owned()))
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        Some(no_answer("connection closed"))
    } else {
        None
    }
}

fn of_tls(error: &rustls::Error) -> &'static str {
    use CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            "webhook's certificate does not verify: it has expired"
        }
        rustls::Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            "webhook's certificate does not verify: it is for another name"
        }
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer) => {
            "webhook's certificate does not verify: unknown issuer"
        }
        rustls::Error::InvalidCertificate(_) => "webhook's certificate does not verify",
        _ => "webhook and we do not agree on TLS",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_status_means_what_the_contract_says() {
        let after = Some(Duration::from_secs(7));
        for code in 200..=999 {
            let answer = of_status(StatusCode::from_u16(code).unwrap(), after);
            let reason = format!("webhook answered {code}");
            let expected = match code {
                200..=299 => Answer::Delivered,
                410 | 422 => Answer::Refused(reason),
                408 | 425 | 429 | 500..=599 => Answer::Retry { reason, after, answered: true },
                300..=399 => Answer::Misconfigured(reason + "; redirects are not followed"),
                _ => Answer::Misconfigured(reason),
            };
            assert_eq!(answer, expected);
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 90);
        let secs = |secs| Some(Duration::from_secs(secs));
        for (value, expected) in [
            ("120", secs(120)),
            (" 0 ", secs(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", secs(90)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", secs(90)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", secs(0)),
            ("99999999", Some(RETRY_AFTER_MAX)),
            ("99999999999999999999999", Some(RETRY_AFTER_MAX)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(value, now), expected, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_retry_after_says_it_is_at_most_a_day(value in "[0-9]{0,30}|.{0,40}|[A-Z][a-z]{2}, [0-9 A-Za-z:]{1,30} GMT") {
            let after = retry_after(&value, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777));
            prop_assert!(after.is_none_or(|after| after <= RETRY_AFTER_MAX));
        }
    }
}
