/* SPDX-License-Identifier: MIT */
/*
 * The waiting itself: a futex on the entry that binds, until the time that the gate names.
 *
 * pthread_cancel ends it, as it would end the call that the program is in: the sleep may be cancelled at any moment, and the
 * thread is then unwound from there. What it leaves is the announcement that it waits (weir_gate_await_left) and the request,
 * which is the caller's.
 */
#include "look.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "weir/kernel.h"

/* Of the entry that this thread sleeps on: how many wait there. At a fixed distance from the thread pointer, also in the library.
 */
static _Thread_local __attribute__((tls_model("initial-exec"))) _Atomic uint32_t *announced;

/* Whether it may be cancelled at any moment because it sleeps here; then how it may be otherwise. */
static _Thread_local __attribute__((tls_model("initial-exec"))) bool sleeps;
static _Thread_local __attribute__((tls_model("initial-exec"))) int cancel_type;

static void announce(_Atomic uint32_t *waiting)
{
	weir_gate_await_left(); /* of a wait that was jumped out of */
	atomic_fetch_add_explicit(waiting, 1, memory_order_seq_cst);
	announced = waiting;
}

static void wake_up(void)
{
	if (sleeps)
		pthread_setcanceltype(cancel_type, NULL);
	sleeps = false;
}

void weir_gate_await_left(void)
{
	wake_up();
	if (announced)
		atomic_fetch_sub_explicit(announced, 1, memory_order_relaxed);
	announced = NULL;
}

/* FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time, so a signal handler that runs meanwhile does not stretch the wait. */
static void sleep_until(_Atomic uint32_t *word, uint32_t seen, uint32_t bits, uint64_t until_ns)
{
	struct timespec t = {.tv_sec = (time_t)(until_ns / 1000000000U), .tv_nsec = (long)(until_ns % 1000000000U)};
	int type;

	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
	cancel_type = type;
	sleeps = true;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	weir_syscall(SYS_futex, word, FUTEX_WAIT_BITSET, seen, &t, NULL, bits != 0 ? bits : FUTEX_BITSET_MATCH_ANY);
	wake_up();
}

/* Whether what it waits for is known to be far, or has turned out to be. */
static bool lasts(const struct weir_request *r, uint64_t now_ns)
{
	if (r->until_ns > now_ns)
		return r->until_ns - now_ns > WEIR_LONG_WAIT_NS;
	return now_ns > r->begun_ns && now_ns - r->begun_ns > WEIR_LONG_WAIT_NS;
}

enum weir_verdict weir_gate_await(const struct weir_gate *g, struct weir_request *r, const char *host_port)
{
	uint64_t wake = 0;
	bool told = g->long_wait == NULL;
	enum weir_verdict verdict = WEIR_WAIT;

	while (verdict == WEIR_WAIT) {
		uint32_t slot = r->wait_slot <= g->segment->entries ? r->wait_slot : g->segment->entries;
		struct weir_entry *e = &g->segment->entry[slot];
		uint32_t seen = atomic_load_explicit(&e->changes, memory_order_acquire);

		/* Announced before the look, so that whoever changes something after it wakes us. */
		announce(&e->waiting);
		uint64_t now_ns = weir_now_ns();

		verdict = weir_gate_look(g, r, now_ns, &wake);
		if (verdict == WEIR_WAIT && !told && lasts(r, now_ns)) {
			g->long_wait(r, host_port, now_ns);
			told = true;
		}
		if (verdict == WEIR_WAIT && r->wait_slot == slot)
			sleep_until(&e->changes, seen, r->wake_bits, wake);
		weir_gate_await_left();
	}
	return verdict;
}

void weir_gate_sleep(uint64_t until_ns)
{
	static _Atomic uint32_t nobody; /* wakes it */

	while (weir_now_ns() < until_ns)
		sleep_until(&nobody, 0, 0, until_ns);
}

enum weir_verdict weir_gate_admit(const struct weir_gate *g, struct weir_request *r, const struct weir_wish *wish)
{
	uint64_t wake = 0;
	enum weir_verdict verdict = weir_gate_begin(g, r, wish, weir_now_ns(), &wake);

	return verdict == WEIR_WAIT ? weir_gate_await(g, r, wish->host_port) : verdict;
}
