/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/agent/worlds.h"
#include "src/cli/environment.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"
#include "weir/units.h"

static void print_name(const char *name)
{
	for (; *name; name++)
		putchar((unsigned char)*name < 0x20 || (unsigned char)*name >= 0x7f ? '?' : *name);
}

static void print(const struct weir_world_found *f, bool own)
{
	char idle[32];
	printf("%c ", own ? '*' : ' ');
	print_name(f->world.segment);
	printf("\n    %" PRIu64 " KiB, ", f->bytes / 1024);
	if (f->agent)
		printf("agent: pid %" PRIu32 ", ", f->agent);
	else
		fputs("no agent, ", stdout);
	printf("%u process%s", f->processes, f->processes == 1 ? "" : "es");
	if (f->other_version)
		puts(", of another version of weir");
	else if (f->usable)
		printf(", last used %s ago%s\n", weir_print_duration(f->idle_ns, idle, sizeof idle),
		       f->remembers ? ", has something to remember" : "");
	else
		puts(", damaged or from before the last boot");
	for (uint32_t i = 0; i < f->source_count; i++) {
		fputs(i ? ", " : "    configuration: ", stdout);
		print_name(f->source[i]);
	}
	if (f->source_count > 0)
		puts(f->stray ? ", which is gone" : "");
}

/* Lists or removes them; returns how many were removed. */
static unsigned handle(struct weir_world_found *found, size_t count, const struct weir_world *own, bool removing)
{
	unsigned removed = 0;
	for (size_t i = 0; i < count; i++) {
		if (!removing) {
			print(&found[i], strcmp(found[i].world.segment, own->segment) == 0);
		} else if (weir_world_remove(&found[i], 0)) {
			fputs("removed ", stdout);
			print_name(found[i].world.segment);
			putchar('\n');
			removed++;
		}
	}
	free(found);
	return removed;
}

static int list(bool removing)
{
	struct weir_environment e;
	struct weir_world w;
	struct weir_world_found *found, *others;
	if (!weir_environment_world(&e, &w))
		return WEIR_EXIT_FAILED;
	size_t count = weir_worlds_find(w.dir, NULL, &found), other = weir_worlds_of_other_versions(w.dir, &others);
	unsigned removed = handle(found, count, &w, removing) + handle(others, other, &w, removing);
	if (!removing && count + other == 0)
		printf("no world in %s\n", w.dir);
	if (removing && removed == 0)
		puts("nothing to remove: what there is is in use, or has something to remember");
	return WEIR_EXIT_OK;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"remove", no_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	bool removing = false;
	optind = 0;
	opterr = 0;
	for (int o; (o = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
		if (o == 'h')
			return weir_print_help(&weir_subcommand_worlds);
		if (o != 'r')
			return weir_option_error(&weir_subcommand_worlds, o, argv);
		removing = true;
	}
	if (optind < argc)
		return weir_usage_error(&weir_subcommand_worlds, "unexpected '%s'", argv[optind]);
	return list(removing);
}

const struct weir_subcommand weir_subcommand_worlds = {
	.name = "worlds",
	.synopsis = "worlds [--remove]",
	.summary = "Lists the worlds of this runtime directory: state, agent, who uses them, and their configuration",
	.details =
		"Each configuration chain, named configuration (-f, WEIR_CONFIG) and clock has a world of its own; * marks the\n"
		"one that this command would look at.\n"
		"\n"
		"      --remove            remove those without agent and processes that have nothing to remember; the agent\n"
		"                          does so by itself after an hour, or a minute when the configuration is gone\n",
	.run = run,
};
