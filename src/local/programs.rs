//! Finding the servers' programs on this machine.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use super::LocalError;

/// Chooses the Redis or Valkey program instead of the search.
pub const REDIS_VARIABLE: &str = "RESTOCK_LOCAL_REDIS";
/// Chooses the MariaDB or MySQL program instead of the search.
pub const MYSQLD_VARIABLE: &str = "RESTOCK_LOCAL_MYSQLD";

/// Where servers are installed without being in everybody's PATH.
const FOLDERS: &[&str] = &[
    "/usr/sbin",
    "/usr/local/sbin",
    "/usr/libexec",
    "/usr/local/bin",
    "/usr/local/mysql/bin",
    "/opt/homebrew/bin",
    "/opt/homebrew/opt/redis/bin",
    "/opt/homebrew/opt/valkey/bin",
    "/opt/homebrew/opt/mariadb/bin",
    "/opt/homebrew/opt/mysql/bin",
    "/usr/local/opt/redis/bin",
    "/usr/local/opt/valkey/bin",
    "/usr/local/opt/mariadb/bin",
    "/usr/local/opt/mysql/bin",
];

/// A database server, with what makes its data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Database {
    /// MariaDB has a program of its own for that.
    MariaDb { server: PathBuf, installer: PathBuf },
    /// MySQL does it itself.
    MySql { server: PathBuf },
}

impl Database {
    pub(super) fn program(&self) -> &Path {
        match self {
            Self::MariaDb { server, .. } | Self::MySql { server } => server,
        }
    }
}

/// The Redis or Valkey to use, if one is installed.
pub(super) fn redis() -> Result<Option<PathBuf>, LocalError> {
    match chosen(REDIS_VARIABLE, env::var_os(REDIS_VARIABLE))? {
        Some(path) => Ok(Some(path)),
        None => Ok(find(&["redis-server", "valkey-server"])),
    }
}

/// The MariaDB or MySQL to use, if one is installed.
pub(super) fn database() -> Result<Option<Database>, LocalError> {
    match chosen(MYSQLD_VARIABLE, env::var_os(MYSQLD_VARIABLE))? {
        Some(path) => Ok(database_at(path)),
        None => Ok(["mariadbd", "mysqld"].iter().filter_map(|name| find(&[name])).find_map(database_at)),
    }
}

fn chosen(variable: &'static str, value: Option<OsString>) -> Result<Option<PathBuf>, LocalError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let path = PathBuf::from(value);
    match path.canonicalize() {
        Ok(_) if path.is_file() => Ok(Some(std::path::absolute(&path).unwrap_or(path))),
        _ => Err(LocalError::NotAProgram { variable, path }),
    }
}

/// A `mysqld` may be either: on Debian it is a link to `mariadbd`. Its version says which.
fn database_at(server: PathBuf) -> Option<Database> {
    let version = Command::new(&server).args(["--no-defaults", "--version"]).output().ok()?;
    if !String::from_utf8_lossy(&version.stdout).contains("MariaDB") {
        return Some(Database::MySql { server });
    }
    let names = ["mariadb-install-db", "mysql_install_db"];
    let beside = server.parent().and_then(|folder| {
        let places = ["", "../bin", "../scripts"];
        places
            .iter()
            .flat_map(|place| names.iter().map(move |name| folder.join(place).join(name)))
            .find(|p| p.is_file())
    });
    beside.or_else(|| find(&names)).map(|installer| Database::MariaDb { server, installer })
}

/// The first of the names that is a file, in PATH and then in [`FOLDERS`].
fn find(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).chain(FOLDERS.iter().map(PathBuf::from)).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_program_must_be_a_file() {
        assert!(matches!(chosen("X", None), Ok(None)));
        assert!(matches!(chosen("X", Some(OsString::new())), Ok(None)));
        assert!(matches!(chosen("X", Some("/bin/sh".into())), Ok(Some(path)) if path == Path::new("/bin/sh")));
        for bad in ["/nonexistent", "/"] {
            assert!(matches!(chosen("X", Some(bad.into())), Err(LocalError::NotAProgram { .. })), "{bad}");
        }
    }
}
