//! MariaDB or MySQL: how its data folder is made, how it is started, and when it answers.

use std::{fs, path::Path, process::Command};

use sqlx::{Connection, MySqlConnection};

use super::{LocalError, home::Home, programs::Database};

/// Both have `root@localhost` only, which is not whom a TCP connection comes from when names are not resolved.
const INIT_FILE: &str = "CREATE USER IF NOT EXISTS 'root'@'127.0.0.1';\n\
                         GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n";

/// A commit is on the disk when it returns, as in production; the rest is small and quick to start.
const SETTINGS: &[&str] = &[
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-buffer-pool-size=128M",
    "--max-connections=500",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--local-infile=1",
    "--performance-schema=OFF",
    "--character-set-server=utf8mb4",
];
const MARIADB_SETTINGS: &[&str] = &["--skip-ssl"];
const MYSQL_SETTINGS: &[&str] = &["--mysqlx=OFF", "--auto-generate-certs=OFF", "--tls-version="];

/// The program that fills the data folder.
pub(super) fn install_command(database: &Database, home: &Home) -> Result<Command, LocalError> {
    let init_file = home.file("init.sql");
    fs::write(&init_file, INIT_FILE).map_err(LocalError::io("write", &init_file))?;
    let mut command = match database {
        Database::MariaDb { installer, .. } => {
            let mut command = Command::new(installer);
            command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
            command
        }
        Database::MySql { server } => {
            let mut command = Command::new(server);
            command.args(["--no-defaults", "--initialize-insecure", "--auto-generate-certs=OFF"]);
            command.arg(option("--secure-file-priv", home.path()));
            command
        }
    };
    command.arg(option("--datadir", &data(home)));
    if home.is_roots() {
        command.arg("--user=root");
    }
    Ok(command)
}

/// The server, in its filled data folder.
pub(super) fn command(database: &Database, home: &Home, port: u16) -> Command {
    let mut command = Command::new(database.program());
    // `--no-defaults` must come first: it keeps the machine's own configuration out.
    command
        .arg("--no-defaults")
        .arg(option("--datadir", &data(home)))
        .arg(option("--tmpdir", home.path()))
        .arg(option("--socket", &home.file("mysql.sock")))
        .arg(option("--pid-file", &home.file("mysqld.pid")))
        .arg(option("--init-file", &home.file("init.sql")))
        // Packages set a folder that only their own setup makes, and the server refuses to start without it.
        .arg(option("--secure-file-priv", home.path()))
        .arg("--bind-address=127.0.0.1")
        .arg(format!("--port={port}"))
        .args(SETTINGS)
        .args(match database {
            Database::MariaDb { .. } => MARIADB_SETTINGS,
            Database::MySql { .. } => MYSQL_SETTINGS,
        });
    if home.is_roots() {
        command.arg("--user=root");
    }
    command
}

/// Where the server keeps its data.
pub(super) fn data(home: &Home) -> std::path::PathBuf {
    home.file("data")
}

fn option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push("=");
    option.push(path);
    option
}

/// Whether the server on this port answers queries, and has its data in `data` if that is given.
///
/// Another run may have taken the port just before our server did; its server would answer too.
pub(super) async fn answers(port: u16, data: Option<&Path>) -> bool {
    let ask = async || -> Result<String, sqlx::Error> {
        let mut connection = MySqlConnection::connect(&server_url(port)).await?;
        let folder = sqlx::query_scalar("SELECT @@datadir").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(folder)
    };
    ask().await.is_ok_and(|folder| data.is_none_or(|data| Path::new(&folder) == data))
}

/// The URL of the server, without a database.
pub(super) fn server_url(port: u16) -> String {
    format!("mysql://root@127.0.0.1:{port}")
}
