/* SPDX-License-Identifier: MIT */
#include "src/agent/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/log.h"

static struct flock whole_file(void)
{
	struct flock l;
	memset(&l, 0, sizeof l);
	l.l_type = F_WRLCK;
	l.l_whence = SEEK_SET;
	return l;
}

static uint32_t holder(int fd)
{
	struct flock l = whole_file();
	if (fcntl(fd, F_GETLK, &l) != 0 || l.l_type == F_UNLCK || l.l_pid <= 0)
		return 0;
	return (uint32_t)l.l_pid;
}

/* The lock belongs to all versions of weir, whatever segment they have. What cannot be written is not known. */
static void tell_version(int lock)
{
	char text[40];
	size_t n = weir_format(text, sizeof text, "%s\n", weir_version());
	if (ftruncate(lock, 0) != 0 || pwrite(lock, text, n, 0) != (ssize_t)n)
		weir_log(WEIR_LOG_DEBUG, "agent: its version cannot be noted down");
}

const char *weir_instance_take(struct weir_instance *i, const struct weir_world *w, uint32_t *other, int *err)
{
	i->lock = -1;
	*other = 0;
	*err = 0;
	int fd = open(w->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		*err = errno;
		return "the lock file cannot be opened";
	}
	struct stat st;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
		close(fd);
		return "the lock file is not a regular file of this user";
	}
	struct flock l = whole_file();
	struct stat named;
	if (fcntl(fd, F_SETLK, &l) == 0) {
		/* The world may have been removed in between, and the lock is that of a file without a name. */
		if (lstat(w->lock, &named) == 0 && named.st_ino == st.st_ino && named.st_dev == st.st_dev) {
			i->lock = fd;
			tell_version(fd);
			return NULL;
		}
		close(fd);
		*err = EAGAIN;
		return "the lock file was removed";
	}
	*err = errno;
	if (*err == EAGAIN || *err == EACCES) {
		*err = 0;
		*other = holder(fd);
	}
	close(fd);
	return *err ? "the lock file cannot be locked" : "another agent is running";
}

int weir_instance_write_pid(const struct weir_world *w, uint32_t pid)
{
	char text[16];
	size_t n = weir_format(text, sizeof text, "%u\n", pid);
	/* O_EXCL after unlink: what stands there, a link perhaps, is never written through. */
	unlink(w->pid);
	int fd = open(w->pid, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno;
	int err = write(fd, text, n) == (ssize_t)n ? 0 : EIO;
	close(fd);
	return err;
}

void weir_instance_release(struct weir_instance *i, const struct weir_world *w)
{
	if (i->lock < 0)
		return;
	unlink(w->pid);
	close(i->lock);
	i->lock = -1;
}

uint32_t weir_instance_pid(const struct weir_world *w)
{
	int fd = open(w->lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return 0;
	uint32_t pid = holder(fd);
	close(fd);
	return pid;
}

bool weir_instance_version(const struct weir_world *w, uint64_t *version)
{
	char text[40];
	int fd = open(w->lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd >= 0 ? pread(fd, text, sizeof text, 0) : -1;
	const char *end = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;
	if (fd >= 0)
		close(fd);
	if (!end || end == text)
		return false;
	text[end - text] = '\0';
	*version = weir_version_number(text);
	return true;
}
