//! Disks that are full: those of the logs, of MySQL, of Redis.

#[cfg(target_os = "linux")]
mod on_linux {
    use std::{fs::File, sync::Arc, time::Duration};

    use restock::{demo::receiver::Reaction, ids::Partition, local::Servers};
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    use super::super::{
        FIRST,
        crew::signal,
        shop::{Shop, until},
    };

    /// Every write to it fails as on a full disk.
    fn full_disk() -> File {
        File::options().write(true).open("/dev/full").expect("Linux has it")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn logs_on_a_full_disk_cost_nobody_a_message() {
        let shop = Shop::open(500, |_| Reaction::accept()).await;
        let start = |program| {
            let mut role = shop.role(program);
            role.env("RESTOCK_LOG", "debug").stdout(full_disk()).stderr(full_disk()).spawn().expect("it starts")
        };
        let mut roles = [start(env!("CARGO_BIN_EXE_restock-flusher")), start(env!("CARGO_BIN_EXE_restock-worker"))];
        shop.product(42, 100, 300).await;
        shop.enqueue(42, 0).await;
        shop.completed(42, FIRST).await;
        shop.assert_told(42, FIRST, 1..=300).await;
        assert_eq!(shop.receiver.count(), 300, "nobody is told twice");
        for role in &mut roles {
            signal("-TERM", role).await;
            let ended = role.wait().await.expect("it ends");
            assert!(ended.success(), "{ended}");
        }
    }

    /// Redis takes no writes while it cannot write its AOF, and keeps what it had taken.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_redis_whose_disk_is_full_in_the_middle_of_a_round_loses_nobody() {
        let own = Arc::new(Servers::start().await.expect("private servers start"));
        let Some(pid) = own.redis.pid() else { return eprintln!("Redis is in a container: nothing to limit") };
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let limit = |bytes| {
            prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("it is ours");
        };
        let shop = Shop::open_on(own.clone(), 500, |_| Reaction::accept()).await;
        let _roles = (shop.flusher(), shop.worker(&["--claim-idle-ms", "1500"]));
        shop.product(42, 100, 1500).await;
        shop.enqueue(42, 0).await;
        shop.receiver.wait_for(300).await;
        limit(Some(1024));
        let refusal = || async {
            let written = shop.stores.redis.set_newest_request(Partition(0), 0).await;
            written.is_err_and(|error| error.to_string().contains("MISCONF"))
        };
        until("Redis takes no writes", refusal).await;
        let told = shop.receiver.count();
        // For longer than a lease.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(shop.receiver.count() < told + 256, "who was authorised may still be told, and nobody else");
        limit(None);
        shop.completed(42, FIRST).await;
        shop.assert_told(42, FIRST, 1..=1500).await;
        assert_eq!(shop.receiver.count(), 1500, "nobody is told twice");
    }
}

use std::{fs::File, sync::Arc, time::Duration};

use restock::{
    demo::receiver::Reaction,
    ids::ProductId,
    local::{LocalError, LocalMySql, LocalRedis, Servers},
    mysql,
    stores::Checked,
};
use sqlx::MySqlPool;

use super::{
    FIRST,
    shop::{Shop, until},
};

/// All tables share one file, which does not grow beyond this: what finds no page in it is answered as on a full disk.
const SMALL: [&str; 2] = ["--innodb-file-per-table=OFF", "--innodb-data-file-path=ibdata1:12M:autoextend:max:32M"];

/// Takes all the room that there is, in ever smaller pieces.
async fn fill(db: &MySqlPool) {
    let make = "CREATE TABLE filler (id INT AUTO_INCREMENT PRIMARY KEY, piece LONGBLOB)";
    sqlx::raw_sql(make).execute(db).await.expect("there is room");
    for bytes in [1_000_000, 100_000, 10_000, 1_000] {
        let insert = || sqlx::query("INSERT INTO filler (piece) VALUES (REPEAT('x', ?))").bind(bytes).execute(db);
        let full = loop {
            if let Err(error) = insert().await {
                break error;
            }
        };
        assert!(mysql::is_full(&full), "{full}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mysql_without_room_is_told_as_such_and_followed_again_once_it_has_some() {
    let mysql = match LocalMySql::start_with(&SMALL).await {
        Err(LocalError::ProgramMissing { .. }) => return eprintln!("MySQL is in a container: nothing to limit"),
        mysql => mysql.expect("a private server starts"),
    };
    let own = Arc::new(Servers { redis: LocalRedis::start().await.expect("a private server starts"), mysql });
    let shop = Shop::open_on(own, 500, |_| Reaction::accept()).await;
    shop.product(42, 100, 3000).await;
    let log = tempfile::NamedTempFile::new().expect("a file");
    let written = || std::fs::read_to_string(log.path()).expect("the log");
    let mut flusher = shop.role(env!("CARGO_BIN_EXE_restock-flusher"));
    flusher.stderr(File::options().append(true).open(log.path()).expect("the log")).env("RESTOCK_LOG", "info");
    let _roles = (flusher.spawn().expect("the flusher starts"), shop.worker(&[]));
    let followed = "SELECT COUNT(*) FROM flush_position WHERE incarnation <> ''";
    until("the flusher follows both logs", || async {
        sqlx::query_scalar(followed).fetch_one(&shop.stores.mysql).await.is_ok_and(|logs: i64| logs == 2)
    })
    .await;
    // A product that Redis does not hold cannot be announced without room: installing it is written down first.
    assert!(matches!(shop.stores.check(ProductId(42)).await, Ok(Checked::Done(_))));
    fill(&shop.stores.mysql).await;

    shop.enqueue(42, 0).await;
    tokio::time::timeout(Duration::from_secs(60), shop.receiver.wait_for(3000)).await.expect("everybody is told");
    until("the flusher says why", || async { written().contains("is full") }).await;
    // A person at the shell is told so as well.
    let mut subscribe = shop.role(env!("CARGO_BIN_EXE_restock-cli"));
    let users: Vec<String> = (10_001..=14_000).map(|user| user.to_string()).collect();
    let said =
        subscribe.args(["subscribe", "42"]).args(users).env("RESTOCK_LOG", "off").output().await.expect("it ends");
    let words = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(5), "{words}");
    assert!(words.contains("has no room left to write") && words.lines().count() == 1, "{words}");
    let told: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM product_user_notification_history")
        .fetch_one(&shop.stores.mysql)
        .await
        .expect("MySQL answers");
    assert!(told < 3000, "there was room for all of it");

    shop.execute("DROP TABLE filler").await;
    shop.completed(42, FIRST).await;
    shop.assert_told(42, FIRST, 1..=3000).await;
    assert_eq!(shop.receiver.count(), 3000, "nobody is told twice");
    until("the flusher says that it goes on", || async { written().contains("flushing goes on") }).await;
    let complaints = written().lines().filter(|line| line.contains("flushing failed")).count();
    assert!(complaints <= 2, "once for each partition, not each time: {complaints}");
}
