/*
 * What loads and stores find in caches like a Cortex-A72's: the callbacks that count the misses.
 *
 * Copyright 2025 The ghostdepth authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "cache.h"
#include "counts.h"
#include "plugin_api.h"
#include "stream.h"

enum { L1D_WAYS = 2, L1D_LINES = 32 * 1024 / LINE, L2_WAYS = 16, L2_LINES = 1024 * 1024 / LINE };

static uint64_t l1d_entries[L1D_LINES], l2_entries[L2_LINES];
#define l1d ((struct cache){ L1D_LINES / L1D_WAYS, L1D_WAYS, l1d_entries })
#define l2 ((struct cache){ L2_LINES / L2_WAYS, L2_WAYS, l2_entries })

enum kind { READ, WRITE, STREAMED, ZERO };
enum { WIDEST = 16 }; /* no access that QEMU reports has more bytes */

/*
 * Write-back, write-allocate; the L2 holds all that the L1D holds. A line that is zeroed whole has
 * to be fetched from nowhere, so it is no miss. One that a stream of stores writes is a miss that is
 * counted apart, too.
 */
static void access_line(uint64_t line, enum kind kind)
{
    uint64_t fallen, none;
    if (touch(l1d, line, kind != READ, &fallen)) {
        return;
    }
    now.l1d_misses += kind != ZERO;
    now.l1d_streamed += kind == STREAMED;
    if (fallen & 1) {
        touch(l2, fallen >> 1, true, &none);
    }
    if (touch(l2, line, false, &fallen)) {
        return;
    }
    now.l2_misses += kind != ZERO;
    now.l2_streamed += kind == STREAMED;
    if (fallen) {
        bool newer = invalidate(l1d, fallen >> 1);
        now.writebacks += newer || fallen & 1;
    }
}

/*
 * DC ZVA zeroes a line, and QEMU does not say which. Only glibc's memset uses it, in one of two ways,
 * for a run of lines. Up to glibc 2.33 it goes on where the last store ended, and the next store goes
 * on after the run. Later ones first store the last 64 bytes of all, END - 64 to END, and before them
 * the first 64, from the line before the run; the run ends at or after END - 64. They add to the
 * address before the DC ZVA, not after it. That a run does not fit is counted as a stray.
 */
enum { STORES = 32 };
static uint64_t stored[STORES], stores_seen, strays; /* ends of the last stores */
static bool zeroing, ends_stored;
static uint64_t zeroed;

static uint64_t end_of_store(unsigned back)
{
    return stored[(stores_seen - 1 - back) % STORES];
}

/* Where the store before the last 64 bytes of all ended. */
static uint64_t end_of_head(void)
{
    unsigned back = 1;
    while (back < STORES - 1 && end_of_store(back) > end_of_store(0) - LINE
           && end_of_store(back) < end_of_store(0)) {
        back++;
    }
    return end_of_store(back);
}

/* The first of a run. */
static void begin_zeroing(void)
{
    zeroing = true;
    zeroed = ((ends_stored ? end_of_head() - LINE : end_of_store(0) - 1) >> LINE_SHIFT) + 1;
}

/* Before the next store, whose line is given. */
static void end_zeroing(uint64_t line)
{
    uint64_t tail = (end_of_store(0) - LINE) >> LINE_SHIFT;
    zeroing = false;
    strays += ends_stored ? zeroed != tail && zeroed != tail + 1 : line != zeroed;
}

static void on_zero(unsigned vcpu, void *of_later_glibc)
{
    if (!zeroing) {
        ends_stored = of_later_glibc;
        begin_zeroing();
    }
    access_line(zeroed++, ZERO);
}

static void load_bytes(uint64_t address, unsigned size)
{
    for (uint64_t line = address >> LINE_SHIFT; line <= (address + size - 1) >> LINE_SHIFT; line++) {
        access_line(line, READ);
    }
}

static void store_bytes(uint64_t address, unsigned size)
{
    unsigned first = LINE - address % LINE;
    if (size > first) {
        store_bytes(address, first);
        store_bytes(address + first, size - first);
    } else {
        access_line(address >> LINE_SHIFT, streams(address, size) ? STREAMED : WRITE);
    }
}

/*
 * Most accesses are to the line of their set that was used last, which changes nothing but that
 * line's dirty bit. The entry of that line, if all of an access is surely in it; else none.
 */
INLINE uint64_t *last_used(uint64_t address)
{
    uint64_t line = address >> LINE_SHIFT, *entry = set_of(l1d, line);
    return *entry >> 1 == line && address % LINE <= LINE - WIDEST ? entry : NULL;
}

static void on_load(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *unused)
{
    if (!last_used(address)) {
        load_bytes(address, 1u << qemu_plugin_mem_size_shift(info));
    }
}

/* Of an instruction that stores; an exclusive one loads as well. */
static void on_store(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *unused)
{
    if (!qemu_plugin_mem_is_store(info)) {
        on_load(vcpu, info, address, unused);
        return;
    }
    uint64_t *entry = last_used(address);
    if (zeroing) {
        end_zeroing(address >> LINE_SHIFT);
    }
    unsigned size = 1u << qemu_plugin_mem_size_shift(info);
    stored[stores_seen++ % STORES] = address + size;
    if (entry) {
        *entry |= 1;
        streams(address, size);
    } else {
        store_bytes(address, size);
    }
}

#endif
