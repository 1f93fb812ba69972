//! Programs of others that the tests ask.

/// Notes that one is not installed, and what brings it; where everything must be checked that is a failure.
pub fn missing(tool: &str, package: &str, what: &str) {
    let said = format!("{tool} is not installed (Debian: apt install {package}): {what}");
    assert!(std::env::var_os("RESTOCK_CHECK_ALL").is_none_or(|all| all.is_empty()), "{said}");
    eprintln!("{said}");
}
