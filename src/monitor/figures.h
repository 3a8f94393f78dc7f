/* SPDX-License-Identifier: MIT */
/*
 * Counts that only grow, as what of them lies in a sliding window: twelve slots of a twelfth of the window each, into which what
 * has come since the last sample is put.
 */
#ifndef WEIR_MONITOR_FIGURES_H
#define WEIR_MONITOR_FIGURES_H

#include "weir/monitor.h"

#define FIGURE_SLOTS 12U
#define FIGURE_STEPS (WEIR_HISTOGRAM_STEPS / 4) /* four steps of a histogram: an eighth of a power of two */

struct figure_slot {
	uint64_t epoch;
	uint64_t succeeded, throttled, failed;
	uint64_t latency_us; /* sum */
	uint32_t step[FIGURE_STEPS];
};

struct figures {
	uint64_t window_ns;
	uint64_t succeeded, throttled, failed, latency_us; /* at the last sample */
	uint32_t *step;                                    /* at the last sample, FIGURE_STEPS; NULL: none were counted yet */
	struct figure_slot *slot[FIGURE_SLOTS];            /* NULL: nothing has come in that time */
	unsigned slots;                                    /* how many there are */
};

/* Takes what is counted as the beginning: nothing of it lies in the window. */
void figures_begin(struct figures *f, const struct weir_monitor_sample *sample);

/* Puts what is new into the window. Where memory is short it is left out. */
void figures_note(struct figures *f, const struct weir_monitor_sample *sample, uint64_t window_ns, uint64_t now_ns);

void figures_sum(const struct figures *f, uint64_t now_ns, struct weir_monitor_figures *out);

void figures_free(struct figures *f);

#endif
