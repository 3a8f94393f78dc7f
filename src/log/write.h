/* SPDX-License-Identifier: MIT */
/* Where lines go, without harm to the host: no signal, no wait, no descriptor kept, nobody else's file. */
#ifndef WEIR_LOG_WRITE_H
#define WEIR_LOG_WRITE_H

#include <stddef.h>

/* Remembers what standard error is now; later only that is written to. */
void log_remember_stderr(void);

/* Writes a line to standard error, or drops it: when that is something else by now, or has no room. */
void log_write_stderr(const char *line, size_t length);

/* Appends a line to a file, which is made (0600) when it is not there; or drops it. */
void log_write_file(const char *path, const char *line, size_t length);

#endif
