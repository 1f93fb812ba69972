//! Reading the line: a page at any depth costs a page, and nobody is committed behind a reader.

#[path = "line/looks.rs"]
mod looks;
#[path = "line/order.rs"]
mod order;
mod support;

use std::{process::Stdio, time::Instant};

use restock::{
    ids::{Namespace, Place, ProductId},
    local::{fresh_database_name, fresh_namespace},
    mysql::{
        self, line,
        many::{self, Span},
        schema,
        setting::Settings,
    },
    redis::{
        Patience, Redis,
        scripts::{Enqueue, Enqueued},
    },
    stores::Stores,
};
use sqlx::{AssertSqlSafe, MySqlConnection, MySqlPool};
use support::servers::servers;
use tokio::process::{Child, Command};

const PRODUCT: ProductId = ProductId(1);
const START_US: i64 = 1_704_067_200_000_000;

struct Shop {
    stores: Stores,
    mysql_url: String,
    redis_url: String,
}

async fn execute(pool: &MySqlPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.expect("the statement runs");
}

async fn shop() -> Shop {
    let urls = servers().await;
    let (mysql_url, redis_url) = (urls.database(&fresh_database_name()), urls.redis.clone());
    let url = mysql_url.clone().into();
    schema::create_database(&url).await.expect("MySQL answers");
    let mysql = mysql::connect(&url, 4).await.expect("MySQL answers");
    schema::migrate(&mysql).await.expect("the schema is made");
    let channels = vec!["null".parse().expect("a channel")];
    let settings = Settings::first(fresh_namespace(), 1, channels, 0);
    settings.store_first(&mysql).await.expect("settings are stored");
    let redis = Redis::connect(&redis_url.clone().into(), &settings.namespace, Patience::Short).await;
    Shop { stores: Stores { redis: redis.expect("Redis answers"), mysql, settings }, mysql_url, redis_url }
}

/// Users 1 to `people`, one microsecond after another; `people` is a power of ten.
async fn fill(pool: &MySqlPool, product: ProductId, people: u32) {
    let digit = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL
                 SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    let places = people.ilog10();
    let from: Vec<String> = (0..places).map(|n| format!("{digit} t{n}")).collect();
    let sum: Vec<String> = (0..places).map(|n| format!("t{n}.d * {}", 10_u32.pow(n))).collect();
    let (from, n) = (from.join(" CROSS JOIN "), format!("(1 + {})", sum.join(" + ")));
    execute(pool, &format!("INSERT INTO product (id, name, stock) VALUES ({product}, 'product', 10)")).await;
    execute(
        pool,
        &format!(
            "INSERT INTO product_user_notification (product_id, created_at, user_id)
             SELECT {product}, '2024-01-01' + INTERVAL n MICROSECOND, n FROM (SELECT {n} AS n FROM {from}) numbers ORDER BY n"
        ),
    )
    .await;
}

async fn handler_reads(connection: &mut MySqlConnection) -> Vec<(String, u64)> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SHOW SESSION STATUS LIKE 'Handler_read%'").fetch_all(connection).await.expect("MySQL answers");
    rows.into_iter().map(|(name, count)| (name, count.parse().expect("a number"))).collect()
}

/// Index entries read since then.
async fn reads_since(before: Vec<(String, u64)>, connection: &mut MySqlConnection) -> u64 {
    let now = handler_reads(connection).await;
    let is_read = |name: &str| matches!(name, "Handler_read_key" | "Handler_read_next" | "Handler_read_prev");
    now.iter().zip(before).filter(|((name, _), _)| is_read(name)).map(|((_, now), (_, then))| now - then).sum()
}

#[tokio::test]
async fn first_pages_of_many_lanes_are_those_of_each_whatever_else_stands_in_the_lines() {
    const LIMIT: u32 = 32;
    let shop = shop().await;
    let pool = &shop.stores.mysql;
    // One line is long, most are short; between them are others that nobody asks for.
    for product in 1..=40 {
        fill(pool, ProductId(product), if product == 20 { 10_000 } else { 10 }).await;
    }
    execute(pool, "UPDATE product_user_notification SET is_active = 0 WHERE product_id = 3 AND user_id = 4").await;
    execute(pool, "ANALYZE TABLE product_user_notification").await;
    let place = |n: i64| Place(START_US + n);
    let short: Vec<Span> = (1..=19)
        .map(|product| Span {
            product: ProductId(2 * product - 1),
            after: (product % 2 == 0).then(|| place(7)),
            upto: place(9),
        })
        .collect();
    let long = Span { product: ProductId(20), after: Some(place(5_000)), upto: place(9_000) };
    // Two channels of one product, each somewhere else in its line.
    let twice = [
        Span { after: Some(place(2)), upto: place(4), ..short[0] },
        Span { after: None, upto: place(100), ..short[0] },
    ];
    let mut connection = pool.acquire().await.expect("a connection");
    for (spans, reads_max) in [
        (short.clone(), 4 * 19 * 10),
        ([&short[..], &twice].concat(), 4 * 21 * 10),
        ([&short[..], &[long]].concat(), 4 * u64::from(LIMIT) * 64),
        (vec![long], 4 * u64::from(LIMIT)),
        (vec![], 0),
    ] {
        let before = handler_reads(&mut connection).await;
        let pages = many::pages(&mut connection, &spans, LIMIT).await.expect("MySQL answers");
        let reads = reads_since(before, &mut connection).await;
        assert!(reads <= reads_max, "{} spans: {reads} index entries were read", spans.len());
        assert_eq!(pages.len(), spans.len());
        for (span, page) in spans.iter().zip(pages) {
            let alone = line::page(&mut *connection, span.product, span.after, span.upto, LIMIT).await;
            assert_eq!(page, alone.expect("MySQL answers"), "{span:?}");
        }
    }
}

