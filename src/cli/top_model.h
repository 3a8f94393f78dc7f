/* SPDX-License-Identifier: MIT */
/* What `weir top` knows: the hosts as the agent last told of them, what became of them over the last samples, and what the person
 * in front of it chose. Draws nothing, asks nobody. */
#ifndef WEIR_CLI_TOP_MODEL_H
#define WEIR_CLI_TOP_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/stats/spelling.h"

#define WEIR_TOP_SAMPLES 120
#define WEIR_TOP_EVENTS  32
#define WEIR_TOP_TEXT    256

enum weir_top_series { WEIR_TOP_RATE, WEIR_TOP_LATENCY, WEIR_TOP_WAITING, WEIR_TOP_SERIES };
enum weir_top_order {
	WEIR_TOP_BY_STATE,
	WEIR_TOP_BY_RATE,
	WEIR_TOP_BY_WAITING,
	WEIR_TOP_BY_LATENCY,
	WEIR_TOP_BY_NAME,
	WEIR_TOP_ORDERS
};

/* Numbers that are not known are negative. */
struct weir_top_host {
	char name[WEIR_SPELLING_MAX], rule[WEIR_SPELLING_MAX];
	char state[16], breaker[16], cause[32];
	char degraded[16]; /* empty: nothing is given up */
	double shed;       /* share that the breaker refuses */
	uint64_t requests, succeeded, throttled, failed, refused, delayed;
	double rate, rate_limit, error_rate, latency, hold_s, reopens_s;
	double p50, p95, p99, waited_p50, waited_p95;
	long in_flight, waiting, concurrency_limit;
	double series[WEIR_TOP_SERIES][WEIR_TOP_SAMPLES]; /* oldest first */
	int samples;
	bool there; /* in the last answer */
};

struct weir_top_event {
	char at[32], text[WEIR_TOP_TEXT];
};

struct weir_top {
	struct weir_top_host *host;
	size_t count, room;
	long hosts, processes, waiting, in_flight;
	uint64_t requests;
	char generated[32];
	bool rejected; /* the configuration as it is now was refused */
	/* chosen */
	enum weir_top_order order;
	char filter[64];
	char chosen[WEIR_SPELLING_MAX]; /* name of the host; empty: the first */
	bool detail;
	struct weir_top_event event[WEIR_TOP_EVENTS]; /* of the chosen host, newest first, in detail */
	size_t events;
};

/* Takes an answer of GET /v1/stats in as the next sample. False when it is none, or memory is short; what is known stays. */
bool weir_top_take(struct weir_top *t, const json_t *stats);

/* Takes an answer of GET /v1/events in: those of the chosen host. */
void weir_top_take_events(struct weir_top *t, const json_t *events);

/* The hosts that the filter lets through, in the chosen order: fills out[max] and returns how many there are. */
size_t weir_top_list(const struct weir_top *t, const struct weir_top_host **out, size_t max);

/* The chosen host: NULL when none is shown. */
const struct weir_top_host *weir_top_chosen(const struct weir_top *t);

/* Moves the choice by so many places in the list. */
void weir_top_move(struct weir_top *t, long by);

const char *weir_top_order_name(enum weir_top_order order);

void weir_top_free(struct weir_top *t);

#endif
