#include "tests/harness/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/environment.h"
#include "tests/harness/failure.h"
#include "tests/harness/wait.h"

#define PIPE_BYTES       (1 << 20)
#define DRAIN_LIMIT_S    1.0
#define SHOWN_BYTES      2000
#define EXIT_NOT_STARTED 127

/* One stream of output. */
struct stream {
	int fd; /* -1 at the end of file */
	char *text;
	size_t bytes;
	size_t capacity;
};

struct running {
	struct running *next; /* in the list of those that were not waited for */
	pid_t pid;
	int pid_fd;
	struct stream out;
	struct stream err;
	double started_s;
	double limit_s;
	char *name;
};

static struct running *all;

static int input_fd(const char *text)
{
	int fd = text == NULL ? open("/dev/null", O_RDONLY | O_CLOEXEC) : memfd_create("stdin", MFD_CLOEXEC);

	if (fd < 0)
		harness_fail("cannot open stdin: %s", strerror(errno));
	if (text != NULL && (write(fd, text, strlen(text)) != (ssize_t)strlen(text) || lseek(fd, 0, SEEK_SET) != 0))
		harness_fail("cannot write stdin: %s", strerror(errno));
	return fd;
}

static void open_stream(struct stream *s, int *write_end)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		harness_fail("pipe: %s", strerror(errno));
	fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*s = (struct stream){.fd = ends[0]};
	*write_end = ends[1];
}

static void close_stream(struct stream *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* Takes what is there; closes the stream at its end. */
static void read_stream(struct stream *s)
{
	while (s->fd >= 0) {
		ssize_t got;

		if (s->capacity - s->bytes < 2) {
			size_t capacity = s->capacity == 0 ? 65536 : s->capacity * 2;
			char *grown = realloc(s->text, capacity);

			if (grown == NULL)
				harness_fail("no memory");
			s->text = grown;
			s->capacity = capacity;
		}
		got = read(s->fd, s->text + s->bytes, s->capacity - s->bytes - 1);
		if (got > 0)
			s->bytes += (size_t)got;
		else if (got == 0)
			close_stream(s);
		else if (errno != EINTR)
			return;
	}
}

/* In the child. */
__attribute__((noreturn)) static void become(const struct command *c, const char *const *argv, char **environment, pid_t parent,
					     int in, int out, int err)
{
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_NOT_STARTED);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(err, 2) >= 0 && (c->cwd == NULL || chdir(c->cwd) == 0))
		execvpe(argv[0], (char *const *)(uintptr_t)argv, environment);
	dprintf(2, "cannot start %s: %s\n", argv[0], strerror(errno));
	_exit(EXIT_NOT_STARTED);
}

struct running *command_start(const struct command *c)
{
	const char *const shell[] = {"sh", "-c", c->shell, NULL};
	const char *const *argv = c->argv != NULL ? c->argv : shell;
	char **environment = environment_for(c);
	struct running *r = calloc(1, sizeof *r);
	pid_t parent = getpid();
	int in = input_fd(c->input);
	int out;
	int err;

	if (r == NULL)
		harness_fail("no memory");
	open_stream(&r->out, &out);
	open_stream(&r->err, &err);
	r->limit_s = c->limit_s > 0 ? c->limit_s : COMMAND_LIMIT_S;
	r->name = strdup(c->argv != NULL ? c->argv[0] : c->shell);
	r->started_s = monotonic_s();
	r->pid = fork();
	if (r->pid < 0)
		harness_fail("fork: %s", strerror(errno));
	if (r->pid == 0)
		become(c, argv, environment, parent, in, out, err);
	setpgid(r->pid, r->pid); /* here too: whoever comes first. EACCES: it has done so, and exec'ed */
	r->pid_fd = (int)syscall(SYS_pidfd_open, r->pid, 0);
	if (r->pid_fd < 0)
		harness_fail("pidfd_open: %s", strerror(errno));
	close(in);
	close(out);
	close(err);
	environment_free(environment);
	r->next = all;
	all = r;
	return r;
}

pid_t command_pid(const struct running *r)
{
	return r->pid;
}

bool command_has_exited(const struct running *r)
{
	struct pollfd poller = {.fd = r->pid_fd, .events = POLLIN};

	return poll(&poller, 1, 0) > 0;
}

void command_signal(const struct running *r, int signal)
{
	kill(r->pid, signal);
}

void command_signal_group(const struct running *r, int signal)
{
	kill(-r->pid, signal);
}

/* Reads output until the process has exited and its output has ended. Returns when it had exited, or 0
 * if it had not by its limit. */
static double follow(struct running *r, bool *output_held)
{
	double exited_s = 0;
	double end_s = r->started_s + r->limit_s;

	while (exited_s == 0 || r->out.fd >= 0 || r->err.fd >= 0) {
		struct pollfd pollers[] = {
			{.fd = exited_s == 0 ? r->pid_fd : -1, .events = POLLIN},
			{.fd = r->out.fd, .events = POLLIN},
			{.fd = r->err.fd, .events = POLLIN},
		};
		double left_s = end_s - monotonic_s();

		if (left_s <= 0) {
			*output_held = exited_s != 0;
			break;
		}
		poll(pollers, 3, (int)(left_s * 1000) + 1);
		if (pollers[0].revents != 0) {
			exited_s = monotonic_s();
			end_s = exited_s + DRAIN_LIMIT_S;
		}
		read_stream(&r->out);
		read_stream(&r->err);
	}
	return exited_s;
}

static void unlist(const struct running *r)
{
	struct running **link = &all;

	while (*link != r)
		link = &(*link)->next;
	*link = r->next;
}

/* Kills what is left of the group, while the zombie still keeps its number from being another's. */
static int reap(struct running *r)
{
	int status = 0;

	kill(-r->pid, SIGKILL);
	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR) {
	}
	close(r->pid_fd);
	unlist(r);
	return status;
}

static char *take_text(struct stream *s, size_t *bytes)
{
	char *text = s->text != NULL ? s->text : calloc(1, 1);

	close_stream(s);
	if (text == NULL)
		harness_fail("no memory");
	text[s->bytes] = '\0';
	*bytes = s->bytes;
	s->text = NULL;
	return text;
}

struct outcome command_wait(struct running *r)
{
	struct outcome o = {.exit_status = -1};
	double exited_s = follow(r, &o.output_held);
	double started_s = r->started_s;
	double limit_s = r->limit_s;
	char *name = r->name;
	int status = reap(r);

	o.out = take_text(&r->out, &o.out_bytes);
	o.err = take_text(&r->err, &o.err_bytes);
	free(r);
	if (exited_s == 0)
		harness_fail("%s: killed after %g s; stdout:\n%.*s\nstderr:\n%.*s", name, limit_s, SHOWN_BYTES, o.out,
			     SHOWN_BYTES, o.err);
	free(name);
	o.seconds = exited_s - started_s;
	if (WIFEXITED(status))
		o.exit_status = WEXITSTATUS(status);
	else
		o.signal = WTERMSIG(status);
	return o;
}

struct outcome command_run(const struct command *c)
{
	return command_wait(command_start(c));
}

void outcome_free(struct outcome *o)
{
	free(o->out);
	free(o->err);
	o->out = NULL;
	o->err = NULL;
}

void command_kill_all(void)
{
	while (all != NULL) {
		struct running *r = all;

		reap(r);
		close_stream(&r->out);
		close_stream(&r->err);
		free(r->out.text);
		free(r->err.text);
		free(r->name);
		free(r);
	}
}
