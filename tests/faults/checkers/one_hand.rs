//! One hand: within an epoch the cursor never goes back, a hold that was replaced never comes back, and MySQL's state
//! of a round only grows newer.

use std::collections::{BTreeMap, BTreeSet};

use restock::{ids::Place, round::Stamp};

use crate::{end::End, watch::Sighting};

type Of<'a> = (i64, u32, &'a str);
/// The token of the present hold, and those that it replaced.
type Holds<'a> = (Option<&'a str>, BTreeSet<&'a str>);

#[derive(Default)]
struct Past {
    stamp: Stamp,
    cursor: Option<Place>,
}

pub(super) fn check(end: &End) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut rounds: BTreeMap<Of<'_>, Past> = BTreeMap::new();
    // By run of the server: one that lost the end of its AOF knows an earlier hold again, until it is checked.
    let mut holds: BTreeMap<(i64, &str), Holds<'_>> = BTreeMap::new();
    for sighting in &end.sightings {
        let past = rounds.entry((sighting.product, sighting.round, &sighting.run)).or_default();
        wrong.extend(gone_back(past, sighting));
        *past = Past { stamp: sighting.stamp, cursor: sighting.cursor };
        let Some(token) = sighting.token.as_deref() else { continue };
        let (holder, replaced) = holds.entry((sighting.product, &sighting.run)).or_default();
        if *holder != Some(token) {
            replaced.extend(holder.replace(token));
            if replaced.contains(token) {
                let (product, at_us) = (sighting.product, sighting.at_us);
                wrong.push(format!("product {product} at {at_us}: a hold came back that another had replaced"));
            }
        }
    }
    wrong
}

fn gone_back(past: &Past, now: &Sighting) -> Option<String> {
    let is_older = now.stamp < past.stamp;
    let is_back = now.stamp.epoch == past.stamp.epoch && now.cursor < past.cursor;
    (is_older || is_back).then(|| {
        let Sighting { at_us, product, round, stamp, cursor, run, .. } = now;
        let store = if run.is_empty() { "MySQL" } else { "Redis" };
        format!(
            "product {product} round {round} at {at_us}: {store} went back from {:?} at {:?} to {cursor:?} at {stamp:?}",
            past.cursor, past.stamp
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn a_cursor_that_goes_back_within_an_epoch_is_a_breach() {
        let mut end = sample::sound();
        end.sightings[5].cursor = Some(Place(2));
        assert_eq!(check(&end).len(), 1);
        for sighting in &mut end.sightings[5..] {
            sighting.stamp.epoch = 2;
        }
        assert_eq!(check(&end), Vec::<String>::new(), "another epoch");
    }

    #[test]
    fn older_state_or_an_old_hold_is_a_breach() {
        let mut end = sample::sound();
        end.sightings[5].stamp.version = 1;
        assert_eq!(check(&end).len(), 1);
        let mut end = sample::sound();
        end.sightings[4].token = Some("other".to_owned());
        assert_eq!(check(&end).len(), 1);
        for sighting in &mut end.sightings[5..] {
            sighting.run = "another".to_owned();
        }
        assert_eq!(check(&end), Vec::<String>::new(), "a server that was set back");
    }
}
