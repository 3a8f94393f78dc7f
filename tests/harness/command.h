/* Running commands: bare, under weir, or beside it. */
#ifndef HARNESS_COMMAND_H
#define HARNESS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum command_mode {
	COMMAND_BARE,        /* no trace of weir in the environment */
	COMMAND_UNDER_WEIR,  /* libweir.so preloaded, runtime directory dir/runtime */
	COMMAND_BESIDE_WEIR, /* the same runtime directory and configuration, no preload: for weir's own CLI */
};

#define COMMAND_LIMIT_S 30.0

struct command {
	const char *const *argv; /* NULL-terminated, looked up in PATH; or */
	const char *shell;       /* text for sh -c */
	enum command_mode mode;
	const char *dir;        /* the scene's directory; may be NULL for a bare command */
	const char *config;     /* WEIR_CONFIG; NULL = none */
	const char *const *env; /* "NAME=VALUE" sets, "NAME" unsets; NULL-terminated; has the last word */
	const char *cwd;        /* working directory; NULL = the test's */
	const char *input;      /* text on stdin; NULL = /dev/null */
	double limit_s;         /* 0 = COMMAND_LIMIT_S */
};

struct outcome {
	char *out; /* NUL-terminated, the NUL not counted in out_bytes */
	size_t out_bytes;
	char *err;
	size_t err_bytes;
	int exit_status; /* -1 when killed by a signal */
	int signal;      /* 0 when it exited */
	double seconds;  /* from fork to exit */
	/* Somebody still held the command's stdout or stderr one second after it had exited. */
	bool output_held;
};

/* Runs a command to its end. One that takes longer than its limit is killed with its process group,
 * and the test fails. What the command left running in its process group is killed. */
struct outcome command_run(const struct command *c);

struct running;

/* Starts a command in a process group of its own and returns at once. It is killed when the test
 * program dies. A megabyte of output fits before somebody must wait for it. */
struct running *command_start(const struct command *c);
pid_t command_pid(const struct running *r);

/* True when it has exited. */
bool command_has_exited(const struct running *r);

/* Sends a signal to the process alone, or to its whole group. */
void command_signal(const struct running *r, int signal);
void command_signal_group(const struct running *r, int signal);

/* Waits for the end as command_run does, and frees `r`. The limit counts from the start. */
struct outcome command_wait(struct running *r);

void outcome_free(struct outcome *o);

/* Kills what was started and not waited for: for the end of a test. */
void command_kill_all(void);

#endif
