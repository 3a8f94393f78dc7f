/* SPDX-License-Identifier: MIT */
#include "waiting.h"

#include <string.h>

void sim_waiting_start(struct sim_waiting *w)
{
	memset(w, 0, sizeof(*w));
	w->first = w->last = SIM_NOBODY;
}

void sim_waiting_join(struct sim_waiting *w, unsigned worker)
{
	if (w->in[worker])
		return;
	w->in[worker] = true;
	w->before[worker] = w->last;
	w->after[worker] = SIM_NOBODY;
	if (w->last != SIM_NOBODY)
		w->after[w->last] = worker;
	else
		w->first = worker;
	w->last = worker;
}

void sim_waiting_leave(struct sim_waiting *w, unsigned worker)
{
	unsigned before = w->before[worker], after = w->after[worker];

	if (!w->in[worker])
		return;
	w->in[worker] = false;
	if (before != SIM_NOBODY)
		w->after[before] = after;
	else
		w->first = after;
	if (after != SIM_NOBODY)
		w->before[after] = before;
	else
		w->last = before;
}
