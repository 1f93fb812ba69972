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
# It takes a free port itself, and says which.
RESTOCK_LOG=info "$programs/restock-api" --listen 127.0.0.1:0 --admin-token-hash "$hash" --requests-per-second 0 2>"$work/api.log" &
api=$!
pids+=("$api")

give_up() {
    echo "$1; restock-api said:" >&2
    cat "$work/api.log" >&2
    exit 1
}
deadline=$((SECONDS + 30))
address=
until [[ -n $address ]] && curl -fsS -o "$work/ready" -H "Authorization: Bearer $token" "http://$address/api/products/1" 2>"$work/errors"; do
    kill -0 "$api" 2>/dev/null || give_up "the server ended"
    ((SECONDS < deadline)) || give_up "the server was not ready within 30 s"
    sleep 0.1
    address=$(sed -n 's/.*listening.*address=\([^ ]*\).*/\1/p' "$work/api.log")
done
cat "$work/ready" && echo

# Streams have no end.
SCHEMATHESIS_HOOKS=schemathesis_hooks PYTHONPATH=scripts \
    "$target/schemathesis/bin/st" --config-file scripts/schemathesis.toml run "http://$address/openapi.json" --header "Authorization: Bearer $token" \
    --exclude-path-regex '/stream$' --checks all --generation-database none --no-color "$@"
