/* SPDX-License-Identifier: MIT */
/* The blocks of an entry that comes or goes. */
#ifndef WEIR_SEGMENT_DURATIONS_H
#define WEIR_SEGMENT_DURATIONS_H

#include <stdint.h>

#include "weir/segment.h"

/* Empties and frees all blocks of the key with this hash in this slot. A few hundred loads: for who makes or evicts an entry. */
void durations_release(const struct weir_segment *s, uint32_t slot, uint32_t hash);

#endif
