/* SPDX-License-Identifier: MIT */
/* What the agent itself uses of the machine. */
#ifndef WEIR_AGENT_USAGE_H
#define WEIR_AGENT_USAGE_H

#include "src/stats/snapshot.h"

/* Reads /proc/self; out->known says whether there was one. */
void weir_usage_read(struct weir_own_usage *out);

#endif
