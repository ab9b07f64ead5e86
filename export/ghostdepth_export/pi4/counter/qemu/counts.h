/*
 * What is counted, from the start of the run on, and the lines that say so.
 *
 * Copyright 2025 The ghostdepth authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef COUNTS_H
#define COUNTS_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

struct counts {
    uint64_t instructions, loads, stores, cycle_sixths, l1d_misses, l2_misses, writebacks;
    uint64_t l1d_streamed, l2_streamed;
};

static struct counts now;
static FILE *out;

static void put(const char *label, const struct counts *from)
{
    const uint64_t figures[] = {
        now.instructions - from->instructions, now.loads - from->loads,
        now.stores - from->stores,             now.cycle_sixths - from->cycle_sixths,
        now.l1d_misses - from->l1d_misses,     now.l2_misses - from->l2_misses,
        now.writebacks - from->writebacks,     now.l1d_streamed - from->l1d_streamed,
        now.l2_streamed - from->l2_streamed,
    };
    fprintf(out, "%s", label);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        fprintf(out, " %" PRIu64, figures[i]);
    }
    fprintf(out, "\n");
}

#endif
