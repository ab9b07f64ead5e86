#!/bin/sh
# Installs the bundle that it lies in on a Raspberry Pi; no network, no root, no pip is needed.
#
#   ./install [--prefix DIR]              DIR: ~/ghostdepth where not given
#   ./install --rollback [--prefix DIR]   back to the version before
#
# It makes
#   DIR/current -> versions/ID   switched in one step: it can be used at every moment
#   DIR/previous                 the version before
#   DIR/current/bench-depth      the command; models/ and samples/ lie beside it
#   DIR/envs/KEY                 Python packages; versions with the same wheels share them
#
# Everything is checked before anything is written, and the new version has measured once before
# `current` points to it. Killed at any moment, `current` still runs and the next install succeeds.
#
# Exit codes: 0 done; 2 wrong use; 10 wrong machine; 11 Python missing or another version;
# 12 too little disk space; 13 a checksum is wrong; 14 the packages cannot be installed;
# 15 the new version does not run; 16 another install is running; 17 nothing to roll back to;
# 18 DIR cannot be used; 129, 130, 141, 143 ended by a signal.
set -u
export LC_ALL=C PIP_CONFIG_FILE=/dev/null
unset PYTHONPATH PYTHONHOME

fail() { # CODE MESSAGE...
    code=$1
    shift
    # One line, whatever a name holds.
    printf 'install: %s\n' "$(printf '%s' "$*" | tr '[:cntrl:]' '?')" >&2
    exit "$code"
}

free_kb() { df -k --output=avail -- "$1" | tail -n 1; }

# The code and line for a command that wrote its errors to the log, which may be on a full disk.
failed() { # CODE WHAT EXIT
    if grep -qs 'No space left' "$log" || [ "$(free_kb "$prefix")" -lt 1024 ]; then
        fail 12 "$2: the disk is full; free some space and install again"
    fi
    said=$(grep -s . "$log" | tail -n 1)
    fail "$1" "$2: ${said:-it ended with exit code $3}"
}

unfinished='' log='' child='' seen='' numpy=''
clean() {
    [ -z "$unfinished" ] || rm -rf "$unfinished"
    [ -z "$log" ] || rm -f "$log"
}
stopped() { # CODE
    trap '' INT TERM HUP PIPE
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null
        wait "$child"
    fi
    exit "$1"
}
trap clean EXIT
trap 'stopped 129' HUP
trap 'stopped 130' INT
trap 'stopped 141' PIPE
trap 'stopped 143' TERM

# A trap waits for a command in the foreground to end, but not for `wait`.
run() {
    "$@" >"$log" 2>&1 &
    child=$!
    wait "$child"
    status=$?
    child=''
    return "$status"
}

# Runs a Python module (venv, or pip out of its wheel). Where install is killed the module must not
# go on writing: PR_SET_PDEATHSIG. pip for Python 3.9 needs distutils, which Debian 11 packs apart,
# unless it is told to use sysconfig, as it does for newer Pythons.
# shellcheck disable=SC2016
module='
import ctypes, runpy, sys, sysconfig
ctypes.CDLL(None).prctl(1, 9)
sysconfig._PIP_USE_SYSCONFIG = True
_, path, name, *arguments = sys.argv
sys.path.insert(0, path)
sys.argv = [name, *arguments]
runpy.run_module(name, run_name="__main__", alter_sys=True)
'

field() { # NAME -> a value of the manifest's outermost level
    sed -n 's/^  "'"$1"'": "\{0,1\}\([^",]*\)"\{0,1\},\{0,1\}$/\1/p' manifest.json
}

check_manifest() {
    [ -f manifest.json ] && [ -f SHA256SUMS ] ||
        fail 2 "$bundle is no bundle: manifest.json or SHA256SUMS is missing; copy it whole"
    # It is the last line: a list that lost its end has lost it.
    [ "$(tail -n 1 SHA256SUMS)" = "$(sha256sum manifest.json)" ] ||
        fail 13 "wrong checksum: manifest.json (or SHA256SUMS); copy the bundle again"
}

