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
