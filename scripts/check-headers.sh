#!/bin/sh
# Each Rust file opens with a `//!` sentence, each Lua script and each shell script with a comment that says what it is.
set -eu
cd "$(dirname "$0")/.."

bad=0
complain() {
    printf '%s: %s\n' "$1" "$2" >&2
    bad=1
}

files=$(git ls-files --cached --others --exclude-standard)
for file in $files; do
    [ -f "$file" ] || continue
    case $file in
        *.rs) head -n 1 "$file" | grep -q '^//! .' || complain "$file" "the first line is not a //! sentence" ;;
        *.lua) head -n 1 "$file" | grep -q '^--.*[A-Za-z]' || complain "$file" "the first line is not a -- comment" ;;
        *.sh | .ci/run) head -n 2 "$file" | grep -q '^# .' || complain "$file" "the first lines have no # comment" ;;
    esac
done
exit "$bad"