# The list is the manifest's, to the letter: what tools on the way make of one (other ends of lines,
# `*` before names, lines that are lost or there twice) would leave files unchecked and uncopied.
check_list() {
    listed=$(sed -n -e '/^    ".*": {$/{s/^    "\(.*\)": {$/\1/;s/\\"/"/g;h;}' \
        -e '/^      "sha256": "/{s/^      "sha256": "\([0-9a-f]*\)".*/\1/;G;s/\n/  /;p;}' \
        manifest.json)
    [ "$listed
$(sha256sum manifest.json)" = "$(cat SHA256SUMS)" ] ||
        fail 13 "SHA256SUMS does not list the files of manifest.json; copy the bundle again"
}

check_machine() {
    machine=$(field machine) here=$(uname -m)
    [ "$here" = "$machine" ] ||
        fail 10 "this machine is $here, the bundle is for $machine (64-bit Raspberry Pi OS)"
    version=$(field python) found=''
    for python in "python$version" python3; do
        found=$("$python" -I -c 'import struct, sys
print("%d.%d" % sys.version_info[:2], 8 * struct.calcsize("P"))' 2>/dev/null)
        [ "${found% *}" != "$version" ] || break
    done
    [ -n "$found" ] || fail 11 "there is no Python; run: sudo apt install python3"
    # Before the version: a bundle for that Python would be refused here as well.
    [ "${found#* }" = 64 ] ||
        fail 10 "this Raspberry Pi OS is 32-bit (on a 64-bit kernel); flash" \
            "Raspberry Pi OS Lite (64-bit)"
    [ "${found% *}" = "$version" ] ||
        fail 11 "Python here is ${found% *}, the bundle is for $version ($(field target));" \
            "make one for this system"
}

# picamera2 comes from apt and runs with apt's numpy alone: the environment has to see both, and brings
# no numpy where apt's has the major version of the bundle's and is one that bench-depth runs with.
# shellcheck disable=SC2016
camera='
import importlib.metadata, importlib.util, sys
if importlib.util.find_spec("picamera2") is None:
    sys.exit(1)
number = lambda text: tuple(int(part) for part in text.split(".")[:2])
try:
    found = importlib.metadata.version("numpy")
    fits = number(found)[0] == number(sys.argv[1])[0] and number(found) >= (1, 24)
except (importlib.metadata.PackageNotFoundError, ValueError):
    fits = False
print(found if fits else "")
'
find_camera() {
    bundled=${wheels#*wheels/numpy-}
    numpy=$("$python" -I -c "$camera" "${bundled%%-*}" 2>/dev/null) || return 0
    seen=--system-site-packages
    key=$key-camera${numpy:+-numpy$numpy}
}

check_space() {
    place=$prefix
    while [ ! -e "$place" ]; do place=$(dirname -- "$place"); done
    needed=$(field version_bytes)
    [ -e "$env/.complete" ] || needed=$((needed + $(field env_bytes)))
    needed=$((needed / 1048576 + 16))
    free=$(($(free_kb "$place") / 1024))
    [ "$free" -ge "$needed" ] ||
        fail 12 "$needed MB of disk space are needed in $prefix, $free MB are free"
}

check_sums() {
    bad=$(sha256sum -c --quiet --strict SHA256SUMS 2>/dev/null) && return
    first=${bad%%
*}
    first=${first%: FAILED*}
    fail 13 "wrong checksum: ${first:-SHA256SUMS}; copy the bundle again"
}

lock() {
    # `incoming` is where a bundle is copied to from afar.
    there=$(ls -A "$prefix" 2>/dev/null)
    [ -z "$there" ] || [ -d "$prefix/versions" ] || [ -d "$prefix/incoming" ] ||
        fail 18 "$prefix holds other files; choose another --prefix"
    mkdir -p -- "$prefix/versions" "$prefix/envs" 2>/dev/null &&
        (: >>"$prefix/.lock") 2>/dev/null ||
        fail 18 "cannot write $prefix; choose another --prefix"
    for name in current previous; do
        [ -L "$prefix/$name" ] || [ ! -e "$prefix/$name" ] ||
            fail 18 "$prefix/$name is not a link made by install; choose another --prefix"
    done
    # The kernel frees it when the process ends, however it ends.
    exec 9>>"$prefix/.lock"
    "$python" -I -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null ||
        fail 16 "another install is running in $prefix; wait for its end"
    log=$prefix/.install.log
}

make_env() {
    if [ -e "$env/.complete" ] && "$env/bin/bench-depth" --version >/dev/null 2>&1; then return; fi
    echo "installing Python packages into $env${numpy:+, with numpy $numpy of the system for picamera2}"
    rm -rf "$env"
    unfinished=$env
    set --
    for wheel in $wheels; do
        case $wheel in
            wheels/pip-*) pip=$wheel ;;
            wheels/numpy-*) [ -n "$numpy" ] || set -- "$@" "$wheel" ;;
            *) set -- "$@" "$wheel" ;;
        esac
    done
    # shellcheck disable=SC2086
    run "$python" -I -c "$module" "$pip" venv --without-pip $seen "$env" ||
        failed 14 "cannot make a Python environment" $?
    run "$env/bin/python" -I -c "$module" "$pip" pip install --isolated \
        --quiet --no-index --no-deps --no-compile --no-cache-dir --disable-pip-version-check "$@" ||
        failed 14 "cannot install the Python packages" $?
    sync -f "$env"
    run touch "$env/.complete" || failed 18 "cannot write $env" $?
    unfinished=''
}

# The listed files that a version consists of, one a line.
version_sums() { grep -E '^[0-9a-f]{64}  (manifest\.json$|install$|models/|samples/)' SHA256SUMS; }

