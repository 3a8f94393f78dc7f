/* SPDX-License-Identifier: MIT */
/* Clients in a closed loop and a server that refuses for reasons of its own, on a virtual clock. */
#ifndef WEIR_TESTS_REFUSAL_BENCH_H
#define WEIR_TESTS_REFUSAL_BENCH_H

#include "gate_bench.h"

#define CLIENTS 16
#define TRIP    (5 * MS) /* there, and back */

struct client {
	bool flying, waiting;
	uint64_t due; /* when it asks, looks again, or is answered */
	uint32_t status;
	struct weir_request request;
};

static struct server {
	uint32_t status;         /* of a refusal */
	double per_s, depth;     /* of a token bucket; 0: none */
	unsigned slots;          /* at a time; 0: any number */
	uint64_t service_ns;     /* mean; a quarter of the requests take three times as long, the others a third of it */
	unsigned noise_permille; /* refused at random */
	uint64_t ban_ns;         /* so long everything is refused after a refusal, anew with each request */
	uint64_t banned_until;
	unsigned bans;
	double tokens;
	uint64_t filled_ns;
	uint64_t busy_until[64];
} server;

static struct client client[CLIENTS];
static uint64_t seed;
static unsigned good, refused;

static inline unsigned below(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(seed >> 33) % n;
}

/* The answer to a request that arrives now; *ns is how long it takes. */
static inline uint32_t serve(uint64_t *ns)
{
	unsigned slot = 0;

	*ns = below(4) == 0 ? 3 * server.service_ns : server.service_ns / 3;
	if (server.per_s > 0) {
		server.tokens += server.per_s * (double)(now - server.filled_ns) / 1e9;
		server.tokens = server.tokens > server.depth ? server.depth : server.tokens;
		server.filled_ns = now;
	}
	if (below(1000) < server.noise_permille || (server.per_s > 0 && server.tokens < 1) || server.banned_until > now) {
		server.bans += server.ban_ns != 0 && server.banned_until <= now;
		server.banned_until = now + server.ban_ns;
		*ns = 0;
		return server.status;
	}
	while (slot < server.slots && server.busy_until[slot] > now)
		slot++;
	if (server.slots != 0 && slot == server.slots) {
		*ns = 0;
		return server.status;
	}
	server.busy_until[slot] = now + *ns;
	server.tokens -= 1;
	return 200;
}

static inline void went(struct client *c, enum weir_verdict v, uint64_t wake)
{
	uint64_t ns;

	c->waiting = v == WEIR_WAIT;
	c->flying = v == WEIR_GO;
	c->due = v == WEIR_WAIT ? (wake > now ? wake : now + MS) : now + 100 * MS;
	if (v != WEIR_GO)
		return;
	now += TRIP; /* the server's time, for a moment */
	c->status = serve(&ns);
	now -= TRIP;
	c->due = now + 2 * TRIP + ns + below(1000) * 1000;
}

static inline void answered(struct client *c)
{
	struct weir_result result = {.status = c->status,
				     .outcome = weir_gate_classify(&gate, &c->request, (int)c->status, false)};

	weir_gate_settle(&gate, &c->request, &result, now);
	good += c->status == 200;
	refused += c->status == server.status;
	c->flying = false;
	c->due = now + MS / 10;
}

static inline struct weir_entry *host(void)
{
	return &segment.entry[weir_entry_find(&segment, HOST)];
}

/* Moves when those who wait should look again (what the futex word is for where there are processes). */
static inline uint64_t changes(void)
{
	struct weir_entry *e = host();

	return atomic_load(&e->bucket[0].generation) + 3 * atomic_load(&e->hold.until_ns) + 7 * atomic_load(&e->breaker.word) +
	       13 * atomic_load(&e->concurrency.permits) + 17 * weir_concurrency_limit(&e->concurrency, &rule.concurrency);
}

static inline void wake_all(uint64_t *seen)
{
	if (*seen == changes())
		return;
	*seen = changes();
	for (unsigned i = 0; i < CLIENTS; i++)
		if (client[i].waiting)
			client[i].due = now;
}

static inline void run(uint64_t seconds)
{
	uint64_t end = now + seconds * SECOND, wake, seen = 0;

	good = refused = 0;
	for (;;) {
		struct client *c = &client[0];
		enum weir_verdict v;

		for (unsigned i = 1; i < CLIENTS; i++)
			if (client[i].due < c->due)
				c = &client[i];
		if (c->due >= end)
			break;
		now = c->due > now ? c->due : now;
		if (c->flying) {
			answered(c);
		} else {
			v = c->waiting ? weir_gate_look(&gate, &c->request, now, &wake) : begin(&c->request, &wake);
			went(c, v, wake);
		}
		wake_all(&seen);
	}
	now = end;
}

static inline struct weir_refusal_view held(void)
{
	return weir_refusal_look(&host()->refusal);
}

static inline void meet(struct server s)
{
	server = s;
	server.tokens = s.depth;
	server.filled_ns = now;
	memset(client, 0, sizeof client);
	seed = 7;
	rule.wait_max_ns = 3600 * SECOND;
	publish();
	for (unsigned i = 0; i < CLIENTS; i++)
		client[i].due = now + below(20) * MS;
}

/* How many events of this kind and cause there are. */
static inline unsigned events(enum weir_event_kind kind, enum weir_cause cause)
{
	struct weir_event e[256];
	uint64_t next = 0;
	size_t n = weir_event_read(&segment, &next, e, 256);
	unsigned count = 0;

	for (size_t i = 0; i < n; i++)
		count += e[i].kind == (uint32_t)kind && e[i].cause == (uint32_t)cause;
	return count;
}

#endif
