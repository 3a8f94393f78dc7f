/* SPDX-License-Identifier: MIT */
#include "src/cli/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/cli/client.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"

/* Whether a line is about the agent's process. The collector puts all files together with node_exporter's own page, which has
 * metrics of these names. */
static bool is_of_process(const char *line)
{
	static const char *const before[] = {"process_", "# HELP process_", "# TYPE process_"};
	for (size_t i = 0; i < sizeof before / sizeof *before; i++)
		if (strncmp(line, before[i], strlen(before[i])) == 0)
			return true;
	return false;
}

static void put_lines(const char *text, FILE *out)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		n += text[n] == '\n';
		if (!is_of_process(text))
			fwrite(text, 1, n, out);
		text += n;
	}
}

/* Beside the file, under a name that the collector does not read. What if this process dies here? Then that file stays, and the
 * next one of the same number takes its place. Made anew: in a directory of many that name may lead to somebody's link or pipe.
 */
static int write_beside(const char *beside, const char *text)
{
	int fd = unlink(beside) == 0 || errno == ENOENT ? open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) : -1;
	FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!out) {
		int err = errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	put_lines(text, out);
	int err = fflush(out) != 0 || fchmod(fd, 0644) != 0 ? errno : 0;
	if (fclose(out) != 0 && !err)
		err = errno;
	return err;
}

/* What would be lost where the new file takes its place: a device (/dev/stdout, /dev/null), a pipe, a link. */
static const char *in_the_way(const char *path)
{
	struct stat st;
	if (lstat(path, &st) != 0 || S_ISREG(st.st_mode))
		return NULL;
	return S_ISDIR(st.st_mode) ? "Is a directory" : "not a regular file: a new one would take its place";
}

int weir_textfile_write(const char *path)
{
	const char *why = in_the_way(path);
	if (why) {
		weir_complain(path, "%s", why);
		return WEIR_EXIT_FAILED;
	}
	struct weir_question q = {.method = "GET", .path = "/metrics"};
	struct weir_reply reply;
	char *beside;
	if (!weir_client_ask(&q, &reply))
		return WEIR_EXIT_FAILED;
	int status = weir_reply_failed("stats", &reply);
	if (status == 0 && asprintf(&beside, "%s.%d", path, (int)getpid()) < 0) {
		weir_complain("stats", "out of memory");
		status = WEIR_EXIT_FAILED;
	} else if (status == 0) {
		int err = write_beside(beside, reply.body ? reply.body : "");
		if (!err && rename(beside, path) != 0)
			err = errno;
		if (err) {
			unlink(beside);
			weir_complain(path, "%s", strerror(err));
			status = WEIR_EXIT_FAILED;
		}
		free(beside);
	}
	weir_reply_free(&reply);
	return status;
}
