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
#include "counts.h"
#include "memory.h"
#include "ops.h"
#include "uops.h"

static uint64_t executed(unsigned vcpu)
{
    return now.instructions;
}

static void on_other_syscall(unsigned vcpu, int64_t number, uint64_t second)
{
}

static void on_begin(unsigned vcpu)
{
}

static void on_end(unsigned vcpu)
{
}

static void listen_more(qemu_plugin_id_t id)
{
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    uint64_t instructions = qemu_plugin_tb_n_insns(tb), loads = 0, stores = 0;
    uint32_t word, before = 0;
    struct uops uops = { 0 };
    watch_return(tb);
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
        watch_call(insn, word);
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
