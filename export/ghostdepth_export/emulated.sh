#!/bin/sh
# Runs a command of the host that starts programs for arm64. Called in new user and mount
# namespaces; the handler of those programs ends with them.
#
# emulated.sh QEMU COMMAND...
#   QEMU   the static qemu-aarch64
# The caller is told `ready` and answers with a line once it has mapped the user ids.
set -e
echo ready
read -r answer
handlers=/proc/sys/fs/binfmt_misc
if mount -t binfmt_misc none "$handlers" 2>/dev/null; then
    # As in emulator/enter.sh.
    magic='\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    printf '%s\n' ":ghostdepth:M::$magic:$mask:$1:F" > "$handlers/register"
elif ! grep -q '^flags:.*F' "$handlers/qemu-aarch64" 2>/dev/null; then
    echo "this kernel lets no user namespace emulate (Linux 6.7 does); register qemu-aarch64 for" \
        "the whole machine: apt install binfmt-support" >&2
    exit 2
fi
shift
exec "$@" </dev/null
