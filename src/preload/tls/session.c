/* SPDX-License-Identifier: MIT */
#include "src/preload/tls/session.h"

#include <stdatomic.h>
#include <string.h>

#define PLACES 1024 /* a power of two */
#define PROBES 4

/* A version that is odd: being written, by a thread that may have been forked away; then the place is lost. */
static struct place {
	_Atomic uint32_t version;
	_Atomic uintptr_t session; /* 0 = free */
	_Atomic uint64_t random;   /* its first bytes, which no other session of the process has */
	_Atomic uint64_t conversation;
} table[PLACES];

static unsigned first_place(const void *session)
{
	return (unsigned)(((uint64_t)(uintptr_t)session * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
}

static bool read_place(const struct place *p, const void *session, uint64_t random, weir_conversation *out)
{
	uint32_t before = atomic_load_explicit(&p->version, memory_order_acquire);
	bool same = atomic_load_explicit(&p->session, memory_order_relaxed) == (uintptr_t)session &&
		    atomic_load_explicit(&p->random, memory_order_relaxed) == random;

	*out = atomic_load_explicit(&p->conversation, memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	return same && (before & 1) == 0 && atomic_load_explicit(&p->version, memory_order_relaxed) == before;
}

static bool recall(const void *session, uint64_t random, weir_conversation *out)
{
	unsigned first = first_place(session);

	for (unsigned i = 0; i < PROBES; i++) {
		if (read_place(&table[(first + i) & (PLACES - 1)], session, random, out))
			return true;
	}
	return false;
}

/* The session's own place, else a free one, else that of whoever is there: it is looked for anew. */
static struct place *place_for(const void *session)
{
	unsigned first = first_place(session);
	struct place *free_one = NULL;

	for (unsigned i = 0; i < PROBES; i++) {
		struct place *p = &table[(first + i) & (PLACES - 1)];
		uintptr_t there = atomic_load_explicit(&p->session, memory_order_relaxed);

		if (there == (uintptr_t)session)
			return p;
		if (there == 0 && !free_one)
			free_one = p;
	}
	return free_one ? free_one : &table[(first + ((uintptr_t)session >> 4) % PROBES) & (PLACES - 1)];
}

static void remember(const void *session, uint64_t random, weir_conversation c)
{
	struct place *p = place_for(session);
	uint32_t version = atomic_load_explicit(&p->version, memory_order_relaxed);

	if ((version & 1) != 0 || !atomic_compare_exchange_strong_explicit(&p->version, &version, version + 1,
									   memory_order_relaxed, memory_order_relaxed))
		return;
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&p->session, (uintptr_t)session, memory_order_relaxed);
	atomic_store_explicit(&p->random, random, memory_order_relaxed);
	atomic_store_explicit(&p->conversation, c, memory_order_relaxed);
	atomic_store_explicit(&p->version, version + 2, memory_order_release);
}

static weir_conversation by_random(const struct weir_session *s, bool final)
{
	weir_conversation c;
	uint8_t random[32];
	uint64_t beginning;

	memset(random, 0, sizeof random);
	if (!s->random(s, random))
		return 0;
	memcpy(&beginning, random, sizeof beginning);
	if (beginning == 0)
		return 0;
	if (recall(s->session, beginning, &c))
		return c;
	c = weir_conversation_with_random(random);
	if (c != 0 || final)
		remember(s->session, beginning, c);
	return c;
}

weir_conversation weir_session_conversation(const struct weir_session *s, bool final)
{
	if (s->fd >= 0)
		return weir_is_marked(s->fd) ? weir_conversation_on(s->fd) : 0;
	return by_random(s, final);
}
