/* SPDX-License-Identifier: MIT */
/*
 * Starting the agent out of a process that must not notice. This binary is both: run as `weir agent` it is the program that is
 * started, and reports what it finds itself with through a FIFO.
 */
#include "weir/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cmocka.h>

#define REPORT_TIMEOUT_MS 30000

/* ---- the agent's side
 * ----------------------------------------------------------------------------------------------------------- */

static void report_descriptors(FILE *out)
{
	DIR *all = opendir("/proc/self/fd");
	struct dirent *entry;

	fprintf(out, "fds");
	while (all && (entry = readdir(all))) {
		char link[300], target[300];
		ssize_t length;

		if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(all) || atoi(entry->d_name) == fileno(out))
			continue;
		snprintf(link, sizeof link, "/proc/self/fd/%s", entry->d_name);
		length = readlink(link, target, sizeof target - 1);
		target[length > 0 ? length : 0] = '\0';
		fprintf(out, " %s=%s", entry->d_name, target);
	}
	fprintf(out, "\n");
	if (all)
		closedir(all);
}

static void report_signals(FILE *out)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");

	while (status && fgets(line, sizeof line, status)) {
		if (strncmp(line, "SigBlk:", 7) == 0 || strncmp(line, "SigIgn:", 7) == 0)
			fprintf(out, "%.6s %s", line, line + 8);
	}
	if (status)
		fclose(status);
}

static int report(int argc, char **argv)
{
	const char *fifo = getenv("REPORT");
	char here[256];
	FILE *out = fifo ? fopen(fifo, "w") : NULL;

	if (!out)
		return 1;
	fprintf(out, "argv");
	for (int i = 0; i < argc; i++)
		fprintf(out, " %s", argv[i]);
	fprintf(out, "\ncwd %s\n", getcwd(here, sizeof here));
	fprintf(out, "session %s\n", getsid(0) == getpid() ? "leader" : "member");
	fprintf(out, "sid %d\nppid %d\numask %03o\n", (int)getsid(0), (int)getppid(), (unsigned)umask(077));
	report_descriptors(out);
	report_signals(out);
	for (char **entry = environ; *entry; entry++)
		fprintf(out, "env %s\n", *entry);
	fprintf(out, "end\n");
	fclose(out);
	return 0;
}

/* ---- the host's side
 * ------------------------------------------------------------------------------------------------------------ */

static char directory[64];
static char fifo[96];
static char report_variable[128];
static char self[256];
static char text[65536]; /* the last report */

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/weir-test-spawn-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(fifo, sizeof fifo, "%s/report", directory);
	snprintf(report_variable, sizeof report_variable, "REPORT=%s", fifo);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	unlink(fifo);
	return rmdir(directory);
}

/* Reads a report from a FIFO that was opened before the agent was started; up to its end, so that the next one finds no writer.
 */
