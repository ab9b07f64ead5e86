/*
 * Streams of stores: lines that are written whole, one after the other in memory.
 *
 * Once some lines in a row were written whole, a Cortex-A72 no longer reads the next ones before it
 * writes them ("write streaming"; the thresholds are in its CPU Auxiliary Control Register, Arm
 * 100095, 4.3.66). Here a line belongs to a stream if the STREAM lines before it were written whole,
 * each while it was one of the OPEN_LINES that were stored to last.
 *
 * Copyright 2025 The ghostdepth authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "cache.h"

enum { OPEN_LINES = 4, STREAM = 4 };

static struct open_line {
    uint64_t line, bytes; /* bit by bit, which of its bytes were stored */
    unsigned before;      /* lines in a row before it that were written whole */
} open_lines[OPEN_LINES];
static unsigned last, oldest;

/* Of a line that was not stored to last: what is known of it, in the place of the oldest if nothing is. */
static struct open_line *open_line(uint64_t line)
{
    struct open_line opened = { .line = line };
    for (unsigned i = 0; i < OPEN_LINES; i++) {
        if (open_lines[i].line == line) {
            last = i;
            return &open_lines[i];
        }
        if (open_lines[i].line == line - 1 && open_lines[i].bytes == UINT64_MAX) {
            opened.before = open_lines[i].before + 1;
        }
    }
    last = oldest;
    oldest = (oldest + 1) % OPEN_LINES;
    open_lines[last] = opened;
    return &open_lines[last];
}

/* A store within one line, of less than the whole; gives whether the line belongs to a stream. */
INLINE bool streams(uint64_t address, unsigned size)
{
    uint64_t line = address >> LINE_SHIFT;
    struct open_line *to = open_lines[last].line == line ? &open_lines[last] : open_line(line);
    to->bytes |= ((UINT64_C(1) << size) - 1) << address % LINE;
    return to->before >= STREAM;
}

#endif
