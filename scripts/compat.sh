#!/usr/bin/env bash
# Runs the main test suites on each pair of a Redis or Valkey and a MySQL or MariaDB that is found, and writes a table of what
# passed: target/compat/table.md, from which the README has its own.
#
# Taken are redis-server, valkey-server, mariadbd and mysqld of PATH and the usual folders, or else the programs (also
# wrappers that `exec` one) named in
#
#   COMPAT_REDIS="/opt/a/redis-server /opt/b/valkey-server"    COMPAT_MYSQL="/opt/c/mysqld"
#   COMPAT_SUITES="scripts restock"    others than the ones below
#   COMPAT_PAIRS=few                   as few pairs as have every server in one; all of them otherwise
#   COMPAT_SUITE_S=1200                the longest that a suite may take
#
# What a suite came to on a pair stays in target/compat until it runs there again, so that all may run one at a time; what is of
# other programs is thrown away. Exit: 0 when all passed, 1 when a test failed, 2 when there is nothing to run.
set -uo pipefail
cd "$(dirname "$0")/.."

# What shows that the product works: its scripts, whole rounds, the record, the audit, earlier state, commands, metrics, the API.
suites=${COMPAT_SUITES:-scripts restock flusher audit releases commands observe api}
suite_s=${COMPAT_SUITE_S:-1200}
target=${CARGO_TARGET_DIR:-target}
results=$target/compat
PATH=$PATH:/usr/sbin:/usr/local/sbin:/usr/libexec:/usr/local/bin:/usr/local/mysql/bin:/opt/homebrew/bin
for formula in redis valkey mariadb mysql; do PATH=$PATH:/opt/homebrew/opt/$formula/bin:/usr/local/opt/$formula/bin; done

say() { printf 'restock: %s\n' "$*" >&2; }

# `Redis 7.0.15`, `Valkey 9.1.2`, `MariaDB 10.11.19`, `MySQL 9.7.4`; nothing for what is none of them.
version() {
    local said
    case $1 in
        redis) "$2" --version 2>/dev/null | sed -nE 's/^(Redis|Valkey) server v=([0-9.]+).*/\1 \2/p' ;;
        mysql)
            said=$("$2" --no-defaults --version 2>/dev/null)
            case $said in
                *MariaDB*) sed -E 's/.*Ver ([0-9.]+).*/MariaDB \1/' <<< "$said" ;;
                *Ver*) sed -E 's/.*Ver ([0-9.]+).*/MySQL \1/' <<< "$said" ;;
            esac ;;
    esac
}

# The programs of a kind, one of each version: `VERSION<tab>PATH`.
servers() {
    local kind=$1 path label
    shift
    for path in "$@"; do
        path=$(command -v "$path") || continue
        label=$(version "$kind" "$path")
        [[ -n $label ]] && printf '%s\t%s\n' "$label" "$path"
    done | awk -F '\t' '!seen[$1]++'
}

# One line of cargo's for each test program: `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
counts() {
    awk '/^test result: / {
            for (field = 2; field <= NF; field++) {
                if ($field == "passed;") passed += $(field - 1)
                if ($field == "failed;") failed += $(field - 1)
            }
        }
        END { print passed + 0, failed + 0 }' "$1"
}

run_pair() {
    local redis=${1%%$'\t'*} redis_path=${1#*$'\t'} mysql=${2%%$'\t'*} mysql_path=${2#*$'\t'}
    local folder suite log passed failed code begun limit=()
    folder=$results/$(tr ' ' '-' <<< "$redis-$mysql")
    mkdir -p "$folder"
    say "$redis + $mysql"
    command -v timeout > /dev/null && limit=(timeout --kill-after=20 "$suite_s")
    for suite in $suites; do
        log=$folder/$suite.log
        begun=$SECONDS
        # Servers that the environment names would be tested instead of these.
        env -u RESTOCK_TEST_REDIS_URL -u RESTOCK_TEST_MYSQL_URL \
            RESTOCK_LOCAL_REDIS="$redis_path" RESTOCK_LOCAL_MYSQLD="$mysql_path" \
            ${limit[@]+"${limit[@]}"} "$target/debug/examples/with_servers" \
            cargo test --test "$suite" --no-fail-fast > "$log" 2>&1
        code=$?
        read -r passed failed < <(counts "$log")
        # Ended by the limit, by a server that did not start, or by a signal: that is no success, whatever was counted.
        ((code == 0 || failed > 0)) || failed=1
        printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$redis" "$mysql" "$suite" "$passed" "$failed" "$(date -u +%Y-%m-%d)" \
            > "$folder/$suite.result"
        say "  $(printf '%-10s %4d passed, %d failed, %4d s' "$suite" "$passed" "$failed" $((SECONDS - begun)))"
        ((failed == 0)) || { grep -E '^test .* FAILED$|panicked at|^Error' "$log" | head -n 12 >&2; say "  see $log"; }
    done
}

write_table() {
    cat "$results"/*/*.result | sort | awk -F '\t' '
        BEGIN { print "| Redis | MySQL | tests passed | failed | suites | on |"; print "|---|---|--:|--:|---|---|" }
        function row() { if (pair != "") printf "| %s | %s | %d | %d | %s | %s |\n", redis, mysql, passed, failed, names, day }
        $1 "\t" $2 != pair { row(); pair = $1 "\t" $2; redis = $1; mysql = $2; passed = failed = 0; names = "" }
        { passed += $4; failed += $5; day = $6; names = names (names == "" ? "" : ", ") "`" $3 "`" }
        END { row() }' > "$results/table.md"
}

# shellcheck disable=SC2086 # one word for each program
redises=$(servers redis ${COMPAT_REDIS:-redis-server valkey-server})
# shellcheck disable=SC2086 # one word for each program
mysqls=$(servers mysql ${COMPAT_MYSQL:-mariadbd mysqld})
[[ -n $redises && -n $mysqls ]] || { say "no pair of servers: name programs in COMPAT_REDIS and COMPAT_MYSQL"; exit 2; }
if [[ ${COMPAT_PAIRS:-all} == few ]]; then
    # Side by side; the shorter list starts again from its first.
    pairs=$(awk 'NR == FNR { left[n++] = $0; next } { right[m++] = $0 }
        END { for (i = 0; i < n || i < m; i++) print left[i % n] "\v" right[i % m] }' <(echo "$redises") <(echo "$mysqls"))
else
    pairs=$(while IFS= read -r redis; do while IFS= read -r mysql; do printf '%s\v%s\n' "$redis" "$mysql"; done <<< "$mysqls"
        done <<< "$redises")
fi

mkdir -p "$results"
programs=$(git rev-parse HEAD:src HEAD:lua HEAD:migrations 2>/dev/null || echo unknown)
if [[ $(cat "$results/programs" 2>/dev/null) != "$programs" ]]; then
    rm -rf "${results:?}"/*/
    echo "$programs" > "$results/programs"
fi
cargo build --quiet --bins --example with_servers || exit 1
tests=()
for suite in $suites; do tests+=(--test "$suite"); done
cargo test --quiet --no-run "${tests[@]}" || exit 1

# Another file for the loop, so that no test reads the list of pairs.
while IFS= read -r pair <&3; do run_pair "${pair%%$'\v'*}" "${pair#*$'\v'}"; done 3<<< "$pairs"
write_table
cat "$results/table.md"
! awk -F '\t' '$5 > 0 { found = 1 } END { exit !found }' "$results"/*/*.result
