/*
 * Which instructions are the calls of ops, learned while the program runs, and the marks by which it
 * says what is to be counted.
 *
 * What includes this defines before it `struct counts`, `now`, `out` and `strays`, and after it the
 * functions that are only declared here: `put` writes what was counted since, `executed` gives a
 * measure of what a thread has executed so far, `on_other_syscall` is told of all but marks, `on_begin`
 * and `on_end` of new threads and of their end, and `listen_more` registers more callbacks.
 *
 * Copyright 2025 The ghostdepth authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef OPS_H
#define OPS_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "a64.h"
#include "plugin_api.h"

PLUGIN_EXPORT int qemu_plugin_version = 1;

static void put(const char *label, const struct counts *from);
static uint64_t executed(unsigned vcpu);
static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
static void on_other_syscall(unsigned vcpu, int64_t number, uint64_t second);
static void on_begin(unsigned vcpu);
static void on_end(unsigned vcpu);
static void listen_more(qemu_plugin_id_t id);

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
static unsigned caller; /* the thread of the last mark, which calls the ops */
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
    if (vcpu != caller) {
        return;
    }
    if (learning) {
        site->calls++;
        site->began = executed(vcpu);
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
    if (vcpu != caller) {
        return;
    }
    if (learning) {
        site->returns++;
        site->inside += executed(vcpu) - site->began;
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

/* For every block that is translated, and for each of its instructions. */
static void watch_return(struct qemu_plugin_tb *tb)
{
    struct site *site = site_at(qemu_plugin_tb_vaddr(tb));
    if (site->back) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_return, QEMU_PLUGIN_CB_NO_REGS, site);
    }
}

static void watch_call(struct qemu_plugin_insn *insn, uint32_t word)
{
    if (is_call(word)) {
        struct site *site = site_at(qemu_plugin_insn_vaddr(insn) + 4);
        site->back = qemu_plugin_insn_vaddr(insn) + 4;
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_call, QEMU_PLUGIN_CB_NO_REGS, site);
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
        on_other_syscall(vcpu, number, mark);
        return;
    }
    caller = vcpu;
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
    if (counting) {
        on_begin(vcpu);
    }
}

/* A thread that ended before the first mark has no part in what is counted. */
static void on_thread_end(qemu_plugin_id_t id, unsigned vcpu)
{
    threads -= !counting;
    on_end(vcpu);
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
        listen_more(id);
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

#endif
