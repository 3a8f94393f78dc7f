/* SPDX-License-Identifier: MIT */
#include "src/cli/operate.h"

#include <stdio.h>
#include <stdlib.h>

#include "src/cli/client.h"
#include "src/cli/usage.h"

int weir_operate(const struct weir_subcommand *c, const char *host, const char *verb, json_t *body, bool may_create,
		 const char *done)
{
	bool hint = may_create && !json_object_get(body, "create");
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	char *path = weir_client_host_path(host, verb);
	struct weir_question q = {.method = "POST", .path = path, .body = text};
	struct weir_reply reply;
	int status = WEIR_EXIT_FAILED;
	json_decref(body);
	if (text && path && weir_client_ask(&q, &reply)) {
		status =
			weir_reply_failed_hint(c->name, &reply, hint ? " (use --create to set it before the first request)" : "");
		json_t *answer = status == 0 ? json_loadb(reply.body, reply.length, 0, NULL) : NULL;
		const char *name = json_string_value(json_object_get(answer, "host"));
		if (status == 0) {
			weir_put_printable(name ? name : host, stdout);
			fputs(": ", stdout);
			weir_put_printable(done, stdout);
			putchar('\n');
		}
		json_decref(answer);
		weir_reply_free(&reply);
	}
	free(text);
	free(path);
	return status;
}
