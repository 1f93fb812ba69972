#!/bin/sh
# Checks Prometheus' configuration and alert rules and runs the rules' own tests. Where promtool is missing it says what to
# install; with RESTOCK_CHECK_ALL=1, as in the workflow, that is a failure: what nobody checks there nobody checks at all.
set -eu
cd "$(dirname "$0")/../deploy/prometheus"

if ! command -v promtool >/dev/null; then
    echo "promtool is not installed (Debian: apt install prometheus): alert rules are not checked" >&2
    [ -z "${RESTOCK_CHECK_ALL:-}" ]
    exit
fi
promtool check config prometheus.yml
promtool test rules restock.test.yml
