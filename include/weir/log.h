/* SPDX-License-Identifier: MIT */
/* The one log. Off unless asked for (WEIR_LOG=LEVEL[:FILE]); one write(2) per line, no stdio, no descriptor kept, errno
 * preserved. Never logs more of a URL than host and port. */
#ifndef WEIR_LOG_H
#define WEIR_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum weir_log_level { WEIR_LOG_OFF = 0, WEIR_LOG_ERROR, WEIR_LOG_WARN, WEIR_LOG_INFO, WEIR_LOG_DEBUG };

/* Sets level and destination from "LEVEL[:FILE]" (error, warn, info, debug, off; no FILE: stderr). The text is copied, a
 * relative FILE taken from the working directory of now. For start-up: not while other threads log. Returns NULL or what is
 * wrong. */
const char *weir_log_setup(const char *spec);

bool weir_log_on(enum weir_log_level level);

/* Replaces in place, by '?' for each byte, what is no text in UTF-8 or acts on a terminal or log instead of being shown: control
 * characters (C0, C1), separators of lines, changes of the direction of writing. */
void weir_make_printable(char *text, size_t length);

/* Writes "weir[PID]: level: text\n", cut at 600 bytes, control characters replaced. printf formats %s %d %i %u %x %c %% with l,
 * ll and z, width, '-' and '0', and a precision for %s, no others (a formatter of our own: no locale, no allocation). */
void weir_log(enum weir_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes text to standard error as the log does, without a signal and without waiting for room, or drops it. */
void weir_log_stderr(const char *text, size_t length);

/* The formatter of weir_log on its own. Always terminates out; returns the length written. */
size_t weir_format(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