static void read_report(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	size_t used = 0;
	ssize_t n;

	do {
		if (poll(&ready, 1, REPORT_TIMEOUT_MS) != 1)
			break;
		n = read(fd, text + used, sizeof text - 1 - used);
		used += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	text[used] = '\0';
	if (!strstr(text, "\nend\n"))
		fail_msg("no report from the agent: %s", text);
}

/* Starts the agent with this environment (REPORT is added) and reads its report. */
static void spawn_and_read(const char *const *environment)
{
	char *envp[16] = {report_variable};
	int fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	assert_true(fd >= 0);
	for (size_t i = 0; environment && environment[i]; i++)
		memcpy(&envp[i + 1], &environment[i], sizeof envp[0]);
	assert_int_equal(weir_agent_spawn(self, envp), 0);
	read_report(fd);
	close(fd);
}

static void assert_reported(const char *line)
{
	char wanted[700];

	snprintf(wanted, sizeof wanted, "\n%s\n", line);
	if (!strstr(text, wanted) && strncmp(text, wanted + 1, strlen(wanted) - 1) != 0)
		fail_msg("missing: %s\nin:\n%s", line, text);
}

static void assert_not_reported(const char *part)
{
	if (strstr(text, part))
		fail_msg("unexpected: %s\nin:\n%s", part, text);
}

static int descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void the_agent_starts_with_a_clean_slate(void **state)
{
	static const char *const environment[] = {
		"A=1", "LD_PRELOAD=", "LD_AUDIT=", "WEIR_RUN=r", "WEIR_SUMMARY=s", "WEIR_RUNTIME_DIR=/x", NULL};

	(void)state;
	spawn_and_read(environment);
	assert_reported("argv weir agent --spawned");
	assert_reported("cwd /");
	assert_reported("session member"); /* so that it can never get a controlling terminal */
	assert_reported("umask 077");
	assert_reported("fds 0=/dev/null 1=/dev/null 2=/dev/null");
	assert_reported("env A=1");
	assert_reported("env WEIR_RUNTIME_DIR=/x");
	assert_not_reported("env LD_");
	assert_not_reported("env WEIR_RUN=");
	assert_not_reported("env WEIR_SUMMARY=");
}

static void the_agent_is_nobodys_child_of_ours_and_in_no_session_of_ours(void **state)
{
	char mine[64];

	(void)state;
	spawn_and_read(NULL);
	snprintf(mine, sizeof mine, "ppid %d", (int)getpid());
	assert_not_reported(mine);
	snprintf(mine, sizeof mine, "sid %d\n", (int)getsid(0));
	assert_not_reported(mine);
}

static void the_hosts_descriptors_do_not_reach_the_agent(void **state)
{
	int null = open("/dev/null", O_RDONLY), before;

	(void)state;
	assert_int_equal(dup2(null, 900), 900);
	before = descriptors();
	spawn_and_read(NULL);
	assert_reported("fds 0=/dev/null 1=/dev/null 2=/dev/null");
	assert_int_equal(descriptors(), before);
	close(900);
	close(null);
}

static void the_hosts_signal_settings_do_not_reach_the_agent_and_stay(void **state)
{
	sigset_t usr1, before, after;

	(void)state;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigaddset(&usr1, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &usr1, &before);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	spawn_and_read(NULL);
	assert_reported("SigBlk 0000000000000000");
	assert_reported("SigIgn 0000000000000000");
	pthread_sigmask(SIG_SETMASK, &before, &after);
	assert_true(sigismember(&after, SIGUSR1) && sigismember(&after, SIGTERM));
	assert_false(sigismember(&after, SIGUSR2));
	assert_ptr_equal(signal(SIGHUP, SIG_DFL), SIG_IGN);
	assert_ptr_equal(signal(SIGPIPE, SIG_DFL), SIG_IGN);
}

static void relative_paths_reach_the_agent_as_absolute_ones(void **state)
{
	static const char *const environment[] = {"WEIR_CONFIG=./my.conf", "WEIR_LOG=debug:sub/log", NULL};
	static const char *const absolute[] = {"WEIR_CONFIG=/my.conf", "WEIR_LOG=debug:/log", NULL};
	static const char *const without[] = {"WEIR_CONFIG=", "WEIR_LOG=debug", NULL};
	char line[256];
	int here = open(".", O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(chdir(directory), 0);
	spawn_and_read(environment);
	assert_int_equal(fchdir(here), 0);
	close(here);
	snprintf(line, sizeof line, "env WEIR_CONFIG=%s/my.conf", directory);
	assert_reported(line);
	snprintf(line, sizeof line, "env WEIR_LOG=debug:%s/sub/log", directory);
	assert_reported(line);
	spawn_and_read(absolute);
	assert_reported("env WEIR_CONFIG=/my.conf");
	assert_reported("env WEIR_LOG=debug:/log");
	spawn_and_read(without);
	assert_reported("env WEIR_CONFIG=");
	assert_reported("env WEIR_LOG=debug");
}

static void a_program_that_is_not_there_is_reported_and_costs_no_fork(void **state)
{
	char *envp[] = {NULL};

	(void)state;
	errno = ENOTTY;
	assert_int_equal(weir_agent_spawn("/nonexistent/weir", envp), ENOENT);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(waitpid(-1, NULL, __WALL | WNOHANG), -1);
}

/* clearenv() sets environ to NULL. */
static void a_host_without_an_environment_starts_it_with_an_empty_one(void **state)
{
	char path[128];
	FILE *script;
	int fd;

	(void)state;
	snprintf(path, sizeof path, "%s/script", directory);
	script = fopen(path, "we");
	assert_non_null(script);
	fprintf(script, "#!/bin/sh\n/usr/bin/env | /bin/grep -c WEIR >%s\n", fifo);
	assert_int_equal(fclose(script), 0);
	assert_int_equal(chmod(path, 0700), 0);
	fd = open(fifo, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(weir_agent_spawn(path, NULL), 0);
	assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, REPORT_TIMEOUT_MS), 1);
	assert_int_equal(read(fd, text, sizeof text), 2);
	assert_memory_equal(text, "0\n", 2);
	close(fd);
	unlink(path);
}

static void a_program_that_cannot_be_executed_leaves_nothing(void **state)
{
	char *envp[] = {NULL};
	char path[128];
	int fd;

	(void)state;
	snprintf(path, sizeof path, "%s/junk", directory);
	fd = open(path, O_WRONLY | O_CREAT, 0700);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "\177ELFjunk", 8), 8);
	close(fd);
	errno = ENOTTY;
	assert_int_equal(weir_agent_spawn(path, envp), 0);
	assert_int_equal(errno, ENOTTY);
	errno = 0;
	assert_int_equal(waitpid(-1, NULL, __WALL | WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	unlink(path);
}

/* ---- a host with threads that wait for children and are sent signals
 * ------------------------------------------------------------ */

static _Atomic bool done;
static _Atomic int children_seen, child_signals, threads_seen_in_handler;
static pid_t host;

static void on_child(int number)
{
	(void)number;
	atomic_fetch_add(&child_signals, 1);
}

static void on_usr1(int number)
{
	(void)number;
	if (syscall(SYS_getpid) != host)
		atomic_fetch_add(&threads_seen_in_handler,
				 1); /* a handler of ours in a child: it would be lost, but kill loudly */
}

static void *wait_and_allocate(void *unused)
{
	const struct timespec pause = {0, 300000};

	while (!atomic_load(&done)) {
		void *memory = malloc(100000);

		if (waitpid(-1, NULL, WNOHANG) > 0)
			atomic_fetch_add(&children_seen, 1);
		pthread_kill(pthread_self(), SIGUSR1);
		free(memory);
		nanosleep(&pause, NULL);
	}
	return unused;
}

static void a_busy_host_with_threads_never_sees_a_child(void **state)
{
	struct sigaction child = {.sa_handler = on_child}, usr1 = {.sa_handler = on_usr1};
	pthread_t thread[4];
	int before = descriptors();

	(void)state;
	host = getpid();
	atomic_store(&done, false);
	sigaction(SIGCHLD, &child, NULL);
	sigaction(SIGUSR1, &usr1, NULL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, wait_and_allocate, NULL), 0);
	for (int i = 0; i < 25; i++)
		spawn_and_read(NULL);
	atomic_store(&done, true);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(atomic_load(&children_seen), 0);
	assert_int_equal(atomic_load(&child_signals), 0);
	assert_int_equal(atomic_load(&threads_seen_in_handler), 0);
	assert_int_equal(descriptors(), before);
	errno = 0;
	assert_int_equal(waitpid(-1, NULL, __WALL | WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
}

static void a_hosts_own_child_is_left_to_the_host(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(23);
	spawn_and_read(NULL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 23);
}

/* ---- hosts in a tight spot: each in a child of its own, which exits with the errno
 * ---------------------------------------------- */

static int status_of(pid_t child)
{
	int status = 0;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_host_that_adopts_orphans_gets_no_agent(void **state)
{
	char *envp[] = {NULL};
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
		_exit(weir_agent_spawn(self, envp));
	}
	assert_int_equal(status_of(child), EBUSY);
}

static void a_user_who_may_start_no_more_processes_gets_eagain(void **state)
{
	char *envp[] = {NULL};
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		const struct rlimit none = {0, 0};

		/* Root is exempt from the limit: become somebody else. */
		if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
			_exit(EAGAIN);
		setrlimit(RLIMIT_NPROC, &none);
		_exit(weir_agent_spawn("/bin/true", envp));
	}
	assert_int_equal(status_of(child), EAGAIN);
}

static void descriptors_are_closed_one_by_one_where_close_range_is_missing(void **state)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = {sizeof code / sizeof code[0], code};
	char *envp[] = {report_variable, NULL};
	int fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC), status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		const struct rlimit some = {1024, 1024};

		setrlimit(RLIMIT_NOFILE, &some);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0)
			_exit(77);
		dup2(0, 900);
		_exit(weir_agent_spawn(self, envp));
	}
	status = status_of(child);
	if (status == 77) {
		close(fd);
		skip();
	}
	assert_int_equal(status, 0);
	read_report(fd);
	close(fd);
	assert_reported("fds 0=/dev/null 1=/dev/null 2=/dev/null");
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(the_agent_starts_with_a_clean_slate),
		IN_DIRECTORY(the_agent_is_nobodys_child_of_ours_and_in_no_session_of_ours),
		IN_DIRECTORY(the_hosts_descriptors_do_not_reach_the_agent),
		IN_DIRECTORY(the_hosts_signal_settings_do_not_reach_the_agent_and_stay),
		IN_DIRECTORY(relative_paths_reach_the_agent_as_absolute_ones),
		cmocka_unit_test(a_program_that_is_not_there_is_reported_and_costs_no_fork),
		IN_DIRECTORY(a_host_without_an_environment_starts_it_with_an_empty_one),
		IN_DIRECTORY(a_program_that_cannot_be_executed_leaves_nothing),
		IN_DIRECTORY(a_busy_host_with_threads_never_sees_a_child),
		IN_DIRECTORY(a_hosts_own_child_is_left_to_the_host),
		cmocka_unit_test(a_host_that_adopts_orphans_gets_no_agent),
		cmocka_unit_test(a_user_who_may_start_no_more_processes_gets_eagain),
		IN_DIRECTORY(descriptors_are_closed_one_by_one_where_close_range_is_missing),
	};

	if (argc > 0 && strcmp(argv[0], "weir") == 0)
		return report(argc, argv);
	if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
