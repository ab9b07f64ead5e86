/*
 * A QEMU plugin that counts what one invocation of a graph executes in its runtime, op by op:
 * instructions, loads, stores, the cycles that a Cortex-A72 needs to issue them, and the misses of
 * caches like its own.
 *
 * The program under test marks what it wants counted with a system call that does nothing else:
 * getpriority(0, MARK, COMMAND, ...), see `enum command`. An op is one execution of the call (BL or
 * BLR) by which the runtime's loop calls the op's kernel, from the call to its return. Where that
 * instruction is, is learned from an invocation of a graph with a known number of ops. A runtime
 * that hands parts of a graph to another one has two loops, which are learned one after the other:
 * an op of the second level is called inside one of the first.
 *
 * qemu-aarch64 -plugin counter.so,out=FILE PROGRAM
 *
 * FILE gets lines of words: `learned CANDIDATES` for each level, then for each section its ops as
 * they return (`op LEVEL COUNTS`), `nested N` and `section COUNTS`, at the end `all COUNTS`, `threads N` and
 * `strays N`. COUNTS are the members of `struct counts`.
 *
 * Copyright 2025 The ghostdepth authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "a64.h"
#include "counts.h"
#include "memory.h"
#include "plugin_api.h"
#include "uops.h"

PLUGIN_EXPORT int qemu_plugin_version = 1;

enum { SYSCALL_GETPRIORITY = 141, MARK = 0x67686f73 };

enum command {
    LEARN,       /* from here on, count the calls of every site */
    LEARNED,     /* (ops, low, high): the next level's call is in [low, high), called so often */
    BEGIN,       /* a section begins */
    END,         /* it ends */
};

/* ---------------------------------------------------------------- calls of ops */

/* A call that was translated; found by the address it returns to. */
struct site {
    uint64_t back, calls, returns, began, inside;
    struct level *level;
};

/* The call of the ops of one loop, and the op that it has called. */
struct level {
    struct site *site;
    bool in_op;
    struct counts start;
};

enum { SITES = 1 << 17, LEVELS = 2 };
static struct site sites[SITES];
static struct level levels[LEVELS];
static bool learning, in_section;
static uint64_t learned, nested, threads;
static struct counts section_start;

/* The site that returns to an address, or the free place for it. */
static struct site *site_at(uint64_t back)
{
    uint64_t slot = back * 0x9e3779b97f4a7c15u >> 47;
    for (unsigned tries = 0; tries < SITES; tries++, slot = (slot + 1) % SITES) {
        if (sites[slot].back == back || sites[slot].back == 0) {
            return &sites[slot];
        }
    }
    fprintf(stderr, "counter: too many calls\n");
    exit(1);
}

static void on_call(unsigned vcpu, void *userdata)
{
    struct site *site = userdata;
    if (learning) {
        site->calls++;
        site->began = now.instructions;
    }
    if (in_section && site->level) {
        nested += site->level->in_op;
        site->level->in_op = true;
        site->level->start = now;
    }
}

static void on_return(unsigned vcpu, void *userdata)
{
    struct site *site = userdata;
    if (learning) {
        site->returns++;
        site->inside += now.instructions - site->began;
    }
    if (site->level && site->level->in_op) {
        char label[] = { 'o', 'p', ' ', '0' + (site->level - levels), 0 };
        site->level->in_op = false;
        put(label, &site->level->start);
    }
}

static void forget(void)
{
    for (struct site *site = sites; site < sites + SITES; site++) {
        site->calls = site->returns = site->inside = 0;
    }
}

/* The outermost of those that were called and returned from once for every op. */
static void choose(uint64_t ops, uint64_t low, uint64_t high)
{
    struct level *level = &levels[learned++];
    unsigned candidates = 0;
    for (struct site *site = sites; site < sites + SITES; site++) {
        if (site->calls == ops && site->returns == ops && site->back > low && site->back <= high) {
            candidates++;
            if (!level->site || site->inside > level->site->inside) {
                level->site = site;
            }
        }
    }
    if (level->site) {
        level->site->level = level;
    }
    fprintf(out, "learned %u\n", candidates);
}

