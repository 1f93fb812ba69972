//! One thing that cannot be written or read holds back nothing else.

use restock::{ids::ProductId, outcome::Outcome, redis::scripts::Advanced, round::Status};

use super::fixture::{PARTITION, Shop, advance, flush, settled};

const ROUNDS: &str = "SELECT CONCAT_WS(' ', product_id, status) FROM product_notification_history ORDER BY product_id";
const DEAD: &str = "SELECT CONCAT_WS(' ', IFNULL(product_id, '-'), kind, `sqlstate`) FROM log_dead ORDER BY id";

/// What was logged of product 7 is set aside, and the restock after it comes to MySQL.
async fn assert_set_aside(shop: &Shop, entries: usize) {
    shop.restock(7).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(DEAD).await, vec!["7 entry 22000"; entries]);
    assert_eq!(shop.rows(ROUNDS).await, ["7 QUEUED"]);
}

#[tokio::test]
async fn an_entry_of_bytes_that_are_no_text_is_set_aside() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    shop.redis_command(&format!("XADD {} * k \"\\xff\\xfe\" p 7", shop.log_key())).await;
    assert_set_aside(&shop, 1).await;
}

#[tokio::test]
async fn a_time_that_mysql_cannot_hold_is_set_aside() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    let year_100000 = 3_093_527_980_800_000_000_i64;
    let round = "k round p 7 c webhook r 9 s QUEUED n 0,0,0,0 e 1 v 1";
    shop.redis_command(&format!("XADD {} * {round} cur {year_100000}", shop.log_key())).await;
    shop.redis_command(&format!("XADD {} * {round} people 5,101,S,{year_100000};", shop.log_key())).await;
    assert_set_aside(&shop, 2).await;
}

#[tokio::test]
async fn an_entry_that_nobody_can_read_is_set_aside() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    shop.redis_command(&format!("XADD {} * k rumour p 7", shop.log_key())).await;
    assert_set_aside(&shop, 1).await;
}

#[tokio::test]
async fn a_locked_row_costs_neither_the_lead_nor_an_entry() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    shop.restock(7).await;
    let mut lead = shop.lead().await;
    let mut somebody = shop.db().begin().await.unwrap();
    sqlx::query("SELECT id FROM product WHERE id = 7 FOR UPDATE").execute(&mut *somebody).await.unwrap();
    let error = lead.flush().await.unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("Lock wait"), "{error}");
    somebody.rollback().await.unwrap();
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(ROUNDS).await, ["7 QUEUED"]);
}

#[tokio::test]
async fn a_locked_product_holds_back_no_other_products_request_or_lane() {
    let shop = Shop::open().await;
    for product in [7, 8] {
        shop.product(product, 0, &[101]).await;
        shop.restock(product).await;
    }
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    for product in [7, 8] {
        let key = shop.stores.redis.keys().product(PARTITION, ProductId(product));
        let lane = shop.stores.redis.keys().lane(PARTITION, &super::fixture::lane(product));
        shop.redis_command(&format!("DEL {key} {lane}")).await;
    }
    let mut somebody = shop.db().begin().await.unwrap();
    sqlx::query("SELECT id FROM product WHERE id = 7 FOR UPDATE").execute(&mut *somebody).await.unwrap();
    shop.execute("INSERT INTO restock_request (product_id, quantity) VALUES (7, 5), (8, 5)").await;
    lead.relay().await.unwrap();
    assert!(flush(&mut lead).await);
    let states = "SELECT state FROM restock_request ORDER BY id";
    assert_eq!(shop.rows(states).await, ["PENDING", "ACCEPTED"]);
    assert_eq!(lead.reconcile().await.unwrap().checked, 0);
    somebody.rollback().await.unwrap();
    assert_eq!(lead.reconcile().await.unwrap().checked, 1);
}

#[tokio::test]
async fn a_lane_that_cannot_be_read_holds_back_no_other() {
    let shop = Shop::open().await;
    for product in [7, 8, 9] {
        shop.product(product, 0, &[101]).await;
        shop.restock(product).await;
    }
    let line = shop.line(9).await;
    assert_eq!(advance(&mut *shop.take_of(9).await, settled(&line, Outcome::Sent), true).await, Advanced::Completed);
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    let key = |product| shop.stores.redis.keys().lane(PARTITION, &super::fixture::lane(product));
    shop.redis_command(&format!("HSET {} cursor nonsense", key(7))).await;
    shop.redis_command(&format!("DEL {}", key(8))).await;
    assert_eq!(lead.reconcile().await.unwrap().checked, 1);
    assert_eq!(shop.view(8).await.unwrap().status, Status::Queued);
    assert!(flush(&mut lead).await);
    assert_eq!(lead.evict(-1_000).await.unwrap(), 1);
}

#[tokio::test]
async fn a_leader_notices_that_its_lock_is_gone_while_nothing_happens() {
    let shop = Shop::open().await;
    let mut first = shop.lead().await;
    assert!(flush(&mut first).await);
    let holder = "SELECT CAST(IS_USED_LOCK(CONCAT('restock-flush-',
        LEFT(SHA2(CONCAT(DATABASE(), '/', ns.value, '/0'), 256), 32))) AS CHAR)
        FROM setting ns WHERE ns.name = 'namespace'";
    let id = shop.rows(holder).await.remove(0);
    shop.execute(&format!("KILL {id}")).await;
    let start = std::time::Instant::now();
    while first.flush().await.is_ok() {
        assert!(start.elapsed().as_secs() < 10, "it still believes to lead");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_transaction_is_bounded_by_people() {
    let shop = Shop::all_told(7, 24_000).await;
    // Each transaction moves the position once, after its people.
    shop.execute("CREATE TABLE moved (id INT AUTO_INCREMENT PRIMARY KEY, people BIGINT NOT NULL)").await;
    let told = "SELECT COUNT(*) FROM product_user_notification_history";
    shop.execute(&format!(
        "CREATE TRIGGER moves AFTER UPDATE ON flush_position FOR EACH ROW INSERT INTO moved (people) {told}"
    ))
    .await;
    assert!(flush(&mut shop.lead().await).await);
    let mut before = 0;
    for now in shop.rows("SELECT CAST(people AS CHAR) FROM moved ORDER BY id").await {
        let now: u64 = now.parse().unwrap();
        assert!(now - before <= 10_000, "{} people in one transaction", now - before);
        before = now;
    }
    assert_eq!(before, 24_000);
}
