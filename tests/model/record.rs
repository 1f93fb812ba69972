//! What MySQL holds, as the model and as MySQL show it.

use chrono::NaiveDateTime;
use restock::ids::Place;
use restock_model::{
    State,
    round::{Places, bit},
};
use sqlx::query_as;

use super::{
    picture::{RowPicture, places_of, stamp_of},
    stage::{Stage, number_of, small},
};

/// What both sides hold in MySQL, in one form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    has_stock: bool,
    round: u8,
    stamp: (u8, u8),
    reserved_epoch: u8,
    rounds: Vec<RowPicture>,
    /// Who was told, by round.
    people: Vec<(u8, Places)>,
    /// The rounds of the requests, in the order in which they were made; 0 while they have none.
    requests: Vec<u8>,
}

/// What the model's MySQL holds.
pub(crate) fn of_model(state: &State) -> Record {
    let mysql = &state.mysql;
    let people = mysql.people.iter().zip(1..).filter(|(people, _)| **people != 0);
    Record {
        has_stock: mysql.product.stock,
        round: mysql.product.round,
        stamp: stamp_of(mysql.product.stamp),
        reserved_epoch: mysql.reserved_epoch,
        rounds: mysql.rounds.iter().flatten().map(RowPicture::of).collect(),
        people: people.map(|(people, round)| (round, *people)).collect(),
        requests: mysql.requests.iter().copied().flatten().collect(),
    }
}

type Row = (u32, String, Option<NaiveDateTime>, Option<NaiveDateTime>, Option<NaiveDateTime>, String, i64, u64, u64);

/// What MySQL holds of the product.
pub(crate) async fn of_mysql(stage: &Stage) -> Record {
    let (db, product) = (stage.db(), stage.product.0);
    let place = |at: Option<NaiveDateTime>| number_of(at.map(Place::from_datetime));
    let (stock, round, epoch, version, reserved): (i64, u32, u64, u64, u64) =
        query_as("SELECT stock, restock_round, epoch, version, reserved_epoch FROM product WHERE id = ?")
            .bind(product)
            .fetch_one(db)
            .await
            .expect("MySQL answers");
    let rounds: Vec<Row> = query_as(
        "SELECT restock_round, status, from_place, cursor_place, upto_place, ahead, CAST(started_at IS NOT NULL AS SIGNED),
           epoch, version
         FROM product_notification_history WHERE product_id = ? ORDER BY restock_round",
    )
    .bind(product)
    .fetch_all(db)
    .await
    .expect("MySQL answers");
    let told: Vec<(u32, NaiveDateTime)> = query_as(
        "SELECT restock_round, place FROM product_user_notification_history
         WHERE product_id = ? ORDER BY restock_round, place",
    )
    .bind(product)
    .fetch_all(db)
    .await
    .expect("MySQL answers");
    let requests: Vec<(Option<u32>,)> =
        query_as("SELECT restock_round FROM restock_request WHERE product_id = ? ORDER BY id")
            .bind(product)
            .fetch_all(db)
            .await
            .expect("MySQL answers");
    let mut people: Vec<(u8, Places)> = Vec::new();
    for (round, at) in told {
        let (round, told) = (small(round.into()), bit(place(Some(at))));
        match people.last_mut() {
            Some((last, places)) if *last == round => *places |= told,
            _ => people.push((round, told)),
        }
    }
    let row = |(round, status, from, cursor, upto, ahead, started, epoch, version): Row| RowPicture {
        round: small(round.into()),
        status,
        from: place(from),
        cursor: place(cursor),
        upto: place(upto),
        ahead: places_of(&ahead),
        started: started == 1,
        stamp: (small(epoch), small(version)),
    };
    Record {
        has_stock: stock > 0,
        round: small(round.into()),
        stamp: (small(epoch), small(version)),
        reserved_epoch: small(reserved),
        rounds: rounds.into_iter().map(row).collect(),
        people,
        requests: requests.into_iter().map(|(round,)| small(round.unwrap_or(0).into())).collect(),
    }
}
