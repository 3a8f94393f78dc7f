/* SPDX-License-Identifier: MIT */
/*
 * The program `weir`: runs a command itself where everything is as it usually is, and leaves all else to weir-tool, the same
 * program with all its parts.
 *
 * A command under weir is started thousands of times, and to load the libraries that the rest needs (an HTTP client and server,
 * TLS, a parser) takes ten times as long as to do what is to be done. Whatever is out of the ordinary is weir-tool's: an agent
 * that must be started, files that have changed, anything that would have to be said. What it does about these is then as if this
 * program were not there, as nothing has been done before that it would not do.
 */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/agent/handover.h"
#include "src/cli/environment.h"
#include "src/cli/library.h"
#include "src/cli/run.h"
#include "src/cli/subcommand.h"
#include "src/cli/subcommand_names.h"
#include "src/cli/usage.h"
#include "weir/elf.h"
#include "weir/log.h"
#include "weir/segment.h"

#define TOOL "weir-tool"

/* ---- the rest */

/* Says so where there is one that cannot be executed; another place may have one that can. */
static void try_tool(const char *directory, const char *below, char **argv)
{
	char path[WEIR_PATH_MAX];
	if (weir_format(path, sizeof path, "%s/%s", directory, below) >= sizeof path - 1)
		return;
	execv(path, argv);
	if (errno != ENOENT && errno != ENOTDIR)
		weir_complain(path, "%s", strerror(errno));
}

static int leave_to_tool(char **argv)
{
	char self[WEIR_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n > 0 && n < (ssize_t)sizeof self - 1) {
		self[n] = '\0';
		const char *directory = dirname(self);
		try_tool(directory, TOOL, argv);
		try_tool(directory, "../lib/weir/" TOOL, argv);
	}
	try_tool(WEIR_LIBDIR, TOOL, argv);
	weir_complain(TOOL, "none that can be run, neither beside this program, nor in ../lib/weir or %s", WEIR_LIBDIR);
	return WEIR_EXIT_OWN_FAILURE;
}

/* ---- is this a run */

static bool is_subcommand(const char *word)
{
#define NAME(name) #name,
	static const char *const names[] = {WEIR_SUBCOMMANDS(NAME) NULL};
	for (size_t i = 0; names[i]; i++)
		if (strcmp(names[i], word) == 0)
			return true;
	return false;
}

/* `weir run ...`, `weir -r 5/s CMD...`, `weir CMD...`: how many words stand before its options, argv[0] of the subcommand
 * included; 0: it is none. */
static int run_begins(int argc, char **argv)
{
	if (argc < 2)
		return 0;
	if (strcmp(argv[1], "run") == 0)
		return 2;
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "-h") == 0)
		return 0;
	return is_subcommand(argv[1]) ? 0 : 1;
}

/* ---- is everything as usual */

/* Whether the policy was compiled from this file, and not without it. */
static bool counts(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return errno == ENOENT || errno == ENOTDIR;
	return (st.st_uid == 0 || st.st_uid == geteuid()) && (st.st_mode & S_IWOTH) == 0 &&
	       access(path, S_ISDIR(st.st_mode) ? R_OK | X_OK : R_OK) == 0;
}

static bool holds(const struct weir_policy_view *view)
{
	if (!view->rules || !view->half || view->half->rejected || !weir_policy_fresh(view) || weir_run_written_lately(view))
		return false;
	for (uint32_t i = 0; i < view->half->source_count && i < WEIR_SOURCES; i++) {
		char path[WEIR_SOURCE_PATH_MAX];
		memcpy(path, view->half->source[i].path, sizeof path);
		path[sizeof path - 1] = '\0';
		if (path[0] != '\0' && !counts(path))
			return false;
	}
	return true;
}

/* Whether an agent runs, no older than this, and what the configuration asks for is in force. */
static bool is_in_force(struct weir_world *w)
{
	struct weir_environment e;
	struct weir_segment s;
	const char *why;
	uint64_t version;
	int err;
	if (weir_environment_find_world(&e, w) || weir_environment_agent_off() || weir_world_prepare(w, e.uid, &err))
		return false;
	if (weir_handover_agent(w, &version) == 0 || weir_version_newer(weir_version_number(weir_version()), version))
		return false;
	if (weir_segment_open(&s, w->segment, false, NULL, &why, &err) != WEIR_SEGMENT_OK)
		return false;
	struct weir_policy_view view = weir_policy_in_force(&s);
	bool good = holds(&view);
	weir_segment_close(&s);
	return good;
}

static bool is_usual(const struct weir_run_request *r)
{
	return !r->config && !r->summary && !r->verbose;
}

/* `weir CMD` may be a slip of `weir stats`. */
static bool may_be_meant(int begins, char **argv)
{
	struct weir_executable x;
	if (begins == 2 || argv[1][0] == '-')
		return true;
	int fd = weir_executable_find(argv[1], getenv("PATH"), &x);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int main(int argc, char **argv)
{
	char library[WEIR_PATH_MAX];
	struct weir_run_request r;
	struct weir_run_mistake mistake;
	struct weir_world w;
	int begins = run_begins(argc, argv);
	if (begins == 0 || weir_run_options(argc - begins + 1, argv + begins - 1, &r, &mistake) || !is_usual(&r) ||
	    !may_be_meant(begins, argv) || !is_in_force(&w) || weir_library_find(library) || weir_library_preload(library))
		return leave_to_tool(argv);
	weir_complain_in_passing();
	int status = weir_run_set_flags(&r);
	if (status)
		return status;
	/* As weir-tool has it. */
	if (geteuid() != 0)
		setenv("WEIR_RUNTIME_DIR", w.dir, 1);
	weir_run_look_at(r.command[0], library);
	return weir_run_exec(r.command);
}
