#!/usr/bin/env bash
# Tests the pages in a real Chromium, on private servers, and draws their pictures: RESTOCK_PICTURES=docs into docs/, another
# folder into that. Any further arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."
programs=$PWD/${CARGO_TARGET_DIR:-target}/debug

say() { printf 'restock: %s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

# Debian's packages; Chrome with its own chromedriver will do as well.
ensure_chromium() {
    has chromedriver && { has chromium || has google-chrome || [[ -n ${RESTOCK_CHROMIUM:-} ]]; } && return
    local packages=(chromium chromium-driver) run=()
    if ! has apt-get || { [[ $(id -u) -ne 0 ]] && ! has sudo; }; then
        say "chromium and chromedriver are missing: install them (on Debian, as root: apt-get install ${packages[*]})"
        exit 1
    fi
    [[ $(id -u) -eq 0 ]] || run=(sudo)
    say "installing ${packages[*]} with apt-get"
    "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --yes --no-install-recommends -qq install "${packages[@]}" >&2
}

ensure_chromium
has npm || { say "npm is missing: install it (on Debian, as root: apt-get install npm); axe-core comes from there"; exit 1; }
[[ -f browser/node_modules/axe-core/axe.min.js ]] || (cd browser && npm ci --ignore-scripts --no-audit --no-fund --silent)

cargo build --quiet --bins
cargo test --quiet --manifest-path browser/Cargo.toml --no-run
if [[ -n ${RESTOCK_PICTURES:-} && $RESTOCK_PICTURES != docs ]]; then
    mkdir -p "$RESTOCK_PICTURES"
    RESTOCK_PICTURES=$(realpath "$RESTOCK_PICTURES")
fi
export RESTOCK_PROGRAMS=$programs RESTOCK_PICTURES=${RESTOCK_PICTURES:-}
[[ -n $RESTOCK_PICTURES ]] || unset RESTOCK_PICTURES
# One after the other: each has a browser, a worker and two servers to share.
exec "$programs/restock-cli" servers -- cargo test --quiet --manifest-path browser/Cargo.toml "$@" -- --nocapture --test-threads=1
