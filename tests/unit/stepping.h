/* SPDX-License-Identifier: MIT */
/*
 * A process may be killed between any two instructions. Here it is: a child runs one instruction at a time (ptrace), and whenever
 * the shared memory has changed, that is at every boundary between two stores, the test is asked what the survivors would find
 * after a SIGKILL right there.
 */
#ifndef WEIR_TESTS_STEPPING_H
#define WEIR_TESTS_STEPPING_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define STEPS_MAX 3000000L

struct stepped {
	void (*run)(void); /* in the child */
	void *memory;      /* shared with it */
	size_t bytes;
	/* Asked at every boundary; false: the child goes the rest of its way by itself. NULL: nothing is asked. */
	bool (*at_store)(pid_t child, long stores);
};

static inline pid_t stepped_start(void (*run)(void))
{
	pid_t child = fork();
	int status;

	assert_int_not_equal(child, -1);
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSTOPPED(status));
	return child;
}

static inline void stepped_end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* Returns how many boundaries there were. */
static inline long at_every_store(const struct stepped *s)
{
	uint8_t *before = malloc(s->bytes);
	long steps = 0, stores = 0;
	pid_t child = stepped_start(s->run);
	int status;

	assert_non_null(before);
	memcpy(before, s->memory, s->bytes);
	for (;; steps++) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		waitpid(child, &status, 0);
		if (WIFEXITED(status))
			break;
		assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
		if (steps >= STEPS_MAX) {
			stepped_end(child);
			fail_msg("the child does not end");
		}
		if (memcmp(before, s->memory, s->bytes) == 0)
			continue;
		memcpy(before, s->memory, s->bytes);
		stores++;
		if (s->at_store != NULL && !s->at_store(child, stores)) {
			assert_int_equal(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
			waitpid(child, &status, 0);
			break;
		}
	}
	free(before);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return stores;
}

#endif
