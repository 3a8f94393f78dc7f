/* SPDX-License-Identifier: MIT */
/* The file in which an agent leaves to the next one what fires, what was acknowledged, and what is silent. */
#ifndef WEIR_AGENT_KEPT_ALERTS_H
#define WEIR_AGENT_KEPT_ALERTS_H

#include <stdint.h>

#include "weir/monitor.h"

/* Takes up what is in the file; what is none of ours is left alone and said in the log. */
void weir_kept_alerts_read(struct weir_monitor *m, const char *path, uint64_t wall_ns);

/* Writes it, atomically; where there is nothing to keep there is no file. Returns 0 or errno. */
int weir_kept_alerts_write(const struct weir_monitor *m, const char *path);

#endif
