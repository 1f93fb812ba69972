//! The private servers: their data outlives them, and nothing outlives us.

mod support;

use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use restock::local::{LocalMySql, LocalRedis, Servers, fresh_database_name, fresh_namespace, run_with_servers};
use sqlx::{Connection, Executor, MySqlConnection};
use support::servers::servers;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const DEADLINE: Duration = Duration::from_secs(30);
/// Tells this same program, run a second time, to be the parent that is killed.
const PARENT_VARIABLE: &str = "RESTOCK_TEST_PARENT";

async fn redis(port: u16, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    Ok(reply)
}

async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn is_gone(pid: u32) -> bool {
    let zombie = fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    zombie || kill(Pid::from_raw(pid.cast_signed()), None) == Err(Errno::ESRCH)
}

#[tokio::test]
async fn redis_keeps_its_data_and_port_over_kill_stop_and_freeze() {
    let server = LocalRedis::start().await.unwrap();
    let port = server.port();
    assert!(redis(port, "SET a 1").await.unwrap().starts_with("+OK"));

    let pid = server.pid().unwrap();
    server.kill().await.unwrap();
    assert!(server.pid().is_none() && is_gone(pid) && redis(port, "GET a").await.is_err());
    server.start_again().await.unwrap();
    assert!(redis(port, "GET a").await.unwrap().starts_with("$1\r\n1"));

    server.freeze().await.unwrap();
    assert!(timeout(Duration::from_millis(100), redis(port, "GET a")).await.is_err());
    server.thaw().await.unwrap();
    assert!(timeout(DEADLINE, redis(port, "GET a")).await.unwrap().unwrap().starts_with("$1\r\n1"));

    server.freeze().await.unwrap();
    server.stop().await.unwrap();
    server.start_again().await.unwrap();
    server.start_again().await.unwrap();
    assert_eq!(server.port(), port);
    assert!(redis(port, "GET a").await.unwrap().starts_with("$1\r\n1"));
    for (setting, value) in [
        ("appendonly", "yes"),
        ("save", ""),
        ("auto-aof-rewrite-min-size", "268435456"),
        ("stream-node-max-entries", "16"),
        ("maxmemory-policy", "noeviction"),
    ] {
        let reply = redis(port, &format!("CONFIG GET {setting}")).await.unwrap();
        assert!(reply.contains(&format!("\r\n{value}\r\n")), "{setting}: {reply}");
    }
}

#[tokio::test]
async fn a_commit_outlives_a_killed_mysql() {
    let server = LocalMySql::start().await.unwrap();
    let mut connection = MySqlConnection::connect(&server.server_url()).await.unwrap();
    connection.execute("CREATE DATABASE kept").await.unwrap();
    connection.execute("CREATE TABLE kept.t (a INT)").await.unwrap();
    connection.execute("INSERT INTO kept.t VALUES (7)").await.unwrap();
    let pid = server.pid().unwrap();
    server.kill().await.unwrap();
    assert!(is_gone(pid));

    server.start_again().await.unwrap();
    let mut connection = MySqlConnection::connect(&server.url("kept")).await.unwrap();
    let kept: i32 = sqlx::query_scalar("SELECT a FROM t").fetch_one(&mut connection).await.unwrap();
    assert_eq!(kept, 7);
    let settings = "SELECT CONCAT(@@innodb_flush_log_at_trx_commit, @@local_infile + 0, @@log_bin + 0)";
    let settings: String = sqlx::query_scalar(settings).fetch_one(&mut connection).await.unwrap();
    assert_eq!(settings, "110");
    server.stop().await.unwrap();
}

/// Not a test of its own: what the next test runs as another process, to kill it.
#[tokio::test]
async fn parent_to_be_killed() {
    let Some(note) = std::env::var_os(PARENT_VARIABLE) else { return };
    let note = Path::new(&note);
    let servers = Servers::start().await.unwrap();
    // A frozen server must not be left behind either.
    servers.redis.freeze().await.unwrap();
    let pids = format!("{} {}", servers.redis.pid().unwrap(), servers.mysql.pid().unwrap());
    fs::write(note.with_extension("new"), pids).unwrap();
    fs::rename(note.with_extension("new"), note).unwrap();
    // Our end, should the test itself be killed before it kills us.
    let _ = tokio::io::stdin().read_u8().await;
}

#[tokio::test]
async fn nothing_is_left_when_the_parent_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (note, temporary) = (folder.path().join("pids"), folder.path().join("tmp"));
    fs::create_dir(&temporary).unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "parent_to_be_killed"])
        .env(PARENT_VARIABLE, &note)
        .env("TMPDIR", &temporary)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the parent's servers answer", || note.exists()).await;
    let pids: Vec<u32> = fs::read_to_string(&note).unwrap().split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.iter().all(|pid| !is_gone(*pid)));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 2);

    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until("its servers are gone", || pids.iter().all(|pid| is_gone(*pid))).await;
    wait_until("their folders are gone", || fs::read_dir(&temporary).unwrap().count() == 0).await;
}

#[tokio::test]
async fn a_command_gets_the_urls_and_its_exit_code_is_kept() {
    let run = async |script: &str| {
        let command = ["sh", "-c", script].map(str::to_owned);
        run_with_servers(&command).await.unwrap()
    };
    assert_eq!(run(r#"test -n "$RESTOCK_TEST_REDIS_URL" && test -n "$RESTOCK_TEST_MYSQL_URL" && exit 7"#).await, 7);
    assert_eq!(run("kill -TERM $$").await, 143);
}

#[tokio::test]
async fn tests_share_servers_and_own_their_names() {
    let urls = servers().await;
    let name = fresh_database_name();
    let mut connection = MySqlConnection::connect(&urls.mysql).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    MySqlConnection::connect(&urls.database(&name)).await.unwrap().close().await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(format!("DROP DATABASE {name}"))).await.unwrap();
    assert!(urls.redis.starts_with("redis"));
    assert_ne!(fresh_namespace(), fresh_namespace());
}
