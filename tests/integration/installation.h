/* SPDX-License-Identifier: MIT */
/* make in the source tree, for the tests of what it installs. */
#ifndef WEIR_TEST_INSTALLATION_H
#define WEIR_TEST_INSTALLATION_H

#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/environment.h"

/* Runs make in the source tree, unimpressed by a make that runs this test. */
static inline void make(const char *dir, const char *arguments)
{
	static const char *const env[] = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "DESTDIR", "PREFIX", NULL};
	char line[2048];
	struct command c = {.shell = line, .mode = COMMAND_BARE, .dir = dir, .env = env};
	struct outcome o;

	if (access("Makefile", R_OK) != 0) {
		print_message("    skipped: not run in the source tree\n");
		skip();
	}
	snprintf(line, sizeof line, "make %s", arguments);
	o = command_run(&c);
	if (o.exit_status != 0)
		fail_msg("%s: exit status %d: %s%s", line, o.exit_status, o.out, o.err);
	outcome_free(&o);
}

/* With what is built already (-o all): this build's flags are not known here. */
static inline void install_or_uninstall(const char *dir, const char *root, const char *prefix, const char *target)
{
	char arguments[1024], *build = build_path(".");

	snprintf(arguments, sizeof arguments, "-s -o all BUILD='%s' DESTDIR='%s' PREFIX='%s' %s", build, root, prefix, target);
	make(dir, arguments);
	free(build);
}

#endif
