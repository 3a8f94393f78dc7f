/* SPDX-License-Identifier: MIT */
/*
 * The oracle sees the server's state and spends it before it is spent: a request goes when it will find a token, or a free slot,
 * on its arrival. It is as good as a client can be that knows everything but the jitter of the network.
 */
#include <stdlib.h>

#include "controller.h"
#include "record.h"

struct oracle {
	struct sim_server *server;
	const struct sim_scenario *scenario;
	const unsigned *process_of;
	unsigned flying, workers;
	uint64_t sent;    /* ... ever */
	uint64_t next_ns; /* of the budget */
	bool flies[SIM_WORKERS];
	uint64_t moved;
};

static void *start(const struct sim_setting *setting)
{
	struct oracle *o = calloc(1, sizeof(*o));

	o->server = setting->server;
	o->scenario = setting->scenario;
	o->process_of = setting->process_of;
	o->workers = setting->workers;
	return o;
}

static enum sim_verdict ask(void *self, unsigned worker, uint64_t now_ns, uint64_t *wake_ns)
{
	struct oracle *o = self;
	uint64_t under_way = o->sent > o->server->arrived ? o->sent - o->server->arrived : 0, at;

	at = sim_server_free_ns(o->server, now_ns - SIM_EPOCH_NS, under_way < o->flying ? (unsigned)under_way : o->flying);
	if (o->server->outage != SIM_UP) {
		*wake_ns = now_ns + 100000000;
		return SIM_WAIT;
	}
	if (at == UINT64_MAX || (o->scenario->slots.count > 0 && o->flying >= o->scenario->slots.count)) {
		*wake_ns = now_ns + 1000000000; /* it is looked at as soon as a slot is free */
		return SIM_WAIT;
	}
	at += SIM_EPOCH_NS;
	/* The client's own budget: somebody will ask at the right time, and nobody waits for it. */
	if (o->scenario->limit[0].kind == SIM_BUDGET && o->next_ns > now_ns) {
		*wake_ns = o->next_ns;
		return SIM_NO;
	}
	if (at > now_ns) {
		/* What it knows may change. */
		*wake_ns = at - now_ns < 1000000000 ? at : now_ns + 1000000000;
		return SIM_WAIT;
	}
	o->flying++;
	o->sent++;
	if (o->scenario->limit[0].kind == SIM_BUDGET)
		o->next_ns = (o->next_ns > 0 ? o->next_ns : now_ns) + (uint64_t)(1e9 / o->scenario->limit[0].rate);
	o->flies[worker] = true;
	return SIM_GO;
}

static void result(void *self, unsigned worker, const struct sim_result *r, uint64_t now_ns)
{
	struct oracle *o = self;

	(void)r;
	(void)now_ns;
	o->flying--;
	o->flies[worker] = false;
	o->moved++;
}

static void kill_process(void *self, unsigned process, uint64_t now_ns)
{
	struct oracle *o = self;

	(void)now_ns;
	for (unsigned i = 0; i < o->workers; i++)
		if (o->process_of[i] == process && o->flies[i]) {
			o->flies[i] = false;
			o->flying--;
		}
}

static uint64_t freed(void *self)
{
	return ((struct oracle *)self)->moved;
}

const struct sim_controller sim_oracle = {
	.name = "oracle", .start = start, .stop = free, .ask = ask, .result = result, .freed = freed, .kill = kill_process};
