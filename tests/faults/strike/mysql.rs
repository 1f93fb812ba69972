//! Faults of MySQL: whatever happens to it, nobody is told twice.

use std::time::Duration;

use sqlx::{AssertSqlSafe, MySqlConnection};
use tokio::time::{Instant, sleep};

use super::{Cost, Planned, Stage};

fn while_(fault: Planned) -> Duration {
    Duration::from_secs_f64(0.5 + 3.0 * fault.force)
}

/// SIGKILL, down for a while, and a restart.
pub(crate) async fn kill(stage: &Stage, away: Duration) -> Cost {
    stage.servers.mysql.kill().await.expect("it is killed");
    sleep(away).await;
    stage.servers.mysql.start_again().await.expect("MySQL starts again");
    Cost::Nothing
}

/// Connections stay open and nothing answers.
pub(crate) async fn sleep_for(stage: &Stage, fault: Planned) -> Cost {
    stage.servers.mysql.freeze().await.expect("it runs");
    sleep(while_(fault)).await;
    stage.servers.mysql.thaw().await.expect("it runs");
    Cost::Nothing
}

/// Runs statements, each of which may fail: what holds them up is what is wanted.
async fn try_all(connection: &mut MySqlConnection, statements: &[String]) {
    for statement in statements {
        drop(sqlx::raw_sql(AssertSqlSafe(statement.as_str())).execute(&mut *connection).await);
    }
}

/// Somebody locks a product and thinks.
pub(crate) async fn lock(stage: &Stage, fault: Planned) -> Cost {
    let mut somebody = stage.keeper().await;
    let product = 1 + fault.victim % usize::try_from(*stage.products().end()).unwrap_or(1);
    let lock = format!("SELECT id FROM product WHERE id = {product} FOR UPDATE");
    try_all(&mut somebody, &["BEGIN".to_owned(), lock]).await;
    sleep(while_(fault)).await;
    try_all(&mut somebody, &["ROLLBACK".to_owned()]).await;
    Cost::Nothing
}

/// Somebody takes the flusher's locks in the opposite order.
pub(crate) async fn cross(stage: &Stage, fault: Planned) -> Cost {
    let mut somebody = stage.keeper().await;
    let end = Instant::now() + while_(fault);
    while Instant::now() < end {
        let mut statements = vec!["SET SESSION innodb_lock_wait_timeout = 1".to_owned(), "BEGIN".to_owned()];
        for product in stage.products().rev() {
            let round = "(SELECT restock_round FROM product WHERE id = product_id)";
            statements.push(format!(
                "UPDATE product_notification_history SET total = total
                 WHERE product_id = {product} AND restock_round = {round}"
            ));
            statements.push(format!("UPDATE product SET name = name WHERE id = {product}"));
        }
        statements.push("SELECT * FROM flush_position FOR UPDATE".to_owned());
        try_all(&mut somebody, &statements).await;
        sleep(Duration::from_millis(20)).await;
        try_all(&mut somebody, &["ROLLBACK".to_owned()]).await;
    }
    Cost::Nothing
}

/// As a replica that is not yet the primary.
pub(crate) async fn forbid_writing(stage: &Stage, fault: Planned) -> Cost {
    stage.execute("SET GLOBAL read_only = 1").await;
    sleep(while_(fault)).await;
    stage.execute("SET GLOBAL read_only = 0").await;
    Cost::Nothing
}

/// Everybody is thrown out, and nobody new is let in.
pub(crate) async fn crowd(stage: &Stage, fault: Planned) -> Cost {
    let mut keeper = stage.keeper().await;
    try_all(&mut keeper, &["SET GLOBAL max_connections = 10".to_owned(), "KILL CONNECTION USER 'shop'".to_owned()])
        .await;
    sleep(while_(fault)).await;
    try_all(&mut keeper, &["SET GLOBAL max_connections = 500".to_owned()]).await;
    Cost::Nothing
}
