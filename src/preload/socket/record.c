/* SPDX-License-Identifier: MIT */
#include "src/preload/socket/record.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "src/preload/core/hook.h"
#include "weir/kernel.h"
#include "weir/opaque.h"

/* So many connections at a time. Pages are touched when they are used. */
#define PLACES 4096
#define SPINS  2000
#define YIELDS 200

_Atomic uint16_t weir_mark[WEIR_MARKS];

static _Atomic(struct weir_record *) table;
/* Shared with all children: the serial number of the connection that one of them has sent on, at its record's place. */
static _Atomic(_Atomic uint32_t *) used;
static _Atomic uint32_t hint; /* where a free place may be */
static _Atomic uint32_t top;  /* places below have been used */

static WEIR_THREAD_LOCAL char myself;

/* Without it what children do is not known. */
static void map_used(void)
{
	_Atomic uint32_t *none = NULL;
	void *memory = mmap(NULL, PLACES * sizeof *none, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory != MAP_FAILED && !atomic_compare_exchange_strong(&used, &none, memory))
		munmap(memory, PLACES * sizeof *none);
}

static struct weir_record *map(void)
{
	struct weir_record *t = atomic_load_explicit(&table, memory_order_acquire), *other = NULL;
	void *memory;

	if (t || !weir_kernel_allows(SYS_mmap))
		return t;
	memory = mmap(NULL, PLACES * sizeof *t, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	if (atomic_compare_exchange_strong(&table, &other, memory)) {
		map_used();
		return memory;
	}
	munmap(memory, PLACES * sizeof *t);
	return other;
}

/* Bounded: a signal handler may have stopped whoever has it, for good. */
static bool take(struct weir_record *r)
{
	uintptr_t nobody = 0, me = (uintptr_t)&myself;

	if (atomic_compare_exchange_strong_explicit(&r->busy, &nobody, me, memory_order_acquire, memory_order_relaxed))
		return true;
	for (unsigned i = 0; nobody != me && i < SPINS + YIELDS; i++) {
		if (atomic_load_explicit(&r->lost, memory_order_relaxed))
			return false;
		if (i >= SPINS && weir_kernel_allows(SYS_sched_yield))
			weir_syscall(SYS_sched_yield);
		nobody = 0;
		if (atomic_compare_exchange_weak_explicit(&r->busy, &nobody, me, memory_order_acquire, memory_order_relaxed))
			return true;
	}
	atomic_store_explicit(&r->lost, true, memory_order_relaxed);
	return false;
}

void weir_record_put(struct weir_record *r)
{
	atomic_store_explicit(&r->busy, 0, memory_order_release);
}

struct weir_record *weir_record_peek(int fd)
{
	struct weir_record *t = atomic_load_explicit(&table, memory_order_acquire);
	unsigned n = (unsigned)fd < WEIR_MARKS ? atomic_load_explicit(&weir_mark[fd], memory_order_relaxed) : 0;

	return t && n != 0 && n <= PLACES ? &t[n - 1] : NULL;
}

struct weir_record *weir_record_take(int fd)
{
	struct weir_record *r = weir_record_peek(fd);

	if (!r || atomic_load_explicit(&r->lost, memory_order_relaxed) || !take(r))
		return NULL;
	/* It may have been closed, and its place used again, meanwhile. */
	if (weir_record_peek(fd) == r && atomic_load_explicit(&r->names, memory_order_relaxed) != 0)
		return r;
	weir_record_put(r);
	return NULL;
}

weir_conversation weir_record_name(const struct weir_record *r)
{
	ptrdiff_t n = r - atomic_load_explicit(&table, memory_order_relaxed);

	return (weir_conversation)atomic_load_explicit(&r->serial, memory_order_relaxed) << 16 | (weir_conversation)(n + 1);
}

struct weir_record *weir_record_take_kept(weir_conversation c)
{
	struct weir_record *t = atomic_load_explicit(&table, memory_order_acquire), *r;
	unsigned n = (unsigned)(c & 0xffff);

