#!/usr/bin/env bash
# Checks restock-api against its own description, with schemathesis in a virtual environment of its own: on private
# servers, a real restock-api, all checks. Any further arguments go to `st run`.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
programs=$PWD/$target/debug
schemathesis=4.32.5

if [[ -z ${RESTOCK_TEST_REDIS_URL:-} || -z ${RESTOCK_TEST_MYSQL_URL:-} ]]; then
    cargo build --quiet --bins
    [[ -x $target/schemathesis/bin/st ]] || "${PYTHON:-python3}" -m venv "$target/schemathesis"
    "$target/schemathesis/bin/pip" install --quiet "schemathesis==$schemathesis"
    exec "$programs/restock-cli" servers -- "$0" "$@"
fi

work=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap finish EXIT

export RESTOCK_REDIS_URL=$RESTOCK_TEST_REDIS_URL RESTOCK_MYSQL_URL=$RESTOCK_TEST_MYSQL_URL/restock_api RESTOCK_LOG=error
export RESTOCK_NAMESPACE=api RESTOCK_CHANNELS=null RESTOCK_RATE=0
cli=$programs/restock-cli
"$cli" migrate >"$work/migrate"
"$cli" product add 1 --name 'Party bunting' --sku 47566 --stock 5
"$cli" subscribe 1 1 2 3
"$programs/restock-flusher" --flush-interval-ms 50 & pids+=($!)
"$programs/restock-worker" & pids+=($!)
"$cli" enqueue 1 --wait >"$work/enqueue"

read -r token hash < <("$cli" token --output json | python3 -c 'import json, sys; t = json.load(sys.stdin); print(t["token"], t["hash"])')
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$programs/restock-api" --listen "127.0.0.1:$port" --admin-token-hash "$hash" --requests-per-second 0 & pids+=($!)
for _ in $(seq 100); do
    if curl -fsS -o "$work/ready" -H "Authorization: Bearer $token" "http://127.0.0.1:$port/api/products/1" 2>"$work/errors"; then break; fi
    sleep 0.1
done
cat "$work/ready" && echo

SCHEMATHESIS_HOOKS=schemathesis_hooks PYTHONPATH=scripts \
    "$target/schemathesis/bin/st" --config-file scripts/schemathesis.toml run "http://127.0.0.1:$port/openapi.json" --header "Authorization: Bearer $token" \
    --checks all --generation-database none --no-color "$@"
