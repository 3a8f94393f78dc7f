/* SPDX-License-Identifier: MIT */
#include "departures.h"

enum weir_class sim_class_of(const struct sim_scenario *s, unsigned process, unsigned processes)
{
	if (process < s->low)
		return WEIR_CLASS_LOW;
	return process + s->high >= processes ? WEIR_CLASS_HIGH : WEIR_CLASS_NORMAL;
}

void sim_departs(struct sim_record *r, const struct sim_scenario *s, unsigned worker, uint64_t at_ns, uint64_t waited_ns)
{
	const struct sim_quota *q = &s->quota;
	uint64_t at_s = q->begin_s + at_ns / 1000000000;

	if (r->process_of[worker] + 1U == r->processes && r->last_waited_s < 0)
		r->last_waited_s = (double)waited_ns / 1e9;
	for (unsigned k = 0; k < SIM_DAYS && q->midnight_s[k] != 0; k++)
		if (at_s < q->midnight_s[k]) {
			r->sent_in[k]++;
			break;
		}
}
