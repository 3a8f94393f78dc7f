/* SPDX-License-Identifier: MIT */
/* Reading leases that others change meanwhile. */
#ifndef WEIR_SEGMENT_LEASE_SCAN_H
#define WEIR_SEGMENT_LEASE_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/segment.h"

/* A lease as it was at one moment. */
struct lease_copy {
	uint64_t word;
	uint32_t entry[WEIR_SCOPES];
};

/* How many leases, from the first, were ever claimed. */
uint32_t lease_scan_end(const struct weir_segment *s);

/* Copies word and entries of one claim. False when the lease changed all the while. */
bool lease_scan_read(const struct weir_segment *s, uint32_t lease, struct lease_copy *out);

/* Whether any lease refers to the entry. */
bool lease_scan_any(const struct weir_segment *s, uint32_t slot, uint64_t now_ns);

#endif
