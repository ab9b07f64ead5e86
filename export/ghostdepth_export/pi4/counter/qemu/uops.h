/*
 * What an instruction occupies in a Cortex-A72's issue: micro-operations and pipes.
 *
 * After Arm's "Cortex-A72 Software Optimization Guide" (UAN 0016), with the two FP/ASIMD pipes as
 * one budget: 128 bits a cycle, for which an op on 128-bit registers takes both pipes.
 *
 * Copyright 2025 The ghostdepth authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UOPS_H
#define UOPS_H

#include <stddef.h>

#include "a64.h"

/* How many of each; neon in pipes of 64 bits, multi and divisions in cycles of their one pipe. */
struct uops {
    unsigned all, loads, stores, neon, ints, multi, branches;
};

#define INT { .all = 1, .ints = 1 }
#define MULTI(cycles) { .all = 1, .multi = cycles }
#define NEON(pipes) { .all = 1, .neon = pipes }
#define BRANCH { .all = 1, .branches = 1 }
#define CALL { .all = 2, .branches = 1, .ints = 1 } /* and the link register */
#define ACROSS_AND_NEON(pipes) { .all = 2, .loads = 1, .neon = pipes }

enum { BY_Q = 1000 }; /* one pipe, or two where bit 30 says that the registers have 128 bits */

/* The first row that matches holds. */
static const struct rule {
    uint32_t mask, bits;
    struct uops uops;
} rules[] = {
    /* Branches and system. */
    { 0xfc000000, 0x94000000, CALL },                            /* BL */
    { 0xfffffc1f, 0xd63f0000, CALL },                            /* BLR */
    { 0xfe000000, 0xd6000000, BRANCH },                          /* BR, RET */
    { 0xfc000000, 0x14000000, BRANCH },                          /* B */
    { 0x7c000000, 0x34000000, BRANCH },                          /* CBZ, TBZ */
    { 0xfe000000, 0x54000000, BRANCH },                          /* B.cond */
    { 0xffffffe0, 0xd50b7420, { .all = 1, .stores = 1 } },       /* DC ZVA */
    { 0xfe000000, 0xd4000000, { .all = 1 } },                    /* SVC, NOP, barriers, MRS */

    /* Integers: one-cycle ops in two pipes, all others in the multi-cycle pipe. */
    { 0x7f800000, 0x33000000, MULTI(1) },                        /* BFM inserts */
    { 0x7f800000, 0x13800000, MULTI(1) },                        /* EXTR */
    { 0x1c000000, 0x10000000, INT },                             /* with immediates */
    { 0x1f00fc00, 0x0a000000, INT },                             /* AND, ORR without a shift */
    { 0x1f20fc00, 0x0b000000, INT },                             /* ADD, SUB without a shift */
    { 0x1e000000, 0x0a000000, MULTI(1) },                        /* the same shifted, extended */
    { 0x5fe0f800, 0x1ac00800, MULTI(4) },                        /* UDIV, SDIV: 4 at the least */
    { 0x5fe0e000, 0x1ac04000, MULTI(1) },                        /* CRC32 */
    { 0xffe00000, 0x9b000000, MULTI(3) },                        /* MADD, MSUB of 64 bits */
    { 0xff600000, 0x9b400000, MULTI(4) },                        /* SMULH, UMULH */
    { 0x1f000000, 0x1b000000, MULTI(1) },                        /* MADD of 32 bits, SMADDL */
    { 0x1e000000, 0x1a000000, INT },                             /* CSEL, CCMP, ADC, LSLV, CLZ */

    /* Floating point of scalars. */
    { 0x7f26fc00, 0x1e260000, { .all = 1, .loads = 1 } },        /* FMOV across, by the load pipe */
    { 0x7f20fc00, 0x1e200000, ACROSS_AND_NEON(1) },              /* SCVTF, FCVTZS across */
    { 0x7f200000, 0x1e000000, ACROSS_AND_NEON(1) },              /* the same of fixed point */
    { 0xff20fc00, 0x1e201800, NEON(5) },                         /* FDIV: 5 at the least */
    { 0xff3ffc00, 0x1e21c000, NEON(5) },                         /* FSQRT */
    { 0xfe000000, 0x1e000000, NEON(1) },

    /* Vectors. */
    { 0xbfe0fc00, 0x0e000c00, ACROSS_AND_NEON(BY_Q) },           /* DUP of a general register */
    { 0xffe0fc00, 0x4e001c00, ACROSS_AND_NEON(1) },              /* INS of a general register */
    { 0xbfe0ec00, 0x0e002c00, { .all = 2, .loads = 1, .ints = 1 } }, /* SMOV, UMOV */
    { 0xffa0fc00, 0x2e20fc00, NEON(10) },                        /* FDIV: 5 for each of 2 lanes */
    { 0xffa0fc00, 0x6e20fc00, NEON(20) },                        /* 4 lanes */
    { 0xffbffc00, 0x2ea1f800, NEON(10) },                        /* FSQRT */
    { 0xffbffc00, 0x6ea1f800, NEON(20) },
    { 0x9f200c00, 0x0e200000, NEON(2) },                         /* SMULL, SMLAL, ADDW, ADDHN */
    { 0x9f002400, 0x0f002000, NEON(2) },                         /* the same by element */
    { 0x9f3fac00, 0x0e212800, NEON(2) },                         /* XTN, SHLL, FCVTN, FCVTL */
    { 0x9f3ffc00, 0x0e214800, NEON(2) },                         /* SQXTN */
    { 0x9ff80400, 0x0f000400, NEON(BY_Q) },                      /* MOVI */
    { 0x9f80fc00, 0x0f00a400, NEON(2) },                         /* SXTL, SSHLL */
    { 0x9f80e400, 0x0f008400, NEON(2) },                         /* SHRN, SQRSHRN */
    { 0xde000000, 0x5e000000, NEON(1) },                         /* of scalars */
    { 0x9e000000, 0x0e000000, NEON(BY_Q) },
};

