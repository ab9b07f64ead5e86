/*
 * A QEMU plugin that counts what one invocation of a TensorFlow Lite graph executes, op by op:
 * instructions, loads, stores, the cycles that a Cortex-A72 needs to issue them, and the misses of
 * caches like its own.
 *
 * The program under test marks what it wants counted with a system call that does nothing else:
 * getpriority(0, MARK, COMMAND, ...), see `enum command`. An op is one execution of the indirect
 * call (BLR) by which the interpreter's loop calls the op's kernel, from the call to its return.
 * Where that instruction is, is learned from an invocation of a graph with a known number of ops.
 *
 * qemu-aarch64 -plugin counter.so,out=FILE PROGRAM
 *
 * FILE gets lines of words: `learned CANDIDATES`, then for each section its ops as they return
 * (`op COUNTS`), `nested N` and `section COUNTS`, at the end `all COUNTS`, `threads N` and
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
    LEARN,       /* from here on, count every BLR's calls */
    LEARNED,     /* (ops, low, high): the op call is a BLR in [low, high) that was called so often */
    BEGIN,       /* a section begins */
    END,         /* it ends */
};

/* ---------------------------------------------------------------- calls of ops */

/* A BLR that was translated; found by the address it returns to. */
struct site {
    uint64_t back, calls, returns, first;
};

enum { SITES = 1 << 17 };
static struct site sites[SITES];
static struct site *op_call;
static bool learning, in_section, in_op;
static uint64_t order, nested, threads;
static struct counts section_start, op_start;

/* The site that returns to an address, or the free place for it. */
static struct site *site_at(uint64_t back)
{
    uint64_t slot = back * 0x9e3779b97f4a7c15u >> 47;
    for (unsigned tries = 0; tries < SITES; tries++, slot = (slot + 1) % SITES) {
        if (sites[slot].back == back || sites[slot].back == 0) {
            return &sites[slot];
        }
    }
    fprintf(stderr, "counter: too many indirect calls\n");
    exit(1);
}

static void on_call(unsigned vcpu, void *userdata)
{
    struct site *site = userdata;
    if (learning && site->calls++ == 0) {
        site->first = ++order;
    }
    if (in_section && site == op_call) {
        nested += in_op;
        in_op = true;
        op_start = now;
    }
}

static void on_return(unsigned vcpu, void *userdata)
{
    struct site *site = userdata;
    if (learning) {
        site->returns++;
    }
    if (in_op && site == op_call) {
        in_op = false;
        put("op", &op_start);
    }
}

/* The first to be called, of those that were called and returned from once for every op. */
static void choose(uint64_t ops, uint64_t low, uint64_t high)
{
    unsigned candidates = 0;
    for (struct site *site = sites; site < sites + SITES; site++) {
        if (site->calls == ops && site->returns == ops && site->back > low && site->back <= high) {
            candidates++;
            if (!op_call || site->first < op_call->first) {
                op_call = site;
            }
        }
    }
    fprintf(out, "learned %u\n", candidates);
}

/* ---------------------------------------------------------------- translation */

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    uint64_t instructions = qemu_plugin_tb_n_insns(tb), loads = 0, stores = 0;
    struct uops uops = { 0 };
    struct site *site = site_at(qemu_plugin_tb_vaddr(tb));
    if (site->back) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_return, QEMU_PLUGIN_CB_NO_REGS, site);
    }
    for (uint64_t i = 0; i < instructions; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(insn), sizeof word);
        enum access access = access_of(word);
        loads += access == LOAD;
        stores += access == STORE;
        add_uops(&uops, uops_of(word));
        /* QEMU 7.2 mixes up MEM_R and MEM_W, so the two are told apart here. */
        qemu_plugin_register_vcpu_mem_cb(insn, access == LOAD ? on_load : on_store,
                                         QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
        if (is_zero(word)) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_zero, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        if (is_blr(word)) {
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
        learning = true;
        break;
    case LEARNED:
        learning = false;
        choose(a4, a5, a6);
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
