/* SPDX-License-Identifier: MIT */
#include "weir/summary.h"

#include <string.h>

#define OTHERS (WEIR_SUMMARY_HOSTS + 1)

/* FNV-1a. */
static uint64_t tag_of(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return hash + (hash == 0);
}

/* The first word last: who reads it finds the others. A name that was cut by a death is written again by the next who comes. */
static void write_name(struct weir_summary_row *row, const char *name)
{
	size_t length = strlen(name);

	if (length >= WEIR_SUMMARY_NAME_MAX)
		length = WEIR_SUMMARY_NAME_MAX - 1;
	for (size_t i = WEIR_SUMMARY_NAME_WORDS; i-- > 0;) {
		uint64_t word = 0;

		if (i * 8 < length)
			memcpy(&word, name + i * 8, length - i * 8 < 8 ? length - i * 8 : 8);
		atomic_store_explicit(&row->name[i], word, memory_order_release);
	}
}

uint32_t weir_summary_row(struct weir_summary *s, const char *host_port)
{
	uint64_t tag = tag_of(host_port);

	for (uint32_t i = 0; i < WEIR_SUMMARY_HOSTS; i++) {
		uint32_t at = (uint32_t)((tag + i) % WEIR_SUMMARY_HOSTS);
		struct weir_summary_row *row = &s->row[at];
		uint64_t seen = atomic_load_explicit(&row->tag, memory_order_acquire);

		if (seen == 0 && atomic_compare_exchange_strong(&row->tag, &seen, tag))
			seen = tag;
		if (seen != tag)
			continue;
		if (atomic_load_explicit(&row->name[0], memory_order_acquire) == 0)
			write_name(row, host_port);
		return at + 1;
	}
	return OTHERS;
}

static struct weir_summary_row *row_of(struct weir_summary *s, uint32_t row)
{
	return s != NULL && row >= 1 && row <= OTHERS ? &s->row[row - 1] : NULL;
}

void weir_summary_add(struct weir_summary *s, uint32_t row, enum weir_summary_count which, uint64_t n)
{
	struct weir_summary_row *r = row_of(s, row);

	if (r != NULL && which < WEIR_SUMMARY_COUNTS)
		atomic_fetch_add_explicit(&r->count[which], n, memory_order_relaxed);
}

void weir_summary_raise(struct weir_summary *s, uint32_t row, enum weir_summary_count which, uint64_t n)
{
	struct weir_summary_row *r = row_of(s, row);
	uint64_t seen;

	if (r == NULL || which >= WEIR_SUMMARY_COUNTS)
		return;
	seen = atomic_load_explicit(&r->count[which], memory_order_relaxed);
	while (seen < n &&
	       !atomic_compare_exchange_weak_explicit(&r->count[which], &seen, n, memory_order_relaxed, memory_order_relaxed))
		;
}

void weir_summary_refused(struct weir_summary *s, uint32_t row, enum weir_cause cause)
{
	struct weir_summary_row *r = row_of(s, row);

	if (r != NULL)
		atomic_fetch_add_explicit(&r->refused[cause < WEIR_CAUSE_COUNT ? cause : WEIR_CAUSE_NONE], 1,
					  memory_order_relaxed);
}

bool weir_summary_read(const struct weir_summary *s, uint32_t row, struct weir_summary_view *out)
{
	const struct weir_summary_row *r = row_of((struct weir_summary *)(uintptr_t)s, row);
	uint64_t any = 0;

	memset(out, 0, sizeof *out);
	if (r == NULL)
		return false;
	out->others = row == OTHERS;
	for (size_t i = 0; !out->others && i < WEIR_SUMMARY_NAME_WORDS; i++) {
		uint64_t word = atomic_load_explicit(&r->name[i], memory_order_acquire);

		memcpy(out->name + i * 8, &word, sizeof word);
	}
	out->name[sizeof out->name - 1] = '\0';
	for (size_t i = 0; i < WEIR_SUMMARY_COUNTS; i++)
		any |= out->count[i] = atomic_load_explicit(&r->count[i], memory_order_relaxed);
	for (size_t i = 0; i < WEIR_SUMMARY_CAUSES; i++)
		any |= out->refused[i] = atomic_load_explicit(&r->refused[i], memory_order_relaxed);
	return any != 0;
}

void weir_summary_merge(struct weir_summary *to, const struct weir_summary *from)
{
	struct weir_summary_view view;

	for (uint32_t i = 1; i <= OTHERS; i++) {
		uint32_t row;

		if (!weir_summary_read(from, i, &view))
			continue;
		row = view.name[0] == '\0' ? OTHERS : weir_summary_row(to, view.name);
		for (unsigned which = 0; which < WEIR_SUMMARY_COUNTS; which++) {
			if (which == WEIR_SUMMARY_LONGEST_WAIT_US || which == WEIR_SUMMARY_LONGEST_LATENCY_US)
				weir_summary_raise(to, row, which, view.count[which]);
			else
				weir_summary_add(to, row, which, view.count[which]);
		}
		for (unsigned cause = 0; cause < WEIR_SUMMARY_CAUSES; cause++)
			atomic_fetch_add_explicit(&to->row[row - 1].refused[cause], view.refused[cause], memory_order_relaxed);
	}
}
