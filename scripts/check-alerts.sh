#!/bin/sh
# Checks Prometheus' configuration and alert rules and runs the rules' own tests, where promtool is installed.
set -eu
cd "$(dirname "$0")/../deploy/prometheus"

if ! command -v promtool >/dev/null; then
    echo "promtool is not installed (Debian: apt install prometheus): alert rules are not checked"
    exit 0
fi
promtool check config prometheus.yml
promtool test rules restock.test.yml
