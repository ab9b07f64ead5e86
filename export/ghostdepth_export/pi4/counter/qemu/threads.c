/*
 * A QEMU plugin that tells what the threads of one invocation of a graph do, op by op, as if each had a
 * core of its own and all cores were equally fast.
 *
 * A thread's clock goes on by the cycles that a Cortex-A72 needs to issue what it executes, waiting in
 * a loop included. A thread whose clock is a quantum ahead of the slowest one that runs waits for it, so
 * that who takes the next piece of work is not up to the host's load. A thread in a system call does
 * not run; when it returns, its clock is that of the slowest one. Who wakes others waits until they run.
 *
 * Marks, ops and lines are those of counter.c. COUNTS are the cycles by the calling thread's clock, in
 * sixths, then for every thread that executed any, the calling one first, the number of instructions
 * with vector registers: arithmetic, loads and stores. Waiting has none of these.
 *
 * Copyright 2025 The ghostdepth authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "uops.h"

enum { THREADS = 64, QUANTUM = 6 * 500, PATIENCE_S = 2 };
enum { SYSCALL_FUTEX = 98, FUTEX_COMMAND = 127, WAIT = 0, WAKE = 1, WAIT_BITSET = 9, WAKE_BITSET = 10 };

struct counts {
    uint64_t clock[THREADS], vector[THREADS];
};

static struct counts now;
static FILE *out;
static uint64_t strays; /* waits for a slower thread that were given up, in sections */

#include "ops.h"

static bool runs[THREADS];
static uint64_t futex[THREADS];        /* the command of its last futex */
static uint64_t slowest, limit = QUANTUM; /* clock of the slowest thread that runs, and how far others go */
static int64_t waking;                 /* threads that were woken and do not run yet */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void put(const char *label, const struct counts *from)
{
    fprintf(out, "%s %" PRIu64, label, now.clock[caller] - from->clock[caller]);
    for (unsigned i = 0; i < THREADS; i++) {
        unsigned vcpu = (caller + i) % THREADS;
        if (now.vector[vcpu] != from->vector[vcpu] || i == 0) {
            fprintf(out, " %" PRIu64, now.vector[vcpu] - from->vector[vcpu]);
        }
    }
    fprintf(out, "\n");
}

static uint64_t executed(unsigned vcpu)
{
    return now.clock[vcpu];
}

/* ---------------------------------------------------------------- equally fast cores */

/* With the mutex held: tells those that wait when the slowest thread has gone on. */
static void go_on(void)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < THREADS; i++) {
        uint64_t clock = __atomic_load_n(&now.clock[i], __ATOMIC_RELAXED);
        least = runs[i] && clock < least ? clock : least;
    }
    if (least != UINT64_MAX && least > slowest) {
        slowest = least;
        __atomic_store_n(&limit, slowest + QUANTUM, __ATOMIC_RELAXED);
    }
    pthread_cond_broadcast(&changed);
}

static bool may_run(unsigned vcpu)
{
    return now.clock[vcpu] <= limit && waking <= 0;
}

/* With the mutex held. A thread that QEMU itself stops, to drop all code at the first new thread, cannot
 * be waited for. */
static void wait_for_others(unsigned vcpu)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    for (go_on(); !may_run(vcpu); go_on()) {
        if (pthread_cond_timedwait(&changed, &mutex, &until) == ETIMEDOUT) {
            strays += in_section;
            waking = 0;
            break;
        }
    }
}

static void enter(unsigned vcpu)
{
    if (!runs[vcpu]) {
        runs[vcpu] = true;
        now.clock[vcpu] = now.clock[vcpu] > slowest ? now.clock[vcpu] : slowest;
    }
}

/* A new thread runs from here on, so that the host may take its time to start it. */
static void on_begin(unsigned vcpu)
{
    pthread_mutex_lock(&mutex);
    enter(vcpu);
    pthread_mutex_unlock(&mutex);
}

static void on_end(unsigned vcpu)
{
    pthread_mutex_lock(&mutex);
    runs[vcpu] = false;
    go_on();
    pthread_mutex_unlock(&mutex);
}

static void on_other_syscall(unsigned vcpu, int64_t number, uint64_t second)
{
    futex[vcpu] = number == SYSCALL_FUTEX ? second & FUTEX_COMMAND : UINT64_MAX;
    if (futex[vcpu] == WAIT || futex[vcpu] == WAIT_BITSET) {
        on_end(vcpu);
    }
}

static void on_syscall_return(qemu_plugin_id_t id, unsigned vcpu, int64_t number, int64_t result)
{
    uint64_t command = number == SYSCALL_FUTEX ? futex[vcpu] : UINT64_MAX;
    pthread_mutex_lock(&mutex);
    if (command == WAKE || command == WAKE_BITSET) {
        waking += result > 0 ? result : 0;
        wait_for_others(vcpu);
    }
    if (command == WAIT || command == WAIT_BITSET) {
        waking -= result == 0;
    }
    enter(vcpu);
    go_on();
    pthread_mutex_unlock(&mutex);
}

/* ---------------------------------------------------------------- translation */

static void on_block(unsigned vcpu, void *sums)
{
    uint64_t both = (uintptr_t)sums;
    now.vector[vcpu] += both >> 32;
    uint64_t clock = now.clock[vcpu] + (uint32_t)both;
    __atomic_store_n(&now.clock[vcpu], clock, __ATOMIC_RELAXED);
    if (!runs[vcpu] || clock > __atomic_load_n(&limit, __ATOMIC_RELAXED)) {
        pthread_mutex_lock(&mutex);
        enter(vcpu);
        wait_for_others(vcpu);
        pthread_mutex_unlock(&mutex);
    }
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    uint64_t vector = 0;
    uint32_t word;
    struct uops uops = { 0 };
    watch_return(tb);
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        memcpy(&word, qemu_plugin_insn_data(insn), sizeof word);
        add_uops(&uops, uops_of(word));
        vector += uses_vectors(word);
        watch_call(insn, word);
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS,
                                         (void *)(uintptr_t)(vector << 32 | sixths_of(&uops)));
}

static void listen_more(qemu_plugin_id_t id)
{
    qemu_plugin_register_vcpu_syscall_ret_cb(id, on_syscall_return);
}
