/* SPDX-License-Identifier: MIT */
/* The system's log, without ever waiting for it. */
#ifndef WEIR_AGENT_SYSTEM_LOG_H
#define WEIR_AGENT_SYSTEM_LOG_H

#include <stdbool.h>

/* Sends `before` and `text` to the log's socket at `path`, as a warning or a notice of the user facility (RFC 3164). syslog(3)
 * waits where the log's queue is full; this drops the line. Returns whether it went. */
bool weir_system_log(const char *path, bool warning, const char *before, const char *text);

#endif