/* ---------------------------------------------------------------- translation */

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    uint64_t instructions = qemu_plugin_tb_n_insns(tb), loads = 0, stores = 0;
    uint32_t word, before = 0;
    struct uops uops = { 0 };
    struct site *site = site_at(qemu_plugin_tb_vaddr(tb));
    if (site->back) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_return, QEMU_PLUGIN_CB_NO_REGS, site);
    }
    for (uint64_t i = 0; i < instructions; i++, before = word) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        memcpy(&word, qemu_plugin_insn_data(insn), sizeof word);
        enum access access = access_of(word);
        loads += access == LOAD;
        stores += access == STORE;
        add_uops(&uops, uops_of(word));
        /* QEMU 7.2 mixes up MEM_R and MEM_W, so the two are told apart here. */
        qemu_plugin_register_vcpu_mem_cb(insn, access == LOAD ? on_load : on_store,
                                         QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
        if (is_zero(word)) {
            void *of_later_glibc = adds_line(before, word) ? &zeroing : NULL;
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_zero, QEMU_PLUGIN_CB_NO_REGS,
                                                   of_later_glibc);
        }
        if (is_call(word)) {
            site = site_at(qemu_plugin_insn_vaddr(insn) + 4);
            site->back = qemu_plugin_insn_vaddr(insn) + 4;
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_call, QEMU_PLUGIN_CB_NO_REGS, site);
        }
    }
    const struct { uint64_t *counter, add; } adds[] = {
        { &now.instructions, instructions },
        { &now.loads, loads },
        { &now.stores, stores },
        { &now.cycle_sixths, sixths_of(&uops) },
    };
    for (size_t i = 0; i < sizeof adds / sizeof *adds; i++) {
        if (adds[i].add) {
            qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64,
                                                     adds[i].counter, adds[i].add);
        }
    }
}

/* ---------------------------------------------------------------- the program's marks */

/*
 * Up to the first mark nothing is counted: what is translated without callbacks runs twice as fast,
 * and Python's start is most of a run. A reset drops all that was translated.
 */
static bool counting;

static void listen(qemu_plugin_id_t id);

static void on_syscall(qemu_plugin_id_t id, unsigned vcpu, int64_t number, uint64_t a1,
                       uint64_t mark, uint64_t command, uint64_t a4, uint64_t a5, uint64_t a6,
                       uint64_t a7, uint64_t a8)
{
    if (number != SYSCALL_GETPRIORITY || mark != MARK) {
        return;
    }
    if (!counting) {
        counting = true;
        qemu_plugin_reset(id, listen);
    }
    switch ((enum command)command) {
    case LEARN:
        learning = learned < LEVELS;
        forget();
        break;
    case LEARNED:
        if (learning) {
            choose(a4, a5, a6);
        }
        learning = false;
        break;
    case BEGIN:
        in_section = true;
        nested = 0;
        section_start = now;
        break;
    case END:
        in_section = false;
        fprintf(out, "nested %" PRIu64 "\n", nested);
        put("section", &section_start);
        break;
    }
}

static void on_thread(qemu_plugin_id_t id, unsigned vcpu)
{
    threads++;
}

/* A thread that ended before the first mark has no part in what is counted. */
static void on_thread_end(qemu_plugin_id_t id, unsigned vcpu)
{
    threads -= !counting;
}

static void at_exit(qemu_plugin_id_t id, void *unused)
{
    static const struct counts zero;
    put("all", &zero);
    fprintf(out, "threads %" PRIu64 "\nstrays %" PRIu64 "\n", threads, strays);
    fclose(out);
}

static void listen(qemu_plugin_id_t id)
{
    qemu_plugin_register_vcpu_init_cb(id, on_thread);
    qemu_plugin_register_vcpu_exit_cb(id, on_thread_end);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    if (counting) {
        qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    }
}

PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                      char **argv)
{
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0) {
        fprintf(stderr, "counter: wants out=FILE\n");
        return 1;
    }
    out = fopen(argv[0] + 4, "w");
    if (!out) {
        perror("counter");
        return 1;
    }
    listen(id);
    return 0;
}
