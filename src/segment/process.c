/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "descriptor.h"
#include "weir/kernel.h"
#include "weir/segment.h"

/* Fields of /proc/PID/stat, counted from the one behind the command name: proc(5) numbers them 3, 20 and 22. */
enum { FIELD_STATE = 0, FIELD_THREADS = 17, FIELD_START = 19 };

static void stat_path(char out[32], uint32_t pid)
{
	char digits[10];
	size_t n = 0, at;

	memcpy(out, "/proc/", 6);
	at = 6;
	if (pid == 0) {
		memcpy(out + at, "self", 4);
		at += 4;
	} else {
		for (; pid != 0; pid /= 10)
			digits[n++] = (char)('0' + pid % 10);
		while (n > 0)
			out[at++] = digits[--n];
	}
	memcpy(out + at, "/stat", 6);
}

static uint64_t number(const char **at, const char *end)
{
	uint64_t n = 0;

	for (; *at < end && **at >= '0' && **at <= '9'; (*at)++)
		n = n * 10 + (uint64_t)(**at - '0');
	return n;
}

/* A command name may hold spaces and parentheses, so the fields are counted from the last parenthesis. */
static bool parse(struct weir_process *p, const char *text, size_t length)
{
	const char *end = text + length, *at = text, *behind = memrchr(text, ')', length);

	p->pid = (uint32_t)number(&at, end);
	if (behind == NULL || end - behind < 4)
		return false;
	at = behind + 2;
	p->state = *at;
	for (int field = FIELD_STATE; field < FIELD_START; at++) {
		at = memchr(at, ' ', (size_t)(end - at));
		if (at == NULL)
			return false;
		field++;
		if (field == FIELD_THREADS || field == FIELD_START) {
			const char *value = at + 1;
			uint64_t n = number(&value, end);

			if (field == FIELD_THREADS)
				p->threads = n;
			else
				p->start = n;
		}
	}
	return true;
}

bool weir_process_read(struct weir_process *p, uint32_t pid)
{
	char path[32], text[512]; /* the name has at most 64 bytes, a field 20 digits; start is the 22nd */
	ssize_t n;
	int fd;

	memset(p, 0, sizeof *p);
	if (pid > INT_MAX)
		return false;
	stat_path(path, pid);
	fd = weir_open_high(path, O_RDONLY, 0);
	if (fd < 0)
		return false;
	n = weir_read(fd, text, sizeof text);
	weir_close(fd);
	return n > 0 && parse(p, text, (size_t)n);
}

bool weir_process_gone(uint32_t pid)
{
	return pid == 0 || pid > INT_MAX || (weir_kill((pid_t)pid, 0) != 0 && errno == ESRCH);
}

bool weir_thread_gone(uint32_t pid, uint32_t tid)
{
	return pid > INT_MAX || tid > INT_MAX || (weir_syscall(SYS_tgkill, (pid_t)pid, (pid_t)tid, 0) != 0 && errno == ESRCH);
}

void weir_owner_self(struct weir_owner *o)
{
	struct weir_process p;
	struct stat st;

	o->pid = (uint32_t)weir_getpid();
	o->pid_namespace = weir_stat("/proc/self/ns/pid", &st) == 0 ? (uint32_t)st.st_ino : 0;
	/* A /proc of another pid namespace numbers processes differently; its start times would be somebody else's. */
	o->start = weir_process_read(&p, 0) && p.pid == o->pid ? p.start : 0;
}
