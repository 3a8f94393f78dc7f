/* SPDX-License-Identifier: MIT */
/*
 * The log: level, destination, and one line per call.
 *
 * No descriptor is kept: a file is opened, written and closed for each line. That is slow, and a log is for looking into things.
 */
#include "weir/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "src/log/format.h"
#include "src/log/write.h"
#include "weir/kernel.h"

#define LINE_MAX_BYTES 600 /* a longer line is cut */
#define PATH_MAX_BYTES 512

static const char *const names[] = {"off", "error", "warn", "info", "debug"};

static _Atomic int threshold;            /* enum weir_log_level; written last */
static char destination[PATH_MAX_BYTES]; /* empty: standard error */

static bool same_word(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && memcmp(text, word, length) == 0;
}

/* Copies the path; a relative one is taken from the working directory of now, as the host may leave it later. */
static const char *set_destination(const char *path)
{
	size_t prefix = 0;

	if (path[0] != '/') {
		if (!weir_getcwd(destination, sizeof destination))
			return "the working directory of a relative log file cannot be found";
		prefix = strlen(destination);
		destination[prefix++] = '/';
	}
	if (prefix + strlen(path) >= sizeof destination) {
		destination[0] = '\0';
		return "the log file's name is too long";
	}
	memcpy(destination + prefix, path, strlen(path) + 1);
	return NULL;
}

const char *weir_log_setup(const char *spec)
{
	size_t length = strcspn(spec, ":");
	const char *wrong = NULL;
	int saved = errno;

	for (int level = WEIR_LOG_OFF; level <= WEIR_LOG_DEBUG; level++) {
		if (!same_word(spec, length, names[level]))
			continue;
		atomic_store_explicit(&threshold, WEIR_LOG_OFF, memory_order_relaxed);
		destination[0] = '\0';
		log_remember_stderr();
		if (spec[length] == ':' && spec[length + 1] != '\0')
			wrong = set_destination(spec + length + 1);
		if (!wrong)
			atomic_store_explicit(&threshold, level, memory_order_release);
		errno = saved;
		return wrong;
	}
	return "expected LEVEL or LEVEL:FILE with LEVEL one of error, warn, info, debug, off";
}

bool weir_log_on(enum weir_log_level level)
{
	return level != WEIR_LOG_OFF && (int)level <= atomic_load_explicit(&threshold, memory_order_acquire);
}

void weir_log(enum weir_log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list arguments;
	size_t length;
	int saved = errno;

	if (!weir_log_on(level))
		return;
	length = weir_format(line, sizeof line - 1, "weir[%d]: %s: ", (int)weir_getpid(), names[level]);
	va_start(arguments, format);
	length += weir_vformat(line + length, sizeof line - 1 - length, format, arguments);
	va_end(arguments);
	/* One call, one line, whatever bytes a host name brought along. */
	weir_make_printable(line, length);
	line[length++] = '\n';
	if (destination[0] == '\0')
		log_write_stderr(line, length);
	else
		log_write_file(destination, line, length);
	errno = saved;
}

void weir_log_stderr(const char *text, size_t length)
{
	int saved = errno;

	log_remember_stderr();
	log_write_stderr(text, length);
	errno = saved;
}
