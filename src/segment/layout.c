/* SPDX-License-Identifier: MIT */
/* The layout: what an empty segment looks like, and whether memory is a segment. */
#include "layout.h"

#include <string.h>

#include "weir/segment.h"
#include "words.h"

/* Generous bounds: they keep the arithmetic far from overflow and a damaged header from asking for the whole address space. */
#define LEASES_MAX 65536U
#define EVENTS_MIN 2U
#define EVENTS_MAX 65536U
#define RULES_MAX  65536U

#define CACHE_LINE 64U

static bool power_of_two(uint32_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

static uint64_t whole_lines(uint64_t bytes)
{
	return (bytes + CACHE_LINE - 1) & ~(uint64_t)(CACHE_LINE - 1);
}

bool weir_layout_of(struct weir_layout *l, const struct weir_geometry *g)
{
	static const struct weir_geometry defaults;

	if (g == NULL)
		g = &defaults;
	l->entries = g->entries != 0 ? g->entries : WEIR_ENTRIES_DEFAULT;
	l->leases = g->leases != 0 ? g->leases : WEIR_LEASES_DEFAULT;
	l->events = g->events != 0 ? g->events : WEIR_EVENTS_DEFAULT;
	l->rules = g->rules != 0 ? g->rules : WEIR_RULES_DEFAULT;
	if (!power_of_two(l->entries) || l->entries < WEIR_ENTRIES_MIN || l->entries > WEIR_ENTRIES_MAX ||
	    l->leases > LEASES_MAX || !power_of_two(l->events) || l->events < EVENTS_MIN || l->events > EVENTS_MAX ||
	    l->rules > RULES_MAX)
		return false;
	l->policy_offset = sizeof(struct weir_segment_header);
	l->half_bytes = whole_lines(sizeof(struct weir_policy_half) + (uint64_t)l->rules * sizeof(struct weir_rule));
	l->index_offset = l->policy_offset + 2 * l->half_bytes;
	l->lease_offset = whole_lines(l->index_offset + (uint64_t)l->entries * sizeof(uint64_t));
	l->event_offset = l->lease_offset + (uint64_t)l->leases * sizeof(struct weir_lease);
	l->blocks = l->entries * BLOCKS_PER_ENTRY;
	l->spares = l->entries > SPARES_MIN ? l->entries : SPARES_MIN;
	l->block_offset = l->event_offset + (uint64_t)l->events * sizeof(struct weir_event);
	l->spare_offset = whole_lines(l->block_offset + (uint64_t)l->blocks * sizeof(uint64_t)) +
			  (uint64_t)l->blocks * sizeof(struct weir_histogram_block);
	l->entry_offset = l->spare_offset + (uint64_t)l->spares * sizeof(struct weir_spare);
	l->total_bytes = l->entry_offset + ((uint64_t)l->entries + 1) * sizeof(struct weir_entry);
	return true;
}

size_t weir_segment_bytes(const struct weir_geometry *g)
{
	struct weir_layout l;

	return weir_layout_of(&l, g) ? (size_t)l.total_bytes : 0;
}

static void fill_handle(struct weir_segment *s, void *memory, const struct weir_layout *l)
{
	unsigned char *base = memory;

	s->base = memory;
	s->bytes = (size_t)l->total_bytes;
	s->entries = l->entries;
	s->leases = l->leases;
	s->events = l->events;
	s->rules = l->rules;
	s->header = memory;
	s->policy[0] = (struct weir_policy_half *)(void *)(base + l->policy_offset);
	s->policy[1] = (struct weir_policy_half *)(void *)(base + l->policy_offset + l->half_bytes);
	s->index = (_Atomic uint64_t *)(void *)(base + l->index_offset);
	s->lease = (struct weir_lease *)(void *)(base + l->lease_offset);
	s->event = (struct weir_event *)(void *)(base + l->event_offset);
	s->entry = (struct weir_entry *)(void *)(base + l->entry_offset);
	s->blocks = l->blocks;
	s->spares = l->spares;
	s->block_owner = (_Atomic uint64_t *)(void *)(base + l->block_offset);
	s->block = (struct weir_histogram_block *)(void *)(base +
							   whole_lines(l->block_offset + (uint64_t)l->blocks * sizeof(uint64_t)));
	s->spare = (struct weir_spare *)(void *)(base + l->spare_offset);
}

bool weir_segment_format(struct weir_segment *s, void *memory, size_t bytes, const struct weir_geometry *g,
			 const uint8_t boot_id[16], uint64_t wall_ns)
{
	struct weir_layout l;
	struct weir_segment_header *h = memory;

	memset(s, 0, sizeof *s);
	if ((uintptr_t)memory % CACHE_LINE != 0 || !weir_layout_of(&l, g) || bytes < l.total_bytes)
		return false;
	h->version = WEIR_SEGMENT_VERSION;
	h->header_bytes = (uint32_t)l.policy_offset;
	h->total_bytes = l.total_bytes;
	h->entries = l.entries;
	h->leases = l.leases;
	h->events = l.events;
	h->rules = l.rules;
	h->policy_offset = l.policy_offset;
	h->index_offset = l.index_offset;
	h->lease_offset = l.lease_offset;
	h->event_offset = l.event_offset;
	h->entry_offset = l.entry_offset;
	h->block_offset = l.block_offset;
	h->spare_offset = l.spare_offset;
	if (boot_id != NULL)
		memcpy(h->boot_id, boot_id, sizeof h->boot_id);
	h->created_wall_ns = wall_ns;
	fill_handle(s, memory, &l);
	memcpy(s->entry[l.entries].key, WEIR_OTHER_KEY, sizeof WEIR_OTHER_KEY);
	h->magic = WEIR_SEGMENT_MAGIC; /* last: what has the magic is whole */
	return true;
}

const char *weir_segment_attach(struct weir_segment *s, void *memory, size_t bytes)
{
	struct weir_segment_header h;
	struct weir_layout l;

	memset(s, 0, sizeof *s);
	if ((uintptr_t)memory % CACHE_LINE != 0)
		return "the memory is not aligned to cache lines";
	if (bytes < sizeof h)
		return "shorter than a header";
	/* A copy, so that what is checked is what is used. */
	words_load(&h, memory, offsetof(struct weir_segment_header, policy_generation) / sizeof(uint64_t));
	if (h.magic != WEIR_SEGMENT_MAGIC)
		return "not a weir segment";
	if (h.version != WEIR_SEGMENT_VERSION)
		return "of another version of weir";
	if (h.total_bytes != bytes)
		return "its size is not the one in its header";
	/* A count of 0 would be taken for the default. */
	if (h.entries == 0 || h.leases == 0 || h.events == 0 || h.rules == 0 ||
	    !weir_layout_of(&l, &(struct weir_geometry){h.entries, h.leases, h.events, h.rules}))
		return "its geometry is out of range";
	if (h.header_bytes != l.policy_offset || h.total_bytes != l.total_bytes || h.policy_offset != l.policy_offset ||
	    h.index_offset != l.index_offset || h.lease_offset != l.lease_offset || h.event_offset != l.event_offset ||
	    h.entry_offset != l.entry_offset || h.block_offset != l.block_offset || h.spare_offset != l.spare_offset)
		return "its areas are not where they should be";
	fill_handle(s, memory, &l);
	return NULL;
}
