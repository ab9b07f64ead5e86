/*
 * A cache of 64-byte lines that forgets the least recently used first.
 *
 * Copyright 2025 The ghostdepth authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CACHE_H
#define CACHE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { LINE_SHIFT = 6, LINE = 1 << LINE_SHIFT };

/*
 * Each set holds its lines from the most to the least recently used, as 2 * line + dirty. The
 * number of sets is a power of two. What is called for every access is inlined, where sets and
 * ways are constants: a division or a call there costs more than all the rest.
 */
struct cache {
    unsigned sets, ways;
    uint64_t *entries;
};

#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t *set_of(struct cache cache, uint64_t line)
{
    return cache.entries + (line & (cache.sets - 1)) * cache.ways;
}

/* Makes a line the most recently used; gives whether it was there, else what fell out for it. */
INLINE bool touch(struct cache cache, uint64_t line, bool write, uint64_t *fallen)
{
    uint64_t *set = set_of(cache, line), moved = set[0];
    unsigned way = 0;
    while (moved >> 1 != line && ++way < cache.ways) {
        uint64_t next = set[way];
        set[way] = moved;
        moved = next;
    }
    bool hit = moved >> 1 == line;
    set[0] = line << 1 | write | (hit ? moved & 1 : 0);
    *fallen = hit ? 0 : moved;
    return hit;
}

/* Takes a line out; gives whether it was there and dirty. */
static bool invalidate(struct cache cache, uint64_t line)
{
    uint64_t *set = set_of(cache, line);
    for (unsigned way = 0; way < cache.ways; way++) {
        if (set[way] >> 1 == line) {
            bool dirty = set[way] & 1;
            memmove(set + way, set + way + 1, (cache.ways - 1 - way) * sizeof *set);
            set[cache.ways - 1] = 0;
            return dirty;
        }
    }
    return false;
}

#endif
