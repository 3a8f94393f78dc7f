/* SPDX-License-Identifier: MIT */
/* The program `weir` and its agent, for the tests of agent, socket and command line. */
#ifndef WEIR_TEST_PROGRAM_H
#define WEIR_TEST_PROGRAM_H

#include "tests/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/harness/environment.h"
#include "weir/gate.h"
#include "weir/segment.h"

#define WEIR_ARGUMENTS 24

/* libweir.so of a sanitized build brings its run-time along, and is not the first in the list then. */
#define SANITIZERS "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0"

struct weir_call_line {
	char *program;
	const char *argv[WEIR_ARGUMENTS + 2];
	struct command command;
};

/* A command "weir ARGS...", beside weir in the scene. The result lives until the next call. */
static inline struct command *weir_line(struct scene *scene, const char *const *arguments)
{
	static struct weir_call_line line;
	static const char *const env[] = {SANITIZERS, NULL};
	size_t n = 0;
	free(line.program);
	memset(&line, 0, sizeof line);
	line.program = build_path("weir");
	line.argv[n++] = line.program;
	for (size_t i = 0; arguments[i] && n < WEIR_ARGUMENTS; i++)
		line.argv[n++] = arguments[i];
	line.command = (struct command){.argv = line.argv, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .env = env};
	return &line.command;
}

#define LINE(scene, ...) weir_line((scene), (const char *const[]){__VA_ARGS__, NULL})
#define WEIR(scene, ...) command_run(LINE((scene), __VA_ARGS__))

/* Runs weir and asserts its exit status; returns stdout, to be freed. */
#define WEIR_EXPECT(scene, status, ...) expect_line(LINE((scene), __VA_ARGS__), (status), __LINE__)

static inline char *expect_line(const struct command *c, int status, int line)
{
	struct outcome o = command_run(c);
	if (o.exit_status != status || o.signal != 0)
		fail_msg("line %d: exit status %d (signal %d) instead of %d\nstdout: %s\nstderr: %s", line, o.exit_status,
			 o.signal, status, o.out, o.err);
	char *out = strdup(o.out);
	outcome_free(&o);
	return out;
}

#define assert_contains(text, part)                                                                                              \
	do {                                                                                                                     \
		if (!strstr((text), (part)))                                                                                     \
			fail_msg("'%s' is not in:\n%s", (part), (text));                                                         \
	} while (0)
#define assert_lacks(text, part)                                                                                                 \
	do {                                                                                                                     \
		if (strstr((text), (part)))                                                                                      \
			fail_msg("'%s' is in:\n%s", (part), (text));                                                             \
	} while (0)

/* Starts an agent by hand and waits until it listens. */
static inline bool socket_answers(void *data)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct scene *scene = data;
	char *path = path_in(scene->runtime, "weir.sock");
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	free(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
	close(fd);
	return good;
}

static inline struct running *agent_start_with(struct scene *scene, const char *idle)
{
	struct running *r = command_start(LINE(scene, "agent", "--idle-exit", idle));
	assert_soon(socket_answers, scene, 10, "the agent listens");
	return r;
}

static inline struct running *agent_start(struct scene *scene)
{
	return agent_start_with(scene, "0");
}

static inline struct weir_segment scene_segment(struct scene *scene)
{
	struct weir_segment s;
	const char *why = NULL;
	int err = 0;
	char *path = path_in(scene->runtime, "state.1");
	if (weir_segment_open(&s, path, false, NULL, &why, &err) != WEIR_SEGMENT_OK)
		fail_msg("%s: %s", path, why);
	free(path);
	return s;
}

/* One finished request in the segment, made by this process. */
static inline void scene_request(const struct weir_segment *s, const char *host, enum weir_outcome outcome)
{
	struct weir_gate g = {.segment = s};
	struct weir_request r;
	struct weir_wish wish = {.host_port = host};
	struct weir_result result = {.outcome = outcome};
	uint64_t wake, now = weir_now_ns();
	weir_owner_self(&g.owner);
	weir_gate_begin(&g, &r, &wish, now, &wake);
	weir_gate_settle(&g, &r, &result, now + 1000000);
}

static inline bool exists(const char *dir, const char *name)
{
	char *path = path_in(dir, name);
	bool there = access(path, F_OK) == 0;
	free(path);
	return there;
}

#endif
