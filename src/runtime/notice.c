/* SPDX-License-Identifier: MIT */
/*
 * What an operator must hear of and a program must not: that limits are not in force. A line a day and cause, in a file of the
 * user's, never on the program's own descriptors. The file is small: when it is full it is begun anew.
 */
#include "weir/kernel.h"
#include "weir/runtime.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "weir/log.h"

#include "src/runtime/path.h"

#define LINE_MAX_BYTES 400
#define FILE_MAX_BYTES 32768

bool weir_notice_file(const struct weir_environment *e, unsigned which, char out[WEIR_PATH_MAX])
{
	if (which == 0) {
		if (!weir_state_path(e, out) || strlen(out) + sizeof "/notices" > WEIR_PATH_MAX)
			return false;
		memcpy(out + strlen(out), "/notices", sizeof "/notices");
		return true;
	}
	/* Where the home cannot be written (ProtectSystem=strict, ProtectHome): memory that services share with the machine. */
	weir_format(out, WEIR_PATH_MAX, "/dev/shm/weir-%u.notices", (unsigned)e->uid);
	return which == 1;
}

/* Days since 1970 to a date, proleptic Gregorian: http://howardhinnant.github.io/date_algorithms.html#civil_from_days */
static void put_date(char out[16], long long seconds)
{
	unsigned long long z = (unsigned long long)(seconds / 86400) + 719468, era = z / 146097, day = z - era * 146097;
	unsigned long long year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	unsigned long long of_year = day - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;

	weir_format(out, 16, "%04llu-%02llu-%02llu", year + era * 400 + (month >= 10), month < 10 ? month + 3 : month - 9,
		    of_year - (153 * month + 2) / 5 + 1);
}

/* The state directory and the one that it lies in; deeper ones are made by whoever owns the home. */
static void make_directories(char *file)
{
	char *last = strrchr(file, '/'), *above, *top;

	*last = '\0';
	above = strrchr(file, '/');
	*above = '\0';
	top = strrchr(file, '/');
	if (top && top != file) {
		*top = '\0';
		weir_mkdir(file, 0700);
		*top = '/';
	}
	weir_mkdir(file, 0700);
	*above = '/';
	weir_mkdir(file, 0700);
	*last = '/';
}

static int open_file(char *path, unsigned which)
{
	const int flags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	int fd = weir_open(path, flags, 0600);

	if (fd < 0 && errno == ENOENT && which == 0) {
		make_directories(path);
		fd = weir_open(path, flags, 0600);
	}
	return fd;
}

/* Whether the line stands in the file. */
static bool has_line(int fd, const char *line, size_t length)
{
	char block[256];
	size_t matched = 0;
	bool in_line = true; /* all of this line so far */
	long got, all = 0;

	while (all < 2L * FILE_MAX_BYTES && (got = weir_read(fd, block, sizeof block)) > 0) {
		all += got;
		for (long i = 0; i < got; i++) {
			in_line = in_line && matched < length && block[i] == line[matched];
			matched++;
			if (in_line && matched == length)
				return true;
			if (block[i] == '\n') {
				in_line = true;
				matched = 0;
			}
		}
	}
	return false;
}

static bool may_grow(int fd)
{
	struct rlimit limit;
	struct stat st;

	/* What grows beyond RLIMIT_FSIZE does not only fail, it sends a signal. */
	if (weir_syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur < 2 * FILE_MAX_BYTES)
		return false;
	if (weir_fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != weir_geteuid())
		return false;
	return st.st_size <= FILE_MAX_BYTES || weir_syscall(SYS_ftruncate, fd, 0) == 0;
}

static __attribute__((noinline)) bool write_to(const struct weir_environment *e, unsigned which, const char *line, size_t length)
{
	char path[WEIR_PATH_MAX];
	bool there;
	int fd;

	if (!weir_notice_file(e, which, path))
		return false;
	fd = open_file(path, which);
	if (fd < 0)
		return false;
	there = may_grow(fd) && (has_line(fd, line, length) || weir_syscall(SYS_write, fd, line, length) == (long)length);
	weir_close(fd);
	return there;
}

void weir_notice(const struct weir_environment *e, const char *what, const char *why, int err)
{
	char line[LINE_MAX_BYTES], date[16], number[24] = "";
	struct timespec wall = {0, 0};
	int saved = errno;
	size_t length;

	weir_syscall(SYS_clock_gettime, CLOCK_REALTIME, &wall);
	put_date(date, wall.tv_sec);
	if (err != 0)
		weir_format(number, sizeof number, " (errno %d)", err);
	length = weir_format(line, sizeof line - 1, "%s %.240s: %s%s", date, what, why, number);
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)line[i] < 0x20 || (unsigned char)line[i] == 0x7f)
			line[i] = '?';
	}
	line[length++] = '\n';
	if (!write_to(e, 0, line, length))
		write_to(e, 1, line, length);
	errno = saved;
}

/* The field after `at`, or its end. */
static const char *next_field(const char *at)
{
	at = strchr(at, ' ');
	return at ? at + 1 : "";
}

/* Of the mounts so far. */
struct place {
	size_t deepest; /* length of the mount point that `dir` lies below */
	bool on_tmp;    /* which is /tmp or /var/tmp */
	bool by_systemd;
	bool received;        /* it comes from the namespace that this one was made from */
	bool others_received; /* so does the root */
};

/* "ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS TAG... - ...", cut: the parts are short enough to be looked for in a line's
 * beginning. proc(5), mount_namespaces(7): master:N marks a mount that receives from another namespace. */
static void look_at_mount(struct place *p, const char *dir, const char *line)
{
	const char *root = next_field(next_field(next_field(line))), *point = next_field(root);
	const char *sign = strstr(root, "/systemd-private-"), *master = strstr(point, " master:");
	size_t length = strcspn(point, " ");

	if (point[0] != '/')
		return;
	if (length == 1) {
		length = 0;
		p->others_received = master != NULL;
	}
	/* The last of the deepest counts. */
	if (length < p->deepest || strncmp(dir, point, length) != 0 || (dir[length] != '/' && dir[length] != '\0'))
		return;
	p->deepest = length;
	p->on_tmp = strncmp(point, "/tmp ", 5) == 0 || strncmp(point, "/var/tmp ", 9) == 0;
	p->by_systemd = sign && sign < point;
	p->received = master != NULL;
}

__attribute__((noinline)) bool weir_place_is_private(const char *dir)
{
	struct place p = {0};
	char block[256], line[320];
	size_t length = 0;
	long got, all = 0;
	int fd = weir_open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC, 0);

	while (fd >= 0 && all < 1 << 20 && (got = weir_read(fd, block, sizeof block)) > 0) {
		all += got;
		for (long i = 0; i < got; i++) {
			if (block[i] != '\n') {
				if (length < sizeof line - 1)
					line[length++] = block[i];
				continue;
			}
			line[length] = '\0';
			length = 0;
			look_at_mount(&p, dir, line);
		}
	}
	if (fd >= 0)
		weir_close(fd);
	/* The second: what was put on /tmp within this namespace (PrivateTmp=disconnected, TemporaryFileSystem=/tmp). */
	return p.by_systemd || (p.on_tmp && !p.received && p.others_received);
}
