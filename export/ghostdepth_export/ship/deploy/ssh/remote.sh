# shellcheck shell=dash
# What `ghostdepth deploy` runs on the Pi, over ssh: POSIX sh and the programs that every Debian has.
#
#   hold PREFIX WAIT     says what the Pi is and takes the lock, waiting at most WAIT seconds;
#                        WAIT `-` takes no lock. Ends when the other side goes away.
#   list PREFIX ID       what the Pi has already: "SHA256  PATH" lines, an empty line, and then
#                        "BYTES PATH" of the files whose copying may have been cut off
#   prepare PREFIX ID    reads "delete PATH", "folder PATH" and "link FROM TO" lines (tabs between)
#   install PREFIX ID    runs the installer of the bundle that was copied
#   rollback PREFIX      back to the version before
#   bench PREFIX ARG...  runs bench-depth; its results go to PREFIX/results.json
#   fetch PREFIX         prints these results
#
# Each verb first prints "ghostdepth", so that what a login prints can be told from an answer.
# Copies arrive in PREFIX/incoming/ID. After an installation they stay as PREFIX/bundle: the next
# deployment takes from there what did not change.
set -eu

busy=75
silence=60

# Waits for a sign of life: one byte within the time.
alive() {
    [ -n "$(timeout "$silence" head -c 1 2>/dev/null)" ]
}

# Runs a command while the other side is there; ends it, and all that it started, otherwise.
guarded() {
    setsid "$@" </dev/null 3<&- &
    job=$!
    {
        while alive; do :; done
        kill -s TERM -- "-$job"
        sleep 10
        kill -s KILL -- "-$job"
    } <&3 >/dev/null 2>&1 &
    watcher=$!
    status=0
    wait "$job" || status=$?
    kill "$watcher" 2>/dev/null || true
    return "$status"
}

version() {
    [ ! -L "$prefix/$1" ] || basename "$(readlink "$prefix/$1")"
}

# Free kilobytes where the prefix is or will be.
free() {
    place=$prefix
    while [ ! -d "$place" ]; do
        place=$(dirname "$place")
    done
    df -k --output=avail "$place" | tail -n 1 | tr -d " "
}

hold() {
    about='import sys; print("%d.%d" % sys.version_info[:2], sys.maxsize.bit_length() + 1)'
    echo "machine $(uname -m)"
    echo "python $(python3 -c "$about" 2>/dev/null || echo none 0)"
    echo "rsync $(command -v rsync || true)"
    echo "prefix $prefix"
    echo "current $(version current)"
    echo "free $(free)"
    if [ "$1" != - ]; then
        mkdir -p "$prefix"
        exec 9>>"$prefix/.deploy.lock"
        flock -w "$1" 9 || exit "$busy"
    fi
    echo ready
    while alive; do :; done
}

list() {
    cd "$prefix" 2>/dev/null || return 0
    for folder in incoming bundle current/; do
        [ ! -d "$folder" ] || find "$folder" -type f -exec sha256sum {} +
    done
    echo
    [ ! -d "incoming/$1" ] || find "incoming/$1" -type f -links 1 -printf '%s %p\n'
}

prepare() {
    cd "$prefix"
    mkdir -p "incoming/$1"
    while IFS='	' read -r verb from to; do
        case $verb in
            delete) rm -f -- "$from" ;;
            folder) mkdir -p -- "$from" ;;
            link) cp -lf -- "$from" "$to" 2>/dev/null || cp -f -- "$from" "$to" ;;
        esac
    done
}

install() {
    cd "$prefix"
    guarded sh "incoming/$1/install" --prefix "$prefix" || return
    rm -rf bundle
    mv "incoming/$1" bundle
    rm -rf incoming
}

rollback() {
    if [ ! -e "$prefix/current/install" ]; then
        echo "nothing is installed in $prefix" >&2
        exit 1
    fi
    guarded sh "$prefix/current/install" --rollback --prefix "$prefix"
}

bench() {
    rm -f "$prefix/results.json"
    guarded "$prefix/current/bench-depth" --json "$prefix/results.json" "$@" >/dev/null
}

fetch() {
    cat "$prefix/results.json"
}

echo ghostdepth
verb=$1
prefix=${2:-ghostdepth}
shift 2
case $prefix in
    /*) ;;
    *) prefix=$HOME/$prefix ;;
esac
exec 3<&0
case $verb in
    hold | list | prepare | install | rollback | bench | fetch) "$verb" "$@" ;;
esac
