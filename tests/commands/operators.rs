//! Who did what by hand: the names and the words under which it is kept.

use std::process::Command;

use serde_json::json;

use super::shop::{CLI, Shop, finish};

#[tokio::test]
async fn who_acts_is_the_user_of_the_process_where_the_environment_names_nobody() {
    let shop = Shop::open().await;
    let mut pause = shop.program(CLI);
    pause.args(["pause", "42"]).env_remove("SUDO_USER").env_remove("USER").env_remove("LOGNAME");
    assert_eq!(finish(&mut pause, "").await.code, 0);
    let name = Command::new("id").arg("-un").output().expect("id runs");
    let name = String::from_utf8(name.stdout).expect("a name");
    assert_eq!(shop.json(&["actions"]).await[0]["by"], json!(name.trim()));
    let mut named = shop.program(CLI);
    named.args(["unpause", "42"]).env_remove("SUDO_USER").env("USER", "ann");
    assert_eq!(finish(&mut named, "").await.code, 0);
    assert_eq!(shop.json(&["actions"]).await[0]["by"], json!("ann"));
}

#[tokio::test]
async fn a_stock_changed_by_hand_is_kept_and_a_shops_traffic_is_not() {
    let shop = Shop::open().await;
    shop.done(&["stock", "set", "42", "9", "--by", "ann"]).await;
    shop.done(&["stock", "add", "42", "-9", "--by", "bob"]).await;
    shop.run(&["stock", "add", "42", "-1", "--by", "bob"]).await.fails(4, &["below zero"]);
    shop.done(&["subscribe", "42", "1001"]).await;
    shop.done(&["unsubscribe", "42", "1001"]).await;
    shop.done(&["enqueue", "42", "--quantity", "1"]).await;
    let rows = shop.json(&["actions", "42"]).await;
    let rows = rows.as_array().expect("an array");
    let said: Vec<_> =
        rows.iter().map(|row| [&row["by"], &row["action"], &row["result"]].map(|v| v.as_str())).collect();
    assert!(said[0][2].is_some_and(|result| result.starts_with("failed: ")), "{said:?}");
    assert_eq!(
        said[1..],
        [
            [Some("bob"), Some("stock add"), Some("added -9, now 0")],
            [Some("ann"), Some("stock set"), Some("set to 9, now 9")]
        ]
    );
}