/* The load pipe moves 128 bits a cycle, the store pipe 64: so many micro-operations. */
static struct uops moved(enum access access, unsigned bytes)
{
    unsigned loads = access == LOAD ? (bytes + 15) / 16 : 0;
    unsigned stores = access == STORE ? (bytes + 7) / 8 : 0;
    return (struct uops){ .all = loads + stores, .loads = loads, .stores = stores };
}

/* LD1 to LD4, ST1 to ST4: from two registers on, elements are sorted by the vector pipes. */
static struct uops uops_of_structure(uint32_t word)
{
    static const uint8_t registers[] = { 4, 0, 4, 0, 3, 0, 3, 1, 2, 0, 2 };
    enum access access = access_of(word);
    unsigned q = word >> 30 & 1, opcode = word >> 12 & 15, sorts = 0;
    struct uops uops;
    if (word >> 24 & 1) { /* one element of each register, or one for all */
        unsigned number = 1 + (2 * (word >> 13 & 1)) + (word >> 21 & 1);
        unsigned scale = opcode >> 2;
        unsigned size = scale == 3 ? 1u << (word >> 10 & 3) : 1u << scale;
        size = scale == 2 && word >> 10 & 1 ? 8 : size;
        uops = moved(access, number * size);
        sorts = access == LOAD ? number - (size == 8) : number > 1;
    } else {
        unsigned number = opcode < sizeof registers ? registers[opcode] : 1;
        uops = moved(access, number * (8u << q));
        bool in_order = opcode & 2 || (word >> 10 & 3) == 3;
        sorts = in_order ? 0 : (number + 1) / 2 << q;
    }
    unsigned moves_base = word >> 23 & 1;
    uops.neon = sorts;
    uops.ints = moves_base;
    uops.all += sorts + moves_base;
    return uops;
}

static struct uops uops_of_access(uint32_t word)
{
    enum access access = access_of(word);
    unsigned kind = word >> 28 & 3, simd = word >> 26 & 1, size = word >> 30;
    if (access == NO_ACCESS) { /* prefetch */
        return (struct uops){ .all = 1, .loads = 1 };
    }
    if (kind == 0 && simd) {
        return uops_of_structure(word);
    }
    unsigned bytes = 8;
    bool moves_base = false;
    if (kind == 2) {
        bytes = 2 * (simd ? 4u << size : size & 2 ? 8 : 4);
        moves_base = word >> 23 & 1;
    } else if (kind == 3) {
        bytes = simd && word >> 23 & 1 ? 16 : 1u << size;
        bool short_offset = !(word >> 24 & 1), register_offset = word >> 21 & 1;
        /* The address unit shifts by 0, 2 and 3, but not by 1 and 4. */
        moves_base = short_offset && (register_offset ? bytes == 2 || bytes == 16 : word >> 10 & 1);
    }
    struct uops uops = moved(access, bytes);
    uops.ints = moves_base;
    uops.all += moves_base;
    return uops;
}

static struct uops uops_of(uint32_t word)
{
    if ((word & 0x0a000000) == 0x08000000) {
        return uops_of_access(word);
    }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if ((word & rules[i].mask) == rules[i].bits) {
            struct uops uops = rules[i].uops;
            uops.neon = uops.neon == BY_Q ? 1 + (word >> 30 & 1) : uops.neon;
            return uops;
        }
    }
    return (struct uops){ .all = 1 };
}

static void add_uops(struct uops *sum, struct uops more)
{
    sum->all += more.all;
    sum->loads += more.loads;
    sum->stores += more.stores;
    sum->neon += more.neon;
    sum->ints += more.ints;
    sum->multi += more.multi;
    sum->branches += more.branches;
}

/* Sixths of a cycle: 3 of all, 2 vector pipes, 2 integer pipes, one pipe of every other kind. */
static unsigned sixths_of(const struct uops *uops)
{
    const unsigned needs[] = {
        2 * uops->all,  6 * uops->loads, 6 * uops->stores,   3 * uops->neon,
        3 * uops->ints, 6 * uops->multi, 6 * uops->branches,
    };
    unsigned most = 0;
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
        most = needs[i] > most ? needs[i] : most;
    }
    return most;
}

#endif
