//! CSV as it comes: compressed or not, exported by MySQL, with two names for a product.

use std::{fs, io::Write};

use flate2::{Compression, write::GzEncoder};
use serde_json::json;

use super::shop::Shop;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

const PEOPLE: &str = "product_id,user_id,created_at\n42,1001,2024-01-01 00:00:01\n42,1002,2024-01-01 00:00:02.000005\n";

#[tokio::test]
async fn gzip_is_known_by_its_first_bytes() {
    let shop = Shop::open().await;
    let import = ["import", "subscriptions", "-", "--output", "json"];
    let done = shop.run_with(&import, gzip(PEOPLE)).await.json();
    assert_eq!((&done["lines"], &done["imported"], &done["kept"]), (&json!(2), &json!(2), &json!(0)));
    let again = shop.run_with(&import, PEOPLE).await.json();
    assert_eq!((&again["lines"], &again["imported"], &again["kept"]), (&json!(2), &json!(0), &json!(2)));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("people.csv");
    fs::write(&file, gzip(PEOPLE)).expect("a file");
    let again = shop.json(&["import", "subscriptions", &file.to_string_lossy()]).await;
    assert_eq!(again["kept"], 2);
}

#[tokio::test]
async fn a_gz_that_is_none_or_is_cut_is_told_so() {
    let shop = Shop::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("people.csv.gz");
    let import = async |bytes: &[u8]| {
        fs::write(&file, bytes).expect("a file");
        shop.run(&["import", "subscriptions", &file.to_string_lossy()]).await
    };
    let words = ["people.csv.gz: ", "nothing was imported"];
    import(PEOPLE.as_bytes()).await.fails(2, &[words[0], "not compressed with gzip", words[1]]);
    import(b"").await.fails(2, &[words[0], "not compressed with gzip", words[1]]);
    let whole = gzip(&PEOPLE.repeat(50));
    import(&whole[..whole.len() / 2]).await.fails(2, &[words[0], "cut off", words[1]]);
    import(&whole[..whole.len() - 4]).await.fails(2, &[words[0], "cut off", words[1]]);
    let mut damaged = whole.clone();
    let last = damaged.len() - 6;
    damaged[last] ^= 0xff;
    import(&damaged).await.fails(2, &[words[0], "damaged", words[1]]);
    shop.run_with(&["import", "products", "-"], &whole[..20]).await.fails(2, &["stdin: ", "cut off"]);
}

#[tokio::test]
async fn times_as_mysql_exports_them_are_utc() {
    let shop = Shop::open().await;
    shop.run_with(&["import", "subscriptions", "-"], PEOPLE).await;
    let places: Vec<_> = [("1001", "2024-01-01T00:00:01.000000Z"), ("1002", "2024-01-01T00:00:02.000005Z")].into();
    for (user, at) in places {
        assert_eq!(shop.json(&["why", "42", "--user", user]).await["subscribed_at"], at);
    }
}

#[tokio::test]
async fn a_line_that_names_two_products_is_bad() {
    let shop = Shop::open().await;
    let file = "product_id,sku,user_id,created_at\n\
        42,47566,1,2024-01-01T00:00:01Z\n\
        7,47566,2,2024-01-01T00:00:02Z\n\
        7,,3,2024-01-01T00:00:03Z\n\
        7,new,4,2024-01-01T00:00:04Z\n";
    let import = ["import", "subscriptions", "-", "--output", "json"];
    shop.run_with(&import, file).await.fails(2, &["line 3: it names product 7, and sku `47566` is product 42"]);
    let done = shop.run_with(&[&import[..], &["--skip-bad"]].concat(), file).await.json();
    assert_eq!(done, json!({ "lines": 4, "imported": 3, "kept": 0, "skipped": 1, "moved": 0, "behind": 0 }));
    shop.run(&["why", "7", "--user", "2"]).await.fails(3, &["user 2"]);
}
