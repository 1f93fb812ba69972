#!/bin/sh
# Checks Prometheus' configuration and alert rules and runs the rules' own tests. Where promtool is missing it says what to
# install; in CI, that is where CI is set, that is a failure: what nobody checks there nobody checks at all.
set -eu
cd "$(dirname "$0")/../deploy/prometheus"

if ! command -v promtool >/dev/null; then
    echo "promtool is not installed (Debian: apt install prometheus): alert rules are not checked" >&2
    [ -z "${CI:-}" ]
    exit
fi
promtool check config prometheus.yml
promtool test rules restock.test.yml
