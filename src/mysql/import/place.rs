//! Finding a free place for each imported subscription: its own time, or the first free microsecond after it.
//!
//! Whoever has the same time as somebody before them in the file comes to stand after them.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::NaiveDateTime;
use sqlx::MySqlConnection;

use super::subscriptions::Wish;
use crate::ids::{Place, ProductId};

/// Taken places read at a time, where one after the other is taken.
const WALK_ROWS: u32 = 2_000;

/// A subscription and the place found for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) wish: Wish,
    pub(super) place: Place,
}

/// The last place found in each product, so that a long run of equal times is not walked again in every batch.
#[derive(Debug, Default)]
pub(super) struct LastPlaces(HashMap<ProductId, Placed>);

impl LastPlaces {
    pub(super) fn remember(&mut self, placed: &[Placed]) {
        self.0.extend(placed.iter().map(|placed| (placed.wish.product, *placed)));
    }

    /// The first place that this one may have.
    fn earliest(&self, wish: &Wish) -> Place {
        match self.0.get(&wish.product) {
            Some(last) if last.wish.at == wish.at => Place(last.place.0 + 1),
            _ => wish.at,
        }
    }
}

/// Finds the places of these, sorted by product and time, under the locks of their lines.
pub(super) async fn find_places(
    tx: &mut MySqlConnection,
    wishes: &[Wish],
    last: &LastPlaces,
) -> sqlx::Result<Vec<Placed>> {
    let mut first_try: Vec<Placed> = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let place = after_neighbour(last.earliest(wish), wish, first_try.last());
        first_try.push(Placed { wish: *wish, place });
    }
    let taken = taken_places(tx, &first_try).await?;
    if taken.is_empty() {
        return Ok(first_try);
    }
    let mut walk = Walk::default();
    let mut placed: Vec<Placed> = Vec::with_capacity(wishes.len());
    for tried in first_try {
        let mut place = after_neighbour(tried.place, &tried.wish, placed.last());
        // Only a place of the first try is known to be free.
        if place != tried.place || taken.contains(&(tried.wish.product, place)) {
            place = walk.first_free(tx, tried.wish.product, place).await?;
        }
        placed.push(Placed { place, ..tried });
    }
    Ok(placed)
}

fn after_neighbour(place: Place, wish: &Wish, neighbour: Option<&Placed>) -> Place {
    match neighbour {
        Some(before) if before.wish.product == wish.product => place.max(Place(before.place.0 + 1)),
        _ => place,
    }
}

/// Which of these places somebody has already.
async fn taken_places(tx: &mut MySqlConnection, placed: &[Placed]) -> sqlx::Result<HashSet<(ProductId, Place)>> {
    let format = "%Y-%m-%d %H:%M:%S%.6f";
    let places: Vec<(i64, String)> =
        placed.iter().map(|row| (row.wish.product.0, row.place.datetime().format(format).to_string())).collect();
    let places = serde_json::to_string(&places).map_err(crate::mysql::decode_error)?;
    let taken: Vec<(i64, NaiveDateTime)> = sqlx::query_as(
        "SELECT t.product_id, t.created_at
         FROM JSON_TABLE(?, '$[*]' COLUMNS (p BIGINT PATH '$[0]', c DATETIME(6) PATH '$[1]')) AS j
         STRAIGHT_JOIN product_user_notification t FORCE INDEX (PRIMARY) ON t.product_id = j.p AND t.created_at = j.c",
    )
    .bind(places)
    .fetch_all(tx)
    .await?;
    Ok(taken.into_iter().map(|(product, at)| (ProductId(product), Place::from_datetime(at))).collect())
}

/// Taken places that were read last: all of those of one product in `from..=upto`.
#[derive(Debug, Default)]
struct Walk {
    covers: Option<(ProductId, Place, Place)>,
    taken: BTreeSet<Place>,
}

impl Walk {
    async fn first_free(
        &mut self,
        tx: &mut MySqlConnection,
        product: ProductId,
        mut place: Place,
    ) -> sqlx::Result<Place> {
        loop {
            let is_covered =
                self.covers.is_some_and(|(of, from, upto)| of == product && from <= place && place <= upto);
            if !is_covered {
                self.read(tx, product, place).await?;
            } else if self.taken.contains(&place) {
                place = Place(place.0 + 1);
            } else {
                return Ok(place);
            }
        }
    }

    async fn read(&mut self, tx: &mut MySqlConnection, product: ProductId, from: Place) -> sqlx::Result<()> {
        let rows: Vec<NaiveDateTime> = sqlx::query_scalar(
            "SELECT created_at FROM product_user_notification FORCE INDEX (PRIMARY)
             WHERE product_id = ? AND created_at >= ? ORDER BY created_at LIMIT ?",
        )
        .bind(product.0)
        .bind(from.datetime())
        .bind(WALK_ROWS)
        .fetch_all(tx)
        .await?;
        let is_all = u32::try_from(rows.len()).is_ok_and(|count| count < WALK_ROWS);
        self.taken = rows.into_iter().map(Place::from_datetime).collect();
        let upto = self.taken.last().copied().filter(|_| !is_all).unwrap_or(Place(i64::MAX));
        self.covers = Some((product, from, upto));
        Ok(())
    }
}
