/* SPDX-License-Identifier: MIT */
/* A host whose answers are scripted, rules that have it asked again, and curl. */
#ifndef RETRIES_STAGE_H
#define RETRIES_STAGE_H

#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/scripted_server.h"

#define RULES                                                                                                                    \
	"defaults = { rate = \"none\"; concurrency = false; breaker = false; hold = { max = \"1s\"; };\n"                        \
	"  retry = { base = \"5ms\"; cap = \"20ms\"; %s }; };\n"
#define USUAL "attempts = 3; budget = 1;"

struct stage {
	struct scene *scene;
	struct scripted server;
};

static inline void stage_open(struct stage *s, void **state, const char *more)
{
	char rules[400];

	s->scene = *state;
	scripted_start(&s->server);
	snprintf(rules, sizeof rules, RULES, more);
	scene_configure(s->scene, rules);
}

/* Runs `curl ARGUMENTS http://HOST/PATH`; %s in arguments is not interpreted. Returns stdout, to be freed. */
static inline char *curl(const struct stage *s, enum command_mode mode, int status, const char *arguments, const char *path)
{
	char shell[800];
	struct outcome o;
	char *out;

	snprintf(shell, sizeof shell, "curl -sS %s http://127.0.0.1:%d%s", arguments, s->server.port, path);
	o = command_run(&(struct command){.shell = shell, .mode = mode, .dir = s->scene->dir});
	if (o.exit_status != status)
		fail_msg("%s: exit status %d instead of %d\n%s%s", shell, o.exit_status, status, o.out, o.err);
	out = strdup(o.out);
	outcome_free(&o);
	return out;
}

static inline int asked(const struct stage *s, int number)
{
	return atomic_load(&s->server.series[number].requests);
}

/* curl under weir prints `text`, and the server has been asked so often. */
static inline void expect(const struct stage *s, const char *arguments, const char *path, int status, const char *text,
			  int requests)
{
	char *out = curl(s, COMMAND_UNDER_WEIR, status, arguments, path);

	if (strcmp(out, text) != 0)
		fail_msg("curl %s %s: '%s' instead of '%s'", arguments, path, out, text);
	free(out);
	assert_int_equal(asked(s, atoi(strrchr(path, '/') + 1)), requests);
}

#define CODE "-o /dev/null -w '%{http_code}'"

#endif