make_version() { # FOLDER
    echo "copying models and samples"
    partial=$1
    rm -rf "$partial"
    unfinished=$partial
    run mkdir -- "$partial" || failed 18 "cannot write $partial" $?
    set --
    version_sums >"$log"
    while IFS= read -r line; do set -- "$@" "${line#*  }"; done <"$log"
    # Links only to copies of our own: a user's bundle may be written over in place.
    link=--force
    case $bundle/ in
        "$prefix"/*)
            ln manifest.json "$partial/linked" 2>/dev/null && rm "$partial/linked" && link=--link
            ;;
    esac
    run cp "$link" --parents -- "$@" "$partial" || failed 18 "cannot copy to $partial" $?
    run ln -s "../../envs/$key/bin/bench-depth" "$partial/bench-depth" ||
        failed 18 "cannot write $partial" $?
    is_whole "$partial" || fail 18 "the copy in $partial is not what was read; check the disk"
}

is_whole() { # FOLDER
    [ "$(readlink -- "$1/bench-depth")" = "../../envs/$key/bin/bench-depth" ] &&
        version_sums | (cd -- "$1" && sha256sum -c --status --strict 2>/dev/null)
}

self_check() { # FOLDER
    echo "measuring once"
    # One model of each kind, so that every runtime has been tried.
    set -- "$1" --warmup 0 --min-runs 1 --min-time 0
    for kind in tflite onnx; do
        for model in "$1"/models/*."$kind"; do
            [ ! -e "$model" ] || set -- "$@" --model "$model"
            break
        done
    done
    command=$1/bench-depth
    shift
    run "$command" "$@" 9>&- || failed 15 "the new version does not run" $?
}

point() { # LINK TARGET
    ln -sfn "$2" "$prefix/.$1.new" && mv -T "$prefix/.$1.new" "$prefix/$1" ||
        fail 18 "cannot write $prefix/$1"
}

# Removes what neither `current` nor `previous` uses.
prune() {
    keep=" $(readlink "$prefix/current") $(readlink "$prefix/previous") " used=" "
    for folder in "$prefix"/versions/* "$prefix"/versions/.[!.]*; do
        case $keep in
            *" versions/${folder##*/} "*) used="$used$(readlink "$folder/bench-depth") " ;;
            *) rm -rf "$folder" ;;
        esac
    done
    for folder in "$prefix"/envs/*; do
        case $used in *" ../../envs/${folder##*/}/bin/bench-depth "*) ;; *) rm -rf "$folder" ;; esac
    done
}

install() {
    check_manifest
    check_list
    id=$(field id)
    wheels=$(sed -n 's/^[0-9a-f]\{64\}  \(wheels\/.*\.whl\)$/\1/p' SHA256SUMS)
    key=$(grep '  wheels/' SHA256SUMS | sha256sum | cut -c 1-16)
    check_machine
    find_camera
    env=$prefix/envs/$key folder=$prefix/versions/$id
    check_space
    check_sums
    lock
    make_env
    if is_whole "$folder"; then
        self_check "$folder"
    else
        make_version "$prefix/versions/.$id.partial"
        self_check "$prefix/versions/.$id.partial"
        # What stands there is damaged.
        rm -rf "$prefix/versions/.$id.damaged"
        [ ! -e "$folder" ] || mv -T "$folder" "$prefix/versions/.$id.damaged"
        mv -T "$prefix/versions/.$id.partial" "$folder" || fail 18 "cannot write $folder"
        unfinished=''
    fi
    sync -f "$prefix"
    old=$(readlink "$prefix/current")
    case $old in "" | "versions/$id") ;; *) point previous "$old" ;; esac
    point current "versions/$id"
    sync -f "$prefix"
    prune
    echo "installed $id at $prefix/current"
}

rollback() {
    [ -d "$prefix" ] || fail 17 "nothing is installed in $prefix"
    lock
    old=$(readlink "$prefix/current") new=$(readlink "$prefix/previous")
    [ -n "$new" ] && [ "$new" != "$old" ] && [ -d "$prefix/$new" ] ||
        fail 17 "there is no version before the current one in $prefix"
    run "$prefix/$new/bench-depth" --version ||
        failed 15 "the version before the current one does not run" $?
    point current "$new"
    point previous "$old"
    sync -f "$prefix"
    echo "rolled back to ${new#versions/} at $prefix/current"
}

action=install prefix=${HOME:-}/ghostdepth python=python3
while [ $# -gt 0 ]; do
    case $1 in
        --rollback) action=rollback ;;
        --prefix=?*) prefix=${1#--prefix=} ;;
        --prefix)
            [ -n "${2:-}" ] || fail 2 "--prefix needs a folder"
            prefix=$2
            shift
            ;;
        *) fail 2 "unknown argument $1; use: install [--rollback] [--prefix DIR]" ;;
    esac
    shift
done
prefix=$(realpath -m -- "$prefix"; echo /)
prefix=${prefix%?/}
# A Python environment works in no such folder: its scripts name it in their first lines.
case $prefix in
    *[\"\`\$\\:]* | *\'\'\'* | *[[:cntrl:]]*)
        fail 18 "$prefix holds a quote, \`, \$, \\, : or control character; choose another --prefix"
        ;;
esac
bundle=$(dirname -- "$(realpath -- "$0")")
cd -- "$bundle" || fail 2 "cannot enter $bundle"
"$action"
