#!/bin/sh
# Runs a command in an emulated Pi. Called inside new user, mount and pid namespaces, in which this
# process is root: nothing here can touch the host.
#
# enter.sh LOWER MOUNT QEMU CWD [HOST GUEST]... -- COMMAND...
#   LOWER  overlayfs's lowerdir: layers, then the root, separated by colons
#   MOUNT  an empty folder
#   QEMU   the static qemu-aarch64
#   CWD    where in the guest the command starts
#   HOST GUEST  a folder of the host, and where in the guest it is seen
set -e
. "$(dirname "$0")/handler.sh"
# chroot and mount are where only administrators look.
PATH=$PATH:/usr/sbin:/sbin
lower=$1 mount=$2 qemu=$3 cwd=$4
shift 4
root=${lower##*:}

# What the guest writes outside shared folders goes to memory and ends with the command.
mount -t tmpfs -o mode=755 tmpfs "$mount"
mkdir "$mount/upper" "$mount/work" "$mount/guest"
guest=$mount/guest
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$mount/upper,workdir=$mount/work,userxattr" "$guest"
mount --rbind /dev "$guest/dev"
mount --rbind /sys "$guest/sys"
mount -t proc proc "$guest/proc"
mount --bind "$root/proc/cpuinfo" "$guest/proc/cpuinfo"
mount --bind "$root/sys/devices/system/cpu" "$guest/sys/devices/system/cpu"
if [ -e /etc/resolv.conf ]; then
    : > "$guest/etc/resolv.conf"
    mount --bind /etc/resolv.conf "$guest/etc/resolv.conf"
fi
while [ "$1" != -- ]; do
    mkdir -p "$guest$2"
    mount --rbind "$1" "$guest$2"
    shift 2
done
shift

emulate "$qemu" "$guest/proc/sys/fs/binfmt_misc" || {
    echo "ghostdepth: $cannot_emulate" >&2
    exit 2
}
cd "$guest$cwd"
# Not exec: the first process of a pid namespace ignores the signals it does not handle.
# shellcheck disable=SC2016  # For the guest's shell.
chroot "$guest" /bin/sh -c 'cd "$0" && exec "$@"' "$cwd" "$@"
