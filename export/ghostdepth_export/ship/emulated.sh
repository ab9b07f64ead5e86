#!/bin/sh
# Runs a command of the host that starts programs for arm64. Called in new user and mount
# namespaces; the handler of those programs ends with them.
#
# emulated.sh QEMU COMMAND...
#   QEMU   the static qemu-aarch64
# The caller is told `ready` and answers with a line once it has mapped the user ids.
set -e
. "$(dirname "$0")/../pi4/emulator/handler.sh"
echo ready
read -r _
emulate "$1" /proc/sys/fs/binfmt_misc || {
    echo "$cannot_emulate" >&2
    exit 2
}
shift
exec "$@" </dev/null
