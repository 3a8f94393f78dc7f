/* What the segment of a scene says about a host: the tests' own look at the shared memory, without the CLI. */
#ifndef HOST_COUNTS_H
#define HOST_COUNTS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/harness.h"
#include "weir/gate.h"
#include "weir/runtime.h"
#include "weir/segment.h"

struct host_counts {
	bool known;
	uint64_t admitted, delayed, refused, succeeded, throttled, failed, ignored, connections, cancelled;
	uint32_t permits; /* out now */
	double hold_s;    /* until the hold ends, 0 = none */
	uint64_t opened;  /* times the breaker has */
};

static inline bool segment_of(const struct scene *scene, const char *config, struct weir_segment *s)
{
	char *user = path_in(scene->dir, EMPTY_CONFIG_DIR);
	struct weir_environment e = {.runtime_dir = scene->runtime, .config = config, .xdg_config_home = user};
	struct weir_world w;
	const char *why;
	int err;

	assert_null(weir_world_of(&e, &w));
	free(user);
	memset(s, 0, sizeof *s);
	return weir_segment_open(s, w.segment, false, NULL, &why, &err) == WEIR_SEGMENT_OK;
}

static inline struct host_counts counts_under(const struct scene *scene, const char *config, const char *host_port)
{
	struct host_counts out;
	struct weir_segment s;
	uint32_t slot;

	memset(&out, 0, sizeof out);
	if (!segment_of(scene, config, &s))
		return out;
	slot = weir_entry_find(&s, host_port);
	if (slot != WEIR_NONE) {
		struct weir_entry *e = &s.entry[slot];
		uint64_t now = weir_now_ns(), hold = atomic_load(&e->hold.until_ns);

		out.known = true;
		out.admitted = e->counters.admitted;
		out.delayed = e->counters.delayed;
		out.refused = e->counters.refused;
		out.succeeded = e->rate.accepted;
		out.throttled = e->rate.throttled;
		out.failed = e->rate.failed;
		out.ignored = e->counters.ignored;
		out.connections = e->counters.connections;
		out.cancelled = e->counters.cancelled;
		out.opened = e->breaker.opened_total;
		out.permits = weir_concurrency_count(&e->concurrency);
		out.hold_s = hold > now ? (double)(hold - now) / 1e9 : 0;
	}
	weir_segment_close(&s);
	return out;
}

static inline struct host_counts counts_of(const struct scene *scene, const char *host_port)
{
	return counts_under(scene, NULL, host_port);
}

/* Leases that somebody holds. */
static inline unsigned leases_held(const struct scene *scene)
{
	struct weir_segment s;
	unsigned held = 0;

	if (!segment_of(scene, NULL, &s))
		return 0;
	for (uint32_t i = 0; i < s.leases; i++)
		held += (atomic_load(&s.lease[i].word) & 0xff) != WEIR_LEASE_FREE;
	weir_segment_close(&s);
	return held;
}

/* "127.0.0.1:PORT" in a buffer of the caller. */
static inline const char *host_port_of(char out[64], const char *host, int port)
{
	snprintf(out, 64, "%s:%d", host, port);
	return out;
}

#endif
