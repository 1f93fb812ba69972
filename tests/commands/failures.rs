//! What goes wrong: a store that does not answer, a schema that is not there, a bad CSV.

use super::shop::Shop;

#[tokio::test]
async fn an_unreachable_mysql_is_5() {
    let shop = Shop::empty().await.without_mysql();
    for args in [&["enqueue", "42"][..], &["status"], &["stock", "set", "42", "1"], &["resume", "42"], &["migrate"]] {
        shop.run(args).await.fails(5, &["MySQL at 127.0.0.1:", "--mysql-url", "RESTOCK_MYSQL_URL"]);
    }
}

#[tokio::test]
async fn an_unreachable_redis_is_5_but_requests_are_kept() {
    let shop = Shop::open().await;
    let dark = shop.without_redis();
    let words = ["Redis at 127.0.0.1:", "--redis-url", "RESTOCK_REDIS_URL"];
    for args in [
        // Checked before whether there is such a product.
        &["stock", "set", "999", "1"][..],
        &["cancel", "42"],
        &["resume", "42"],
        &["enqueue", "42", "--direct"],
    ] {
        dark.run(args).await.fails(5, &words);
    }
    let kept = dark.json(&["enqueue", "42", "--key", "k1"]).await;
    assert!(kept["round"].is_null() && kept["request"].is_i64(), "{kept}");
    dark.run(&["enqueue", "42", "--key", "k1", "--quantity", "1"]).await.fails(4, &["k1"]);
    let status = dark.done(&["status"]).await;
    assert!(status.stderr.contains("Redis at 127.0.0.1:"), "{status:?}");
    let later = shop.json(&["enqueue", "42", "--key", "k1"]).await;
    assert_eq!((&later["round"], &later["request"]), (&1.into(), &kept["request"]));
}

#[tokio::test]
async fn a_wrong_address_is_told_in_words() {
    let shop = Shop::open().await;
    let at = |redis_url: &str, mysql_url: &str| Shop {
        redis_url: redis_url.to_owned(),
        mysql_url: mysql_url.to_owned(),
        namespace: shop.namespace.clone(),
    };
    let stock = ["stock", "set", "42", "1"];
    let nowhere = at("redis://no-such-host.invalid", &shop.mysql_url).run(&stock).await;
    nowhere.fails(5, &["Redis at no-such-host.invalid:6379", "cannot look up the host", "--redis-url"]);
    assert!(!nowhere.stderr.contains("kind:"), "{nowhere:?}");
    let nowhere = at(&shop.redis_url, "mysql://root@no-such-host.invalid/restock").run(&stock).await;
    nowhere.fails(5, &["MySQL at no-such-host.invalid:3306", "cannot look up the host", "--mysql-url"]);
    let mysql = url::Url::parse(&shop.mysql_url).expect("a URL");
    let port = mysql.port().expect("a port of its own");
    let other = at(&format!("redis://127.0.0.1:{port}"), &shop.mysql_url).run(&stock).await;
    other.fails(1, &[&format!("what answers at 127.0.0.1:{port} is no Redis"), "--redis-url"]);
}

#[tokio::test]
async fn a_missing_or_old_schema_names_migrate() {
    let shop = Shop::empty().await;
    shop.run(&["status"]).await.fails(1, &["`restock-cli migrate`"]);
    shop.done(&["migrate"]).await;
    let pool = restock::mysql::connect(&shop.mysql_url.clone().into(), 1).await.expect("MySQL answers");
    sqlx::query("UPDATE _sqlx_migrations SET success = FALSE").execute(&pool).await.expect("it is updated");
    shop.run(&["enqueue", "42"]).await.fails(1, &["`restock-cli migrate`"]);
    shop.run(&["stock", "set", "42", "1"]).await.fails(1, &["`restock-cli migrate`"]);
    sqlx::query("DROP TABLE _sqlx_migrations").execute(&pool).await.expect("it is dropped");
    shop.run(&["product", "list"]).await.fails(1, &["no schema", "`restock-cli migrate`"]);
}

#[tokio::test]
async fn another_namespace_is_a_conflict() {
    let shop = Shop::open().await;
    let other = Shop { namespace: "elsewhere".to_owned(), ..shop.without_mysql() };
    let other = Shop { mysql_url: shop.mysql_url.clone(), ..other };
    other.run(&["enqueue", "42"]).await.fails(4, &["elsewhere", "--namespace"]);
    other.run(&["stock", "set", "42", "1"]).await.fails(4, &["elsewhere", "--namespace"]);
}

#[tokio::test]
async fn a_csv_with_a_bad_line_imports_nothing() {
    let shop = Shop::open().await;
    let products = "id,name,stock\n100,One,1\n101,Two,-1\n";
    shop.run_with(&["import", "products", "-"], products).await.fails(2, &["line 3", "nothing was imported"]);
    shop.run(&["product", "show", "100"]).await.fails(3, &["100"]);
    let done = shop.run_with(&["import", "products", "-", "--skip-bad"], products).await;
    assert_eq!(done.code, 0, "{done:?}");
    shop.done(&["product", "show", "100"]).await;
    shop.run_with(&["import", "products", "-"], "name,stock\nOne,1\n").await.fails(2, &["id"]);
    shop.run_with(&["import", "subscriptions", "-"], "product_id,created_at\n").await.fails(2, &["user_id"]);
}

#[tokio::test]
async fn of_several_settings_none_is_stored_unless_all_can_be() {
    let shop = Shop::open().await;
    shop.run(&["settings", "set", "rate=100", "chanels=file"]).await.fails(2, &["chanels"]);
    shop.run(&["rate", "set", "200", "webhook=fast"]).await.fails(2, &["rate.webhook"]);
    shop.run(&["settings", "set", "rate=5", "rate=6"]).await.fails(2, &["`rate` is given twice"]);
    shop.run(&["rate", "set", "5", "webhook=3", "6"]).await.fails(2, &["`rate` is given twice"]);
    assert_eq!(shop.json(&["rate"]).await[0]["limit"], 500);
    shop.done(&["--by", "ann", "settings", "set", "rate=100", "channels=file"]).await;
    let deed = &shop.json(&["actions"]).await[0];
    assert_eq!(
        (&deed["by"], &deed["action"], &deed["result"]),
        (&"ann".into(), &"settings set".into(), &"rate=100 channels=file".into())
    );
}
