/* A test that is its own host program: it runs itself again, bare or under weir, and is then the stranger's process in which
 * libweir.so must behave. */
#ifndef HOST_PROGRAM_H
#define HOST_PROGRAM_H

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/harness.h"

struct host_part {
	const char *name;
	int (*run)(int argc, char **argv); /* its exit status; argv[0] is the first argument behind the name */
};

/* In main: runs the part that the command line names. Returns its exit status, or -1 when this is the test itself. */
static inline int host_part_run(int argc, char **argv, const struct host_part *parts, size_t count)
{
	if (argc < 3 || strcmp(argv[1], "--part") != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(parts[i].name, argv[2]) == 0)
			return parts[i].run(argc - 3, argv + 3);
	}
	return 99;
}

/* Runs a part in the scene. `a` and `b` may be NULL. */
static inline struct outcome run_part(const struct scene *scene, enum command_mode mode, const char *part, const char *a,
				      const char *b)
{
	static char self[PATH_MAX];
	const char *argv[] = {self, "--part", part, a, a ? b : NULL, NULL};
	struct command c = {.argv = argv, .mode = mode, .dir = scene->dir};
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	assert_true(n > 0);
	self[n] = '\0';
	return command_run(&c);
}

/* Runs it under weir and expects exit status 0; what it printed goes to the test's output when not. */
static inline void expect_part(const struct scene *scene, const char *part, const char *a, const char *b)
{
	struct outcome o = run_part(scene, COMMAND_UNDER_WEIR, part, a, b);

	if (o.exit_status != 0 || o.signal != 0)
		fail_msg("%s: exit %d, signal %d: %s%s", part, o.exit_status, o.signal, o.out, o.err);
	outcome_free(&o);
}

/* In a part: gives up with the line when the condition does not hold. */
#define PART_CHECK(condition)                                                                                                    \
	do {                                                                                                                     \
		if (!(condition)) {                                                                                              \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno);                        \
			return 1;                                                                                                \
		}                                                                                                                \
	} while (0)

#endif
