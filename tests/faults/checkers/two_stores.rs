//! Two stores: when everything is at rest, MySQL equals Redis.

use crate::{end::End, stage::lane};

pub(super) fn check(end: &End) -> Vec<String> {
    let mut wrong: Vec<String> = end.findings.iter().map(|finding| format!("verify: {finding}")).collect();
    wrong.extend(end.refused.iter().map(|row| format!("MySQL refused {row}")));
    for (product, view) in &end.redis.products {
        let same = end
            .stored
            .get(product)
            .is_some_and(|stored| (stored.stock, stored.round, stored.stamp) == (view.stock, view.round, view.stamp));
        if !same {
            let stored = end.stored.get(product);
            wrong.push(format!("product {product}: Redis has {view:?}, MySQL has {stored:?}"));
        }
    }
    for (product, view) in &end.redis.lanes {
        let stored = end.rounds.get(&(*product, view.round.0));
        let here = view.state(&lane(*product));
        if stored != Some(&here) {
            wrong.push(format!("lane of product {product}: Redis has {here:?}, MySQL has {stored:?}"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use restock::ids::Place;

    use super::{super::sample, *};

    #[test]
    fn a_row_that_differs_is_a_breach() {
        let mut end = sample::sound();
        end.stored.get_mut(&sample::PRODUCT).expect("it is there").stock += 1;
        assert_eq!(check(&end).len(), 1);
        let mut end = sample::sound();
        end.rounds.get_mut(&sample::OF).expect("it is there").cursor = Some(Place(3));
        assert_eq!(check(&end).len(), 1);
        let mut end = sample::sound();
        end.rounds.clear();
        assert_eq!(check(&end).len(), 1, "a lane without a row");
        let mut end = sample::sound();
        end.findings.push("count_differs".to_owned());
        end.refused.push("user 5".to_owned());
        assert_eq!(check(&end).len(), 2);
    }
}
