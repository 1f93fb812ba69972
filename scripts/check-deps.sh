#!/bin/sh
# Checks licences, advisories, sources and banned crates of all dependencies, where cargo-deny is installed.
set -eu
cd "$(dirname "$0")/.."

if ! cargo deny --version >/dev/null 2>&1; then
    echo "cargo-deny is not installed (cargo install --locked cargo-deny): dependencies are not checked"
    # Where nobody checks it, it would be green for ever: the workflow sets this.
    [ -z "${RESTOCK_CHECK_ALL:-}" ]
    exit
fi
cargo deny check
cargo deny --manifest-path model/Cargo.toml check
cargo deny --manifest-path browser/Cargo.toml check
