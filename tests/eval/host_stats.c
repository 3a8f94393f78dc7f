/* SPDX-License-Identifier: MIT */
#include "host_stats.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/environment.h"
#include "tests/harness/failure.h"

static int whole(const json_t *object, const char *name)
{
	return (int)json_integer_value(json_object_get(object, name));
}

bool host_stats_read(const struct scene *scene, const char *config, const struct quotad *server, struct host_stats *out)
{
	char *weir = build_path("weir");
	const char *argv[] = {weir, "stats", "--json", NULL};
	struct command c = {.argv = argv, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .config = config};
	struct outcome o = command_run(&c);
	json_t *root = json_loads(o.out, 0, NULL), *host;
	char name[32];
	bool found = false;
	size_t i;

	if (root == NULL)
		harness_fail("weir stats --json: %s%s", o.out, o.err);
	snprintf(name, sizeof name, "127.0.0.1:%d", server->http_port);
	json_array_foreach(json_object_get(root, "hosts"), i, host)
	{
		const char *host_name = json_string_value(json_object_get(host, "host"));

		if (host_name == NULL || strcmp(host_name, name) != 0)
			continue;
		found = true;
		out->in_flight = whole(host, "in_flight");
		out->waiting = whole(host, "waiting");
		out->breaker_opened = whole(json_object_get(host, "breaker"), "opened_total");
		out->admitted = (uint64_t)json_integer_value(json_object_get(host, "admitted"));
		out->hold_s = json_number_value(json_object_get(host, "hold_seconds"));
	}
	json_decref(root);
	outcome_free(&o);
	free(weir);
	return found;
}
