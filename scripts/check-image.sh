#!/usr/bin/env bash
# Does what the Dockerfile does until the programs are built, with the files that it copies and .dockerignore lets through and no
# others: here by clippy, without the default features, which is what the image has. It needs no Docker. What is not seen by it: the
# packages that are installed there, and the stage that is shipped.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
[[ $target == /* ]] || target=$PWD/$target
# The same folder each time: cargo builds again what lies elsewhere.
image=$target/image
mkdir -p "$image"
find "$image" -mindepth 1 -delete

copy() {
    local into=$image/${*: -1} source
    for source in "${@:1:$#-1}"; do
        grep -qxF "!$source" .dockerignore || {
            echo ".dockerignore keeps $source from the builder, which the Dockerfile copies" >&2
            exit 1
        }
        if [[ -d $source ]]; then
            [[ ${*: -1} == "$source" ]] || {
                echo "the folder $source must be copied to $source: Docker copies what is in it, this script the folder" >&2
                exit 1
            }
            git ls-files -z --cached --others --exclude-standard -- "$source" | tar --null -T - -cf - | tar -xf - -C "$image"
        else
            cp "$source" "$into"
        fi
    done
}

built=''
while read -r word rest; do
    case $word in
        COPY)
            read -ra paths <<<"$rest"
            copy "${paths[@]}"
            ;;
        RUN)
            case $rest in
                apt-get* | *' /programs '*) ;;
                'cargo build --profile production '*)
                    options=${rest#cargo build --profile production }
                    # The first is of the dependencies and of programs that are empty.
                    # shellcheck disable=SC2086 # as many words as it has
                    (cd "$image" && CARGO_TARGET_DIR=$target cargo clippy $options ${built:+-- -D warnings})
                    built=$rest
                    ;;
                *' /'*)
                    echo "this would be done to this machine, not to an image: RUN $rest" >&2
                    exit 1
                    ;;
                *) (cd "$image" && sh -euc "$rest") ;;
            esac
            ;;
    esac
done < <(awk '/^FROM /{ stage++ } stage == 1 && !/^#/ { if (sub(/\\$/, "")) { line = line $0; next } print line $0; line = "" }' Dockerfile)
[[ $built == *--bins* ]] || {
    echo "the Dockerfile builds no programs" >&2
    exit 1
}
