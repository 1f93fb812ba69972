//! Sold out: nothing starts on an authorisation given before stock was gone, beyond 250 ms.

use crate::end::End;

/// So long an authorisation lasts, and a bit for two clocks that are read one after the other.
const LAPSE_US: i64 = 250_000 + 5_000;

pub(super) fn check(end: &End) -> Vec<String> {
    let mut wrong = Vec::new();
    for sale in &end.sales {
        // A Redis that lost the sale has stock again: the shop must tell it once more.
        let losses = end.struck.iter().filter(|fault| fault.is_loss() && fault.until_us >= sale.gone_us);
        let until_us = losses.map(|fault| fault.from_us).min().unwrap_or(i64::MAX).min(sale.until_us);
        let first = end.attempts.partition_point(|attempt| attempt.started_us <= sale.gone_us + LAPSE_US);
        let late = end.attempts[first..].iter().take_while(|attempt| attempt.started_us < until_us);
        for attempt in late.filter(|attempt| attempt.product == sale.product) {
            let after_us = attempt.started_us - sale.gone_us;
            let (product, round, user) = (attempt.product, attempt.round, attempt.user);
            wrong.push(format!("product {product} round {round}: user {user} started {after_us} µs after it was gone"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};
    use crate::{
        deck::Kind,
        ledger::{Cost, Sale, Struck},
    };

    #[test]
    fn a_start_after_the_last_piece_is_a_breach_unless_redis_lost_the_sale() {
        let mut end = sample::sound();
        let last_us = end.attempts.last().expect("some").started_us;
        let sale = |gone_us| Sale { product: sample::PRODUCT, gone_us, until_us: i64::MAX };
        end.sales = vec![sale(last_us - LAPSE_US)];
        assert_eq!(check(&end), Vec::<String>::new());
        end.sales = vec![sale(last_us - LAPSE_US - 1)];
        assert_eq!(check(&end).len(), 1);
        end.sales[0].until_us = last_us;
        assert_eq!(check(&end), Vec::<String>::new(), "stock had come in");
        end.sales[0].until_us = i64::MAX;
        let (kind, from_us, cost) = (Kind::RedisKill, last_us - 9, Cost::Unrecorded([].into()));
        end.struck = vec![Struck { kind, from_us, until_us: from_us, cost }];
        assert_eq!(check(&end), Vec::<String>::new());
    }
}
