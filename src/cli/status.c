/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/agent/handover.h"
#include "src/agent/worlds.h"
#include "src/cli/client.h"
#include "src/cli/environment.h"
#include "src/cli/notices.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"

static void print_left_out(const char *text)
{
	fputs("policy: ", stdout);
	weir_put_printable(text, stdout);
	putchar('\n');
}

static void print_notice(const char *line)
{
	printf("not in force: %s\n", line);
}

/* What was started before an upgrade with another segment goes on in the old one. */
static void print_other_versions(const struct weir_world *w)
{
	struct weir_world_found *found;
	size_t count = weir_worlds_of_other_versions(w->dir, &found);
	for (size_t i = 0; i < count; i++) {
		if (found[i].processes == 0)
			continue;
		printf("version: %u process%s of another version of weir, with limits of %s own in ", found[i].processes,
		       found[i].processes == 1 ? "" : "es", found[i].processes == 1 ? "its" : "their");
		weir_put_printable(found[i].world.segment, stdout);
		puts(": start anew what has run since then");
	}
	free(found);
}

/* What there is to say of the installation, below what the agent says of the hosts. Others may run another version: it is this
 * one's to tell, as an older one knows nothing of newer ones. */
static void print_notes(bool *degraded)
{
	struct weir_environment e;
	struct weir_world w;
	uint64_t version, own = weir_version_number(weir_version());
	if (!weir_environment_world(&e, &w))
		return;
	*degraded = weir_left_out_list(&e, print_left_out) > 0;
	weir_notices_list(&e, true, print_notice);
	print_other_versions(&w);
	uint32_t pid = weir_handover_agent(&w, &version);
	if (pid == 0 || version == UINT64_MAX || version == own)
		return;
	printf("version: this program is %s, the agent ", weir_version());
	if (version)
		printf("%u.%u.%u\n", (unsigned)(version >> 48), (unsigned)(version >> 32 & 0xffff),
		       (unsigned)(version >> 16 & 0xffff));
	else
		puts("is of an older version");
}

static int run(int argc, char **argv)
{
	int status = weir_no_options(&weir_subcommand_status, argc, argv);
	if (status >= 0)
		return status;
	if (argc - optind > 1)
		return weir_usage_error(&weir_subcommand_status, "unexpected '%s'", argv[optind + 1]);
	const char *base = weir_environment_color(STDOUT_FILENO) ? "/v1/status?color=1" : "/v1/status";
	char *path = optind < argc ? weir_client_path(base, "host", argv[optind]) : strdup(base);
	struct weir_question q = {.method = "GET", .path = path, .accept = "text/plain"};
	struct weir_reply reply;
	if (!path || !weir_client_ask(&q, &reply)) {
		free(path);
		return WEIR_EXIT_NOTHING_KNOWN;
	}
	free(path);
	status = weir_reply_failed("status", &reply);
	if (status == 0) {
		fwrite(reply.body, 1, reply.length, stdout);
		bool degraded = false;
		print_notes(&degraded);
		status = strcmp(reply.health, "ok") == 0        ? WEIR_EXIT_OK
			 : strcmp(reply.health, "unknown") == 0 ? WEIR_EXIT_NOTHING_KNOWN
								: WEIR_EXIT_FAILED;
		if (degraded && status == WEIR_EXIT_OK)
			status = WEIR_EXIT_FAILED;
	} else if (status != WEIR_EXIT_USAGE) {
		status = WEIR_EXIT_NOTHING_KNOWN;
	}
	weir_reply_free(&reply);
	return status;
}

const struct weir_subcommand weir_subcommand_status = {
	.name = "status",
	.synopsis = "status [HOST]",
	.summary = "Shows each host in a line: state, rate, requests in flight and waiting, and why",
	.details = "HOST is host:port, a host (all its ports), or a group's name.\n"
		   "\n"
		   "The exit status is 0 when all is well, 1 when a host is throttled, open or half-open, an alert fires or the\n"
		   "configuration was refused or a file of it left out, and 3 when nothing is known.\n",
	.run = run,
};
