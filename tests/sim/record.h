/* SPDX-License-Identifier: MIT */
/* What happened in one run, and the metrics read from it. */
#ifndef SIM_RECORD_H
#define SIM_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "scenario.h"
#include "server.h"

#define SIM_SECONDS       (1U << 17) /* of one run that are kept apart */
#define SIM_REFUSALS      65536      /* throttled answers whose times are kept */
#define SIM_WORKERS       512
#define SIM_AT_ONCE_NS    100000000
#define SIM_LATENCY_STEPS 4096 /* of 1 % */

struct sim_record {
	uint64_t end_ns, from_ns;                                 /* the run ends; the measured span begins */
	uint32_t *accepted, *throttled, *sent, *failed, *refused; /* per second */
	float *in_flight;                                         /* mean over the second */
	uint64_t *refusal_ns;                                     /* throttled answers, by time */
	uint32_t refusals;
	unsigned workers, polite; /* the first so many of them do not hammer */
	uint64_t worker_accepted[SIM_WORKERS];
	uint32_t latency[SIM_LATENCY_STEPS]; /* of good answers in the measured span */
	uint64_t inside_hold;                /* sent inside a hold */
	double late_s, held_s;               /* resumption after holds, and how long these were */
	uint64_t dead_requests;
	uint64_t trips;                  /* of a breaker */
	bool paced;                      /* the rate controller has a limit at the end */
	uint64_t held;                   /* requests that were kept for more than SIM_AT_ONCE_NS and then refused, or timed out */
	uint64_t items_lost, lost_early; /* of a batch; in the first 30 s after the first change */
	uint64_t requests, attempts, requests_lost; /* over; of these; without a good answer */
	uint64_t leaked;
	unsigned processes;
	uint16_t process_of[SIM_WORKERS];
	double last_waited_s;       /* the last process's first request, until it went; < 0: it has not */
	uint64_t sent_in[SIM_DAYS]; /* windows of the client's quota */
	uint64_t deaths;
	double change_s[SIM_CHANGES]; /* when the changes came */
	double recovery_s;            /* outage: until the first success of a request sent after it; < 0: none yet */
	uint64_t trouble_over_ns;
};

void sim_record_open(struct sim_record *r);
void sim_record_clear(struct sim_record *r);
void sim_record_close(struct sim_record *r);
void sim_record_latency(struct sim_record *r, uint64_t ns);

/* Of priorities, clients and quotas. */
double sim_metric_shared(const struct sim_record *r, const struct sim_scenario *s, enum sim_metric metric);

double sim_metric_of(const struct sim_record *r, const struct sim_scenario *s, const struct sim_server *server,
		     enum sim_metric metric);

#endif
