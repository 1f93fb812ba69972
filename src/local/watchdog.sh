# The watchdog of one private server. $1 is the server's folder.
#
# Blocks until the process that started it closes standard input, by itself or by dying in whatever way; then kills the
# server and everything it started, and removes the folder. A signal that ends our process must not end this one first.
trap '' HUP INT TERM
while read -r _; do :; done

tries=0
while [ -e "$1" ]; do
    # Read again each time: a server being started as we died writes its id late.
    if [ -s "$1/pid" ]; then
        read -r pid < "$1/pid"
        kill -s KILL -- "-$pid"
    fi
    if [ -s "$1/container" ]; then
        read -r container < "$1/container"
        docker rm --force --volumes "$container"
    fi
    rm -rf -- "$1"
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || exit 1
    [ ! -e "$1" ] || sleep 0.1
done
