/* SPDX-License-Identifier: MIT */
#ifndef SIM_REPORT_H
#define SIM_REPORT_H

#include <stdbool.h>

#include "batch.h"

/* Writes docs/evaluation.md: the part between its two markers is replaced, the rest (method, loopback results) stays. */
bool sim_report_write(const struct sim_batch *batch, const char *path);

/* The figures as plain lines, for people who tune. */
void sim_report_print(const struct sim_batch *batch);

#endif