#[tokio::test]
async fn a_page_in_the_middle_of_a_million_reads_a_page_and_one_index_entries() {
    let shop = shop().await;
    fill(&shop.stores.mysql, PRODUCT, 1_000_000).await;
    execute(&shop.stores.mysql, "ANALYZE TABLE product_user_notification").await;
    let mut connection = shop.stores.mysql.acquire().await.expect("a connection");
    let page_rows = 1_000;
    for after in [0, 500_000, 998_000] {
        let before = handler_reads(&mut connection).await;
        let upto = Place(START_US + 1_000_000);
        let page = line::page(&mut *connection, PRODUCT, Some(Place(START_US + after)), upto, page_rows).await;
        let page = page.expect("MySQL answers");
        assert_eq!((page.len(), page[0].user.0), (1_000, after + 1));
        let reads = reads_since(before, &mut connection).await;
        eprintln!("after {after}: {reads} index entries for a page of {page_rows}");
        assert!(reads <= u64::from(page_rows) + 1, "after {after}: {reads} index entries were read");
    }
}

fn role(shop: &Shop, program: &str) -> Child {
    let namespace: &Namespace = &shop.stores.settings.namespace;
    Command::new(program)
        .env("RESTOCK_REDIS_URL", &shop.redis_url)
        .env("RESTOCK_MYSQL_URL", &shop.mysql_url)
        .env("RESTOCK_NAMESPACE", namespace.as_str())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts")
}

/// Peak memory in KiB of a fresh worker that tells everybody in line.
async fn peak_kib(shop: &Shop, product: ProductId, people: u32) -> u64 {
    fill(&shop.stores.mysql, product, people).await;
    shop.stores.check(product).await.expect("both stores answer");
    let worker = role(shop, env!("CARGO_BIN_EXE_restock-worker"));
    let enqueue = Enqueue {
        partition: shop.stores.partition_of(product),
        product,
        quantity: 0,
        key: None,
        request: None,
        backlog_max: 100_000,
        channels: &shop.stores.settings.channels,
    };
    let start = Instant::now();
    let queued = shop.stores.redis.enqueue(&enqueue).await.expect("Redis answers");
    assert!(matches!(queued, Enqueued::Queued(_)), "{queued:?}");
    loop {
        let status: Option<String> = sqlx::query_scalar(
            "SELECT status FROM product_notification_history WHERE product_id = ? AND ended_at IS NOT NULL",
        )
        .bind(product.0)
        .fetch_optional(&shop.stores.mysql)
        .await
        .expect("MySQL answers");
        match status.as_deref() {
            Some("COMPLETED") => break,
            Some(other) => panic!("the round ended as {other}"),
            None => assert!(start.elapsed().as_secs() < 120, "the round has not ended"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let told: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM product_user_notification_history WHERE product_id = ?")
        .bind(product.0)
        .fetch_one(&shop.stores.mysql)
        .await
        .expect("MySQL answers");
    assert_eq!(told, i64::from(people));
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", worker.id().expect("it runs"))).expect("its status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    let kib = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    eprintln!("{people} people: {kib} KiB at most, {:.1} s until MySQL had all", start.elapsed().as_secs_f64());
    kib
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_workers_memory_does_not_grow_with_the_line() {
    let shop = shop().await;
    let _flusher = role(&shop, env!("CARGO_BIN_EXE_restock-flusher"));
    let small = peak_kib(&shop, ProductId(1), 10_000).await;
    let large = peak_kib(&shop, ProductId(2), 1_000_000).await;
    assert!(large <= small * 12 / 10, "{large} KiB for a million, {small} KiB for ten thousand");
}