	if (!t || n == 0 || n > PLACES)
		return NULL;
	r = &t[n - 1];
	if (weir_record_name(r) != c || atomic_load_explicit(&r->lost, memory_order_relaxed) || !take(r))
		return NULL;
	if (weir_record_name(r) == c && atomic_load_explicit(&r->names, memory_order_relaxed) != 0)
		return r;
	weir_record_put(r);
	return NULL;
}

static _Atomic uint32_t *used_of(const struct weir_record *r)
{
	_Atomic uint32_t *u = atomic_load_explicit(&used, memory_order_acquire);

	return u ? &u[r - atomic_load_explicit(&table, memory_order_relaxed)] : NULL;
}

void weir_record_use(struct weir_record *r)
{
	_Atomic uint32_t *u = r->inherited ? used_of(r) : NULL;

	if (u)
		atomic_store_explicit(u, atomic_load_explicit(&r->serial, memory_order_relaxed), memory_order_relaxed);
}

bool weir_record_used_by_child(const struct weir_record *r)
{
	const _Atomic uint32_t *u = r->inherited ? NULL : used_of(r);

	return u && atomic_load_explicit(u, memory_order_relaxed) == atomic_load_explicit(&r->serial, memory_order_relaxed);
}

struct weir_record *weir_record_claim(int fd)
{
	struct weir_record *t = (unsigned)fd < WEIR_MARKS ? map() : NULL;
	uint32_t from = atomic_load_explicit(&hint, memory_order_relaxed), seen;

	for (uint32_t i = 0; t && i < PLACES; i++) {
		uint32_t n = (from + i) % PLACES, none = 0;
		struct weir_record *r = &t[n];

		if (atomic_load_explicit(&r->names, memory_order_relaxed) != 0 ||
		    atomic_load_explicit(&r->busy, memory_order_relaxed) || !atomic_compare_exchange_strong(&r->names, &none, 1))
			continue;
		if (!take(r)) {
			atomic_store_explicit(&r->names, 0, memory_order_relaxed);
			continue;
		}
		atomic_fetch_add_explicit(&r->serial, 1, memory_order_relaxed);
		atomic_store_explicit(&r->lost, false, memory_order_relaxed);
		atomic_store_explicit(&r->talk, WEIR_TALK_OPENING, memory_order_relaxed);
		memset((char *)r + offsetof(struct weir_record, identity), 0,
		       weir_opaque(offsetof(struct weir_record, lines) - offsetof(struct weir_record, identity)));
		atomic_store_explicit(&hint, n + 1, memory_order_relaxed);
		for (seen = atomic_load(&top); seen < n + 1 && !atomic_compare_exchange_weak(&top, &seen, n + 1);)
			;
		atomic_store_explicit(&weir_mark[fd], (uint16_t)(n + 1), memory_order_release);
		return r;
	}
	return NULL;
}

void weir_record_mark(struct weir_record *r, int fd)
{
	if ((unsigned)fd >= WEIR_MARKS)
		return;
	atomic_fetch_add(&r->names, 1);
	atomic_store_explicit(&weir_mark[fd], (uint16_t)(weir_record_name(r) & 0xffff), memory_order_release);
}

bool weir_record_unmark(struct weir_record *r, int fd)
{
	atomic_store_explicit(&weir_mark[fd], WEIR_MARK_NONE, memory_order_relaxed);
	if (atomic_load(&r->names) == 1)
		return true;
	atomic_fetch_sub(&r->names, 1);
	return false;
}

void weir_record_free(struct weir_record *r)
{
	atomic_store_explicit(&hint, (uint32_t)((weir_record_name(r) & 0xffff) - 1), memory_order_relaxed);
	atomic_fetch_add_explicit(&r->serial, 1, memory_order_relaxed);
	atomic_store_explicit(&r->names, 0, memory_order_relaxed);
	weir_record_put(r);
}

bool weir_record_nth(uint32_t n, struct weir_record **out)
{
	struct weir_record *t = atomic_load_explicit(&table, memory_order_acquire);

	*out = NULL;
	if (!t || n >= atomic_load_explicit(&top, memory_order_relaxed))
		return false;
	if (atomic_load_explicit(&t[n].names, memory_order_relaxed) == 0 || !take(&t[n]))
		return true;
	if (atomic_load_explicit(&t[n].names, memory_order_relaxed) != 0)
		*out = &t[n];
	else
		weir_record_put(&t[n]);
	return true;
}

void weir_record_release_all(void)
{
	struct weir_record *t = atomic_load_explicit(&table, memory_order_acquire);

	for (uint32_t i = 0; t && i < atomic_load_explicit(&top, memory_order_relaxed); i++)
		atomic_store_explicit(&t[i].busy, 0, memory_order_relaxed);
}
