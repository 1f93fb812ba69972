#!/bin/sh
# Makes sure that the demo and the tests can run here: cargo, a linker, and programs for private servers.
#
# Says what is missing and what it will do about it, then does it: apt-get as root or with sudo, Homebrew, or nothing
# when Docker answers (containers are used then). Never starts, stops or changes a server of this machine.
set -eu

say() { printf 'restock: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# As src/local/programs.rs looks for them.
folders="/usr/sbin /usr/local/sbin /usr/libexec /usr/local/bin /usr/local/mysql/bin /opt/homebrew/bin"
for formula in redis valkey mariadb mysql; do
    folders="$folders /opt/homebrew/opt/$formula/bin /usr/local/opt/$formula/bin"
done

has() {
    for name in "$@"; do
        command -v "$name" > /dev/null 2>&1 && return 0
        for folder in $folders; do
            [ -f "$folder/$name" ] && [ -x "$folder/$name" ] && return 0
        done
    done
    return 1
}

missing_servers() {
    [ -n "${RESTOCK_TEST_REDIS_URL:-}${RESTOCK_LOCAL_REDIS:-}" ] || has redis-server valkey-server || printf ' redis'
    [ -n "${RESTOCK_TEST_MYSQL_URL:-}${RESTOCK_LOCAL_MYSQLD:-}" ] || has mariadbd mysqld || printf ' mariadb'
}

check_compiler() {
    command -v cargo > /dev/null 2>&1 || fail "cargo is missing: install Rust from https://rustup.rs, then open a new shell"
    command -v cc > /dev/null 2>&1 && return
    case $(uname -s) in
        Darwin) fail "a C linker (cc) is missing: run xcode-select --install" ;;
        *) fail "a C linker (cc) is missing: apt-get install build-essential, or your system's gcc" ;;
    esac
}

policy=/usr/sbin/policy-rc.d

# Debian starts a service that it installs, on its standard port, unless this file forbids it.
install_with_apt() {
    packages=$(printf '%s' "$1" | sed 's/redis/redis-server/; s/mariadb/mariadb-server/')
    run=
    [ "$(id -u)" -eq 0 ] || run=sudo
    say "installing$packages with apt-get; the services are not started"
    if [ ! -e "$policy" ]; then
        # INT and TERM end the script, and every end removes the file.
        trap '$run rm -f "$policy"' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        printf '#!/bin/sh\nexit 101\n' | $run tee "$policy" > /dev/null
        $run chmod 755 "$policy"
    else
        say "$policy exists: whether the services are started is its decision"
    fi
    # Without package lists nothing can be found; outdated ones name files that are gone.
    # shellcheck disable=SC2086 # one word for each package
    if ! ls /var/lib/apt/lists/*Packages* > /dev/null 2>&1 || ! apt_get install $packages; then
        apt_get update
        apt_get install $packages
    fi
}

apt_get() {
    $run env DEBIAN_FRONTEND=noninteractive apt-get --yes --no-install-recommends -qq "$@" >&2
}

check_compiler
missing=$(missing_servers)
[ -n "$missing" ] || exit 0
say "missing for private servers:$missing"

if command -v apt-get > /dev/null 2>&1 && { [ "$(id -u)" -eq 0 ] || command -v sudo > /dev/null 2>&1; }; then
    install_with_apt "$missing"
elif command -v brew > /dev/null 2>&1; then
    say "installing$missing with Homebrew; no service is started"
    # shellcheck disable=SC2086 # one word for each formula
    brew install $missing >&2
elif command -v docker > /dev/null 2>&1 && docker info > /dev/null 2>&1; then
    say "Docker answers: containers will be used"
    exit 0
else
    fail "install$missing with your system's package manager (on Debian, as root: apt-get install redis-server mariadb-server), \
or start Docker"
fi

missing=$(missing_servers)
[ -z "$missing" ] || fail "installed, but still not found:$missing"
