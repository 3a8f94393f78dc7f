/* SPDX-License-Identifier: MIT */
/* Where the areas of a segment lie; they follow from the counts alone. */
#ifndef WEIR_SEGMENT_LAYOUT_H
#define WEIR_SEGMENT_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/segment.h"

struct weir_layout {
	uint32_t entries, leases, events, rules;
	uint64_t policy_offset, half_bytes, index_offset, lease_offset, event_offset, block_offset, spare_offset, entry_offset,
		total_bytes;
	uint32_t blocks, spares;
};

/* Fills *l for the geometry (NULL or a zero field: the default). False when it is out of range. */
bool weir_layout_of(struct weir_layout *l, const struct weir_geometry *g);

/* Blocks of steps for the durations: two for each entry. Hosts that are asked often need six to ten of them, and few are. */
#define BLOCKS_PER_ENTRY 2U
/* As many as entries; a spare is taken for as long as its rate lets nobody else go. A multiple of gate/spare.c's WAYS. */
#define SPARES_MIN 256U

/* The key of the overflow entry. */
#define WEIR_OTHER_KEY "_other"

#endif
