# shellcheck shell=dash
# Sourced in a user namespace: programs for arm64 that are started there are emulated.

# shellcheck disable=SC2034  # Set by the script that sources this file.
cannot_emulate="this kernel lets no user namespace emulate (Linux 6.7 does); register qemu-aarch64 \
for the whole machine: apt install binfmt-support"

# emulate QEMU HANDLERS: fails where neither the namespace nor the machine can.
#   QEMU      the static qemu-aarch64
#   HANDLERS  where binfmt_misc is mounted
emulate() {
    # Since Linux 6.7 a user namespace has handlers of its own; before, the machine's must do.
    if mount -t binfmt_misc none "$2" 2>/dev/null; then
        # F: the interpreter is opened now, so that it is found after chroot. Magic and mask: 64-bit
        # little-endian ELF, an executable or shared object, machine 183 (AArch64).
        magic='\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
        mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
        printf '%s\n' ":ghostdepth:M::$magic:$mask:$1:F" > "$2/register"
    else
        grep -q '^flags:.*F' /proc/sys/fs/binfmt_misc/qemu-aarch64 2>/dev/null
    fi
}
