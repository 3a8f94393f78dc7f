/* SPDX-License-Identifier: MIT */
/*
 * This process's view of the ledger (weir/ledger.h): mapped when a request first passes a rule with quotas, never before.
 *
 * Once a second it is looked whether the file still has its name: one that was set aside, or removed, is not counted in any more.
 * Old mappings stay, as threads may be in them. Where it cannot be had (a home that may not be written) it is tried again after a
 * few seconds; meanwhile quotas are counted in the last one that could be had, else in the segment.
 */
#ifndef WEIR_CORE_LEDGER_H
#define WEIR_CORE_LEDGER_H

#include "weir/ledger.h"

/* The ledger or NULL. Blocks for file operations the first time, and while another thread is at it, a second at most. */
const struct weir_ledger *weir_ledger_of_process(void);

/* Which world's it is: struct weir_world's key. Before the first request. */
void weir_ledger_world(uint64_t key);

#endif
