/* SPDX-License-Identifier: MIT */
#include "src/policy/compilation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Returns how much of the file was read, which may be more than it should hold, or -1 and errno. */
static ssize_t fill(int fd, char *text, size_t size)
{
	size_t length = 0;

	while (length < size) {
		ssize_t n = read(fd, text + length, size - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	return (ssize_t)length;
}

/* Reads an open file whole. Returns its text, to be freed, or NULL after reporting why not. */
static char *contents(struct weir_compilation *c, uint32_t number, int fd, size_t *length)
{
	struct weir_place at = {.document = number};
	struct stat st;
	char *text;

	if (fstat(fd, &st) != 0) {
		weir_finding_add(c, at, NULL, "cannot be read: %s", strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		weir_finding_add(c, at, NULL, "is %s, expected a file", S_ISDIR(st.st_mode) ? "a directory" : "no regular file");
		return NULL;
	}
	if (!weir_chain_trusts(c, number, &st))
		return NULL;
	if (st.st_size > WEIR_CONF_BYTES_MAX) {
		weir_finding_add(c, at, NULL, "too large: %lld bytes, at most %u are read", (long long)st.st_size,
				 WEIR_CONF_BYTES_MAX);
		return NULL;
	}
	text = malloc(WEIR_CONF_BYTES_MAX + 1);
	if (!text) {
		c->out_of_memory = true;
		return NULL;
	}
	/* One byte more than is allowed: a file that grows meanwhile is noticed, /proc's files say that they have no size. */
	ssize_t n = fill(fd, text, WEIR_CONF_BYTES_MAX + 1);

	if (n < 0)
		weir_finding_add(c, at, NULL, "cannot be read: %s", strerror(errno));
	else if (n > (ssize_t)WEIR_CONF_BYTES_MAX)
		weir_finding_add(c, at, NULL, "too large: at most %u bytes are read", WEIR_CONF_BYTES_MAX);
	if (n < 0 || n > (ssize_t)WEIR_CONF_BYTES_MAX) {
		free(text);
		return NULL;
	}
	*length = (size_t)n;
	return text;
}

static void parse(struct weir_compilation *c, uint32_t number, const char *text)
{
	struct weir_document *d = &c->document[number - 1];

	config_init(&d->config);
	d->parsed = true;
	if (config_read_string(&d->config, text))
		return;
	const char *error = config_error_text(&d->config);
	int line = config_error_line(&d->config);
	struct weir_place at = {.document = number, .line = line > 0 ? (uint32_t)line : 0};
	bool syntax = !error || strcmp(error, "syntax error") == 0;

	if (syntax)
		weir_finding_add(
			c, at, NULL,
			"syntax error: look for a missing quote, comma, semicolon or bracket here or on the line before");
	else
		weir_finding_add(c, at, NULL, "%s", error);
	config_destroy(&d->config);
	d->parsed = false;
}

void weir_document_load(struct weir_compilation *c, uint32_t number)
{
	const char *path = c->document[number - 1].path;
	size_t length = 0;
	/* O_NONBLOCK: a FIFO in the place of a file must not hold the agent up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && errno == EACCES && weir_chain_leave_out(c, number, weir_chain_owner(path), "you may not read it"))
		return;
	if (fd < 0) {
		weir_finding_add(c, (struct weir_place){.document = number}, NULL, "cannot be read: %s", strerror(errno));
		return;
	}
	char *text = contents(c, number, fd, &length);

	close(fd);
	if (!text)
		return;
	char *scanned = weir_scan(c, number, text, length);

	free(text);
	if (!scanned)
		return;
	parse(c, number, scanned);
	free(scanned);
}

void weir_document_free(struct weir_document *d)
{
	if (d->parsed)
		config_destroy(&d->config);
	free(d->literals);
}
