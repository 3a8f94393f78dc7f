/* SPDX-License-Identifier: MIT */
/* The figures as tables. */
#ifndef EVAL_REPORT_H
#define EVAL_REPORT_H

#include <stdio.h>

#include "case.h"

/* The Markdown section of a scenario: `result` has one entry for each of its cases; those that did not finish are left out. */
void report_section(FILE *f, const struct scenario *s, const struct result *result);

/* Puts the section into a file, in place of the one that is there or at its end, and leaves the rest of the file alone: a
 * scenario can be run again by itself. False, with errno, when the file cannot be written. */
bool report_update(const char *path, const struct scenario *s, const struct result *result);

#endif
