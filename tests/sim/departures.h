/* SPDX-License-Identifier: MIT */
/* What is noted of a request when it goes, and whose it is: for priorities, clients and quotas. */
#ifndef SIM_DEPARTURES_H
#define SIM_DEPARTURES_H

#include <stdint.h>

#include "record.h"
#include "weir/order.h"

/* The class of a process of `processes`. */
enum weir_class sim_class_of(const struct sim_scenario *s, unsigned process, unsigned processes);

/* A worker's request goes; the time is since the beginning of the run. */
void sim_departs(struct sim_record *r, const struct sim_scenario *s, unsigned worker, uint64_t at_ns, uint64_t waited_ns);

#endif
