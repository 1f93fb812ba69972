#!/bin/sh
# Relative links in Markdown files lead to files that exist, and their anchors to headings that exist.
# Links over the network are not followed. Text in code blocks and in `code` is not looked at.
set -eu
cd "$(dirname "$0")/.."

# The file without code.
prose() {
    awk '/^ *```/ { code = !code; next } !code { gsub(/`[^`]*`/, ""); print }' "$1"
}

# The anchors of a file as GitHub makes them: small letters, spaces as -, punctuation dropped; repeats get -1, -2 …
anchors() {
    awk '/^ *```/ { code = !code; next } !code && /^#+ / {
        sub(/^#+ +/, ""); sub(/ +#* *$/, "")
        gsub(/\]\([^)]*\)/, "")
        text = tolower($0)
        gsub(/[][!"#$%&()*+,.\/:;<=>?@\\^`{|}~'"'"'’“”…→·]/, "", text)
        gsub(/ /, "-", text)
        print text (seen[text]++ ? "-" seen[text] - 1 : "")
    }' "$1"
    # An explicit anchor.
    grep -o '<a [a-z]*="[^"]*"' "$1" | sed 's/.*"\(.*\)"/\1/' || true
}

bad=0
list=$(mktemp)
trap 'rm -f "$list"' EXIT
for file in $(git ls-files --cached --others --exclude-standard '*.md'); do
    [ -f "$file" ] || continue
    {
        prose "$file" | grep -o '](<*[^)> ]*' | sed 's/^](<*//' || true
        prose "$file" | sed -n 's/^\[[^]]*\]: *<*\([^> ]*\).*/\1/p'
        prose "$file" | grep -o '\(href\|src\)="[^"]*"' | sed 's/.*="\(.*\)"/\1/' || true
    } > "$list"
    while read -r link; do
        case $link in
            '' | *://* | mailto:*) continue ;;
        esac
        path=${link%%#*}
        case $path in
            '') target=$file ;;
            /*) target=.$path ;;
            *) target=$(dirname "$file")/$path ;;
        esac
        if [ ! -e "$target" ]; then
            printf '%s: no such file: %s\n' "$file" "$link" >&2
            bad=1
            continue
        fi
        case $link in
            *'#'*) ;;
            *) continue ;;
        esac
        case $target in
            *.md) ;;
            *) continue ;;
        esac
        if ! anchors "$target" | grep -qxF -- "${link#*#}"; then
            printf '%s: no such heading: %s\n' "$file" "$link" >&2
            bad=1
        fi
    done < "$list"
done
exit "$bad"
