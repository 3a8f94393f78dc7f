/* SPDX-License-Identifier: MIT */
/* Those who wait, in order of arrival. */
#ifndef SIM_WAITING_H
#define SIM_WAITING_H

#include <stdbool.h>
#include <stdint.h>

#include "record.h"

#define SIM_NOBODY UINT32_MAX

struct sim_waiting {
	unsigned first, last;
	unsigned before[SIM_WORKERS], after[SIM_WORKERS];
	bool in[SIM_WORKERS];
};

void sim_waiting_start(struct sim_waiting *w);

/* At the end. Does nothing for who is in it. */
void sim_waiting_join(struct sim_waiting *w, unsigned worker);

/* Does nothing for who is not in it. */
void sim_waiting_leave(struct sim_waiting *w, unsigned worker);

#endif
