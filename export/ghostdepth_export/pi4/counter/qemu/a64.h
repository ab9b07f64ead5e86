/*
 * What kind of instruction a word of A64 is.
 *
 * Copyright 2025 The ghostdepth authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef A64_H
#define A64_H

#include <stdbool.h>
#include <stdint.h>

static bool is_call(uint32_t word) /* BL, BLR */
{
    return word >> 26 == 0x25 || (word & 0xfffffc1f) == 0xd63f0000;
}

static bool is_zero(uint32_t word) /* DC ZVA */
{
    return (word & 0xffffffe0) == 0xd50b7420;
}

/* Whether ADD moves the address of a DC ZVA by a line: ADD Xn, Xn, 64. */
static inline bool adds_line(uint32_t word, uint32_t zero)
{
    uint32_t address = zero & 31;
    return word == (0x91010000 | address << 5 | address);
}

/* Arithmetic, loads and stores with vector or floating-point registers. */
static inline bool uses_vectors(uint32_t word)
{
    return (word & 0x0c000000) == 0x0c000000;
}

enum access { NO_ACCESS, LOAD, STORE };

/* Arm ARM, C4.1 "Loads and stores"; without the atomics of Armv8.1, which a Cortex-A72 lacks. */
static enum access access_of(uint32_t word)
{
    if (is_zero(word)) {
        return STORE;
    }
    if ((word & 0x0a000000) != 0x08000000) {
        return NO_ACCESS;
    }
    bool simd = word >> 26 & 1;
    unsigned size = word >> 30, opc = word >> 22 & 3;
    switch (word >> 28 & 3) {
    case 0: /* exclusive and ordered; structures of SIMD */
    case 2: /* pairs */
        return opc & 1 ? LOAD : STORE;
    case 1: /* literals */
        return size == 3 && !simd ? NO_ACCESS : LOAD;
    default:
        if (simd) {
            return opc & 1 ? LOAD : STORE;
        }
        if (size == 3 && opc == 2) { /* prefetch */
            return NO_ACCESS;
        }
        return opc ? LOAD : STORE;
    }
}

#endif
