/* SPDX-License-Identifier: MIT */
#include "src/monitor/figures.h"

#include <stdlib.h>
#include <string.h>

static uint64_t slot_ns(uint64_t window_ns)
{
	return window_ns >= FIGURE_SLOTS ? window_ns / FIGURE_SLOTS : 1;
}

static void coarsen(const struct weir_histogram_copy *h, uint32_t out[FIGURE_STEPS])
{
	for (size_t i = 0; i < FIGURE_STEPS; i++)
		out[i] = h->step[4 * i] + h->step[4 * i + 1] + h->step[4 * i + 2] + h->step[4 * i + 3];
}

static bool is_empty(const struct weir_histogram_copy *h)
{
	return h == NULL || h->count == 0;
}

void figures_begin(struct figures *f, const struct weir_monitor_sample *sample)
{
	f->succeeded = sample->succeeded;
	f->throttled = sample->throttled;
	f->failed = sample->failed;
	if (is_empty(sample->latency))
		return;
	f->latency_us = sample->latency->sum_us;
	f->step = f->step != NULL ? f->step : malloc(FIGURE_STEPS * sizeof *f->step);
	if (f->step != NULL)
		coarsen(sample->latency, f->step);
}

/* What has come; of a count that is lower than it was, all: the entry was another's meanwhile. */
static uint64_t grown(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

static bool in_window(const struct figures *f, const struct figure_slot *slot, uint64_t now_ns)
{
	uint64_t epoch = now_ns / slot_ns(f->window_ns);

	return slot->epoch <= epoch && epoch - slot->epoch < FIGURE_SLOTS;
}

static void free_slot(struct figures *f, size_t i)
{
	f->slots -= f->slot[i] != NULL;
	free(f->slot[i]);
	f->slot[i] = NULL;
}

static void free_slots(struct figures *f)
{
	for (size_t i = 0; i < FIGURE_SLOTS; i++)
		free_slot(f, i);
}

/* Gives back what has left the window: most hosts are asked now and then. */
static void rest(struct figures *f, uint64_t now_ns)
{
	for (size_t i = 0; f->slots > 0 && i < FIGURE_SLOTS; i++)
		if (f->slot[i] != NULL && !in_window(f, f->slot[i], now_ns))
			free_slot(f, i);
}

/* The slot of this time, emptied if it held another's. */
static struct figure_slot *slot_of(struct figures *f, uint64_t now_ns)
{
	uint64_t epoch = now_ns / slot_ns(f->window_ns);
	struct figure_slot **at = &f->slot[epoch % FIGURE_SLOTS];

	if (*at == NULL) {
		*at = calloc(1, sizeof **at);
		f->slots += *at != NULL;
	} else if ((*at)->epoch != epoch) {
		memset(*at, 0, sizeof **at);
	}
	if (*at != NULL)
		(*at)->epoch = epoch;
	return *at;
}

static void note_latency(struct figures *f, struct figure_slot *slot, const struct weir_histogram_copy *h)
{
	uint32_t step[FIGURE_STEPS];

	coarsen(h, step);
	if (f->step == NULL)
		f->step = calloc(FIGURE_STEPS, sizeof *f->step);
	if (f->step == NULL)
		return;
	for (size_t i = 0; i < FIGURE_STEPS; i++)
		slot->step[i] += (uint32_t)grown(step[i], f->step[i]);
	slot->latency_us += grown(h->sum_us, f->latency_us);
	memcpy(f->step, step, sizeof step);
	f->latency_us = h->sum_us;
}

void figures_note(struct figures *f, const struct weir_monitor_sample *sample, uint64_t window_ns, uint64_t now_ns)
{
	struct figure_slot *slot;
	bool same = sample->succeeded == f->succeeded && sample->throttled == f->throttled && sample->failed == f->failed;

	if (f->window_ns != window_ns) {
		free_slots(f);
		f->window_ns = window_ns;
	}
	rest(f, now_ns);
	if (same)
		return;
	slot = slot_of(f, now_ns);
	if (slot != NULL) {
		slot->succeeded += grown(sample->succeeded, f->succeeded);
		slot->throttled += grown(sample->throttled, f->throttled);
		slot->failed += grown(sample->failed, f->failed);
		if (!is_empty(sample->latency))
			note_latency(f, slot, sample->latency);
	}
	f->succeeded = sample->succeeded;
	f->throttled = sample->throttled;
	f->failed = sample->failed;
}

/* What one of the coarse steps stands for. */
static uint64_t step_ns(size_t step)
{
	return (weir_histogram_step_ns(4 * step + 1) + weir_histogram_step_ns(4 * step + 2)) / 2;
}

static uint64_t quantile(const uint64_t step[FIGURE_STEPS], uint64_t total, unsigned permille)
{
	uint64_t rank = (total * permille + 999) / 1000, below = 0;

	for (size_t i = 0; i < FIGURE_STEPS; i++) {
		below += step[i];
		if (below >= rank && step[i] > 0)
			return step_ns(i);
	}
	return 0;
}

static void sum_latency(const uint64_t step[FIGURE_STEPS], uint64_t sum_us, struct weir_monitor_latency *out)
{
	for (size_t i = 0; i < FIGURE_STEPS; i++) {
		if (step[i] == 0)
			continue;
		if (out->count == 0)
			out->min_ns = step_ns(i);
		out->max_ns = step_ns(i);
		out->count += step[i];
	}
	if (out->count == 0)
		return;
	out->mean_ns = sum_us / out->count * 1000 + sum_us % out->count * 1000 / out->count;
	out->p50_ns = quantile(step, out->count, 500);
	out->p90_ns = quantile(step, out->count, 900);
	out->p95_ns = quantile(step, out->count, 950);
	out->p99_ns = quantile(step, out->count, 990);
}

void figures_sum(const struct figures *f, uint64_t now_ns, struct weir_monitor_figures *out)
{
	uint64_t step[FIGURE_STEPS], sum_us = 0;

	memset(out, 0, sizeof *out);
	out->window_ns = f->window_ns;
	if (f->slots == 0) /* most hosts, most of the time */
		return;
	memset(step, 0, sizeof step);
	for (size_t i = 0; i < FIGURE_SLOTS; i++) {
		const struct figure_slot *s = f->slot[i];

		if (s == NULL || !in_window(f, s, now_ns))
			continue;
		out->succeeded += s->succeeded;
		out->throttled += s->throttled;
		out->failed += s->failed;
		sum_us += s->latency_us;
		for (size_t k = 0; k < FIGURE_STEPS; k++)
			step[k] += s->step[k];
	}
	sum_latency(step, sum_us, &out->latency);
}

void figures_free(struct figures *f)
{
	free(f->step);
	free_slots(f);
	memset(f, 0, sizeof *f);
}
