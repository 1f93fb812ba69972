//! What a worker sees of many lines by one look: all of a short one, the end of a long one, and nothing of another's.

use restock::{
    ids::{Place, ProductId},
    mysql::many::{self, Look},
};
use sqlx::MySqlPool;

use super::{START_US, execute, fill, shop};

/// People of a line, by number; `false` for who has left it.
async fn line(pool: &MySqlPool, product: i64, people: &[(i64, bool)]) {
    execute(pool, &format!("INSERT INTO product (id, name, stock) VALUES ({product}, 'product {product}', 10)")).await;
    for (n, is_active) in people {
        let sql = "INSERT INTO product_user_notification (product_id, created_at, user_id, is_active)";
        let values = format!("({product}, '2024-01-01' + INTERVAL {n} MICROSECOND, {n}, {is_active})");
        execute(pool, &format!("{sql} VALUES {values}")).await;
    }
}

fn users(look: &Look) -> Option<Vec<(i64, bool)>> {
    let line = look.line.as_ref()?;
    Some(line.iter().map(|person| (person.user.0, person.active)).collect())
}

fn newest(look: &Look) -> Option<i64> {
    look.newest.map(|place| place.0 - START_US)
}

#[tokio::test]
async fn a_look_sees_each_line_for_itself() {
    let shop = shop().await;
    let pool = &shop.stores.mysql;
    line(pool, 10, &[(1, true)]).await;
    line(pool, 11, &[]).await;
    line(pool, 12, &[(1, true), (2, true), (3, false)]).await;
    line(pool, 13, &[(1, false)]).await;
    fill(pool, ProductId(20), 100).await;
    execute(pool, "UPDATE product_user_notification SET is_active = 0 WHERE product_id = 20 AND user_id > 90").await;
    line(pool, 30, &[(7, true)]).await;

    let mut db = pool.acquire().await.expect("MySQL answers");
    // Twice the same, as two lanes of one product ask; one that is unknown; in no order.
    let asked = [30, 20, 12, 10, 99, 11, 13, 10].map(ProductId);
    let looks = many::looks(&mut db, &asked).await.expect("MySQL answers");
    let [after, long, short, one, unknown, empty, left, again] = &looks[..] else { panic!("{looks:?}") };
    assert_eq!(unknown, &None);
    let [after, long, short, one, empty, left] =
        [after, long, short, one, empty, left].map(|look| look.as_ref().expect("it is known"));
    assert_eq!((long.name.as_str(), newest(long), users(long)), ("product", Some(90), None));
    assert_eq!((newest(short), users(short)), (Some(2), Some(vec![(1, true), (2, true), (3, false)])));
    assert_eq!((newest(one), users(one)), (Some(1), Some(vec![(1, true)])));
    assert_eq!(again.as_ref(), Some(one));
    assert_eq!((newest(empty), users(empty)), (None, Some(vec![])));
    assert_eq!((newest(left), users(left)), (None, Some(vec![(1, false)])));
    // Behind a line that was cut off not all was read: it is asked for by itself.
    assert_eq!((after.name.as_str(), newest(after), users(after)), ("product 30", Some(7), None));

    let alone = many::looks(&mut db, &[ProductId(30)]).await.expect("MySQL answers");
    assert_eq!(users(alone[0].as_ref().expect("it is known")), Some(vec![(7, true)]));
    assert_eq!(many::looks(&mut db, &[]).await.expect("nothing is asked"), []);
    assert_eq!(Some(Place(START_US + 7)), alone[0].as_ref().and_then(|look| look.newest));
}
