/* SPDX-License-Identifier: MIT */
/*
 * Threads of which one runs at a time, and which change at every atomic operation of the code under test, as the test chooses:
 * interleavings that are the same each time. Include this first, then the .c files whose operations are to be steps.
 */
#ifndef WEIR_TESTS_LOCKSTEP_H
#define WEIR_TESTS_LOCKSTEP_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOCKSTEP_MAX 4U

static struct {
	unsigned threads, running;
	bool on, done[LOCKSTEP_MAX];
	sem_t turn[LOCKSTEP_MAX], end;
	void (*body)(unsigned me);
	unsigned (*choose)(unsigned me); /* who goes on: any that is not done */
} lockstep;

/* Called before every atomic operation. Outside of a run: what the test wants to happen there. */
static void (*lockstep_meanwhile)(void);

static void lockstep_step(void)
{
	unsigned me = lockstep.running, next;

	if (!lockstep.on) {
		if (lockstep_meanwhile)
			lockstep_meanwhile();
		return;
	}
	next = lockstep.choose(me);
	if (next == me || next >= lockstep.threads || lockstep.done[next])
		return;
	lockstep.running = next;
	sem_post(&lockstep.turn[next]);
	sem_wait(&lockstep.turn[me]);
}

static inline void *lockstep_thread(void *number)
{
	unsigned me = (unsigned)(uintptr_t)number, next = 0;

	sem_wait(&lockstep.turn[me]);
	lockstep.body(me);
	lockstep.done[me] = true;
	while (next < lockstep.threads && lockstep.done[next])
		next++;
	lockstep.running = next;
	sem_post(next < lockstep.threads ? &lockstep.turn[next] : &lockstep.end);
	return NULL;
}

static inline void lockstep_run(unsigned threads, void (*body)(unsigned me), unsigned (*choose)(unsigned me))
{
	pthread_t thread[LOCKSTEP_MAX];

	lockstep.threads = threads;
	lockstep.body = body;
	lockstep.choose = choose;
	lockstep.running = 0;
	sem_init(&lockstep.end, 0, 0);
	for (unsigned i = 0; i < threads; i++) {
		lockstep.done[i] = false;
		sem_init(&lockstep.turn[i], 0, 0);
	}
	lockstep.on = true;
	for (uintptr_t i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, lockstep_thread, (void *)i);
	sem_post(&lockstep.turn[0]);
	sem_wait(&lockstep.end);
	lockstep.on = false;
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
}

#if defined __clang__
#define LOCKSTEP_EXCHANGE(w, e, d) __c11_atomic_compare_exchange_strong(w, e, d, memory_order_seq_cst, memory_order_seq_cst)
#define LOCKSTEP_LOAD(w)           __c11_atomic_load(w, memory_order_seq_cst)
#define LOCKSTEP_STORE(w, v)       __c11_atomic_store(w, v, memory_order_seq_cst)
#else
#define LOCKSTEP_EXCHANGE(w, e, d) __atomic_compare_exchange_n(w, e, d, false, memory_order_seq_cst, memory_order_seq_cst)
#define LOCKSTEP_LOAD(w)           __atomic_load_n(w, memory_order_seq_cst)
#define LOCKSTEP_STORE(w, v)       __atomic_store_n(w, v, memory_order_seq_cst)
#endif
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak
#undef atomic_load_explicit
#undef atomic_store_explicit
#define atomic_compare_exchange_strong(w, e, d)                (lockstep_step(), LOCKSTEP_EXCHANGE(w, e, d))
#define atomic_compare_exchange_strong_explicit(w, e, d, s, f) (lockstep_step(), LOCKSTEP_EXCHANGE(w, e, d))
#define atomic_compare_exchange_weak(w, e, d)                  (lockstep_step(), LOCKSTEP_EXCHANGE(w, e, d))
#define atomic_load_explicit(w, order)                         (lockstep_step(), LOCKSTEP_LOAD(w))
#define atomic_store_explicit(w, v, order)                     (lockstep_step(), LOCKSTEP_STORE(w, v))

#endif
