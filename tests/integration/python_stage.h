/* A server, and scripts of Python's that talk to it by sockets of their own, under weir. */
#ifndef PYTHON_STAGE_H
#define PYTHON_STAGE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/harness.h"
#include "tests/integration/host_counts.h"

#define RATE_20 "hosts = ( { match = \"localhost\"; rate = { strategy = \"fixed\"; max = \"20/s\"; burst = 1; }; } );\n"

struct stage {
	struct scene *scene;
	struct quotad *server;
	char port[32], host_port[64];
	const char *env[2];
};

static inline void stage_open(struct stage *s, void **state, const char *const *options)
{
	require_localhost();
	memset(s, 0, sizeof *s);
	s->scene = *state;
	s->server = quotad_start(s->scene->dir, options);
	snprintf(s->port, sizeof s->port, "PORT=%d", s->server->http_port);
	host_port_of(s->host_port, "localhost", s->server->http_port);
	s->env[0] = s->port;
}

/* A script of Python's: `c` is a connection to the server. */
#define IMPORTS                                                                                                                  \
	"import os, sys, time, socket, http.client\n"                                                                            \
	"port = int(os.environ['PORT'])\n"                                                                                       \
	"c = http.client.HTTPConnection('localhost', port)\n"                                                                    \
	"def get(path, method='GET', body=None):\n"                                                                              \
	"    c.request(method, path, body)\n"                                                                                    \
	"    r = c.getresponse()\n"                                                                                              \
	"    return r.status, r.read()\n"

static inline struct outcome python_in(struct stage *s, enum command_mode mode, const char *script)
{
	char *file = write_file(s->scene->dir, "script.py", script);
	const char *argv[] = {"/usr/bin/python3", file, NULL};
	struct outcome o = command_run(&(struct command){.argv = argv, .mode = mode, .dir = s->scene->dir, .env = s->env});

	free(file);
	return o;
}

/* Runs it under weir; returns the seconds that it took. */
static inline double expect_python(struct stage *s, const char *script, const char *out)
{
	struct outcome o = python_in(s, COMMAND_UNDER_WEIR, script);
	double seconds = o.seconds;

	if (o.exit_status != 0 || strcmp(o.out, out) != 0)
		fail_msg("exit %d: %s%s", o.exit_status, o.out, o.err);
	outcome_free(&o);
	return seconds;
}

static inline void expect_requests(struct stage *s, uint64_t succeeded, uint64_t connections)
{
	struct host_counts n = counts_of(s->scene, s->host_port);

	assert_int_equal(n.succeeded, succeeded);
	assert_int_equal(n.admitted, succeeded);
	assert_int_equal(n.connections, connections);
	assert_int_equal(n.permits, 0);
	assert_int_equal(leases_held(s->scene), 0);
}

/* The server's own record of when they came. A fraction of a millisecond is the way from the admission to the server. */
static inline void expect_spaced(struct stage *s, size_t count, double gap_s)
{
	size_t n;
	struct quotad_arrival *a = quotad_journal(s->server, &n);

	assert_int_equal(n, count);
	/* Each unit has its time: however late one is, the nth is not before n gaps. The first, which they are measured from, may
	 * be late itself: by three gaps and a half, without which eight would come in nothing. */
	for (size_t i = 4; i < n; i++)
		assert_true(a[i].arrival_s - a[0].arrival_s > ((double)i - 3.5) * gap_s);
	free(a);
}

#endif
