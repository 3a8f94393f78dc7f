/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/multi_table.h"

#include <stdatomic.h>
#include <string.h>

#include "weir/gate.h"
#include "weir/log.h"

#define PLACES 128 /* a power of two */
#define PROBES 16

static _Atomic uintptr_t keys[PLACES]; /* 0 = free */
static struct weir_multi multis[PLACES];

static unsigned first_place(uintptr_t key)
{
	return (unsigned)(((uint64_t)key * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
}

struct weir_multi *weir_multi_find(const CURLM *handle)
{
	unsigned first = first_place((uintptr_t)handle);

	for (unsigned i = 0; handle && i < PROBES; i++) {
		unsigned place = (first + i) & (PLACES - 1);

		if (atomic_load_explicit(&keys[place], memory_order_acquire) == (uintptr_t)handle)
			return &multis[place];
	}
	return NULL;
}

static void clear(struct weir_multi *m, CURLM *handle, const struct weir_curl *curl)
{
	memset(m, 0, sizeof *m);
	m->handle = handle;
	m->curl = curl;
	m->wake_ns = m->asked_ns = m->told_ns = WEIR_NEVER;
}

void weir_multi_make(CURLM *handle, const struct weir_curl *curl)
{
	struct weir_multi *m = weir_multi_find(handle);
	unsigned first = first_place((uintptr_t)handle);

	for (unsigned i = 0; !m && i < PROBES; i++) {
		unsigned place = (first + i) & (PLACES - 1);
		uintptr_t key = 0;

		if (atomic_compare_exchange_strong(&keys[place], &key, (uintptr_t)handle))
			m = &multis[place];
	}
	if (m) {
		/* One whose end was not seen. */
		for (unsigned i = 0; i < WEIR_PLACES; i++) {
			while (m->line[i].first)
				weir_line_leave(m->line[i].first);
		}
		clear(m, handle, curl);
	} else
		weir_log(WEIR_LOG_WARN, "curl_multi_init: too many multi handles; this one's transfers pass as connections");
}

void weir_multi_forget(struct weir_multi *m)
{
	atomic_store_explicit(&keys[m - multis], 0, memory_order_release);
}

void weir_multi_each(void (*visit)(struct weir_multi *m))
{
	for (unsigned i = 0; i < PLACES; i++) {
		if (atomic_load_explicit(&keys[i], memory_order_acquire) != 0)
			visit(&multis[i]);
	}
}

static void unlink_from(struct weir_line *l, struct weir_transfer *t)
{
	*(t->before ? &t->before->next : &l->first) = t->next;
	*(t->next ? &t->next->before : &l->last) = t->before;
	l->count--;
}

void weir_line_move(struct weir_multi *m, struct weir_transfer *t, enum weir_place place)
{
	struct weir_line *l = &m->line[place];

	if (t->multi)
		unlink_from(&t->multi->line[t->place], t);
	t->multi = m;
	t->place = place;
	t->next = NULL;
	t->before = l->last;
	*(l->last ? &l->last->next : &l->first) = t;
	l->last = t;
	l->count++;
}

void weir_line_leave(struct weir_transfer *t)
{
	if (t->multi)
		unlink_from(&t->multi->line[t->place], t);
	t->multi = NULL;
}
