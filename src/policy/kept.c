/* SPDX-License-Identifier: MIT */
/*
 * The last good policy in a file that outlives the segment: compiled rules in their binary form. Valid if and only if magic,
 * versions and sizes are this program's, the length is what the counts say, and the check word fits. After an upgrade that
 * changes a rule's layout it is of no use any more, which costs what it costs not to have one. The files' texts were rejected:
 * they would have to be compiled once more, by other rules than those that accepted them.
 */
#include "weir/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC     "weirkept"
#define BYTES_MAX (64L << 20)
#define FNV_START 0xcbf29ce484222325ULL /* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
#define FNV_PRIME 0x100000001b3ULL

struct head {
	char magic[8];
	uint64_t check; /* over all that follows */
	uint32_t version, rule_bytes, source_bytes;
	uint32_t rule_count, source_count, total_in_use, entries, pad;
	uint64_t idle_exit_ns;
	struct weir_rule total;
	/* sources, rules */
};

static uint64_t check_of(const char *bytes, size_t length)
{
	uint64_t hash = FNV_START;

	for (size_t i = sizeof MAGIC - 1 + sizeof hash; i < length; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * FNV_PRIME;
	return hash;
}

static size_t bytes_of(const struct head *h)
{
	return sizeof *h + (size_t)h->source_count * sizeof(struct weir_source) +
	       (size_t)h->rule_count * sizeof(struct weir_rule);
}

static struct head *pack(const struct weir_policy *p, size_t *length)
{
	struct head h = {.version = WEIR_SEGMENT_VERSION,
			 .rule_bytes = sizeof(struct weir_rule),
			 .source_bytes = sizeof(struct weir_source),
			 .rule_count = p->rule_count,
			 .source_count = p->source_count,
			 .total_in_use = p->total_in_use,
			 .entries = p->entries,
			 .idle_exit_ns = p->idle_exit_ns,
			 .total = p->total};
	char *bytes = calloc(1, bytes_of(&h));

	if (!bytes)
		return NULL;
	*length = bytes_of(&h);
	memcpy(h.magic, MAGIC, sizeof h.magic);
	memcpy(bytes, &h, sizeof h);
	memcpy(bytes + sizeof h, p->sources, h.source_count * sizeof *p->sources);
	memcpy(bytes + sizeof h + h.source_count * sizeof *p->sources, p->rules, h.rule_count * sizeof *p->rules);
	h.check = check_of(bytes, *length);
	memcpy(bytes + offsetof(struct head, check), &h.check, sizeof h.check);
	return (struct head *)bytes;
}

static const char *wrong_with(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is not a regular file";
	if (st->st_uid != geteuid())
		return "it belongs to another user";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "others may write it";
	if (st->st_size < (off_t)sizeof(struct head) || st->st_size > BYTES_MAX)
		return "it is torn";
	return NULL;
}

/* The file's bytes, to be freed; NULL, and *why unless it is absent. */
static char *fetch(const char *path, size_t *length, const char **why)
{
	struct stat st;
	char *bytes = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	*why = fd >= 0 || errno == ENOENT || errno == ENOTDIR ? NULL : "it cannot be opened";
	if (fd < 0)
		return NULL;
	*why = fstat(fd, &st) != 0 ? "it cannot be looked at" : wrong_with(&st);
	if (!*why) {
		bytes = malloc((size_t)st.st_size);
		*length = (size_t)st.st_size;
		if (!bytes || read(fd, bytes, *length) != st.st_size) {
			free(bytes);
			bytes = NULL;
			*why = "it cannot be read";
		}
	}
	close(fd);
	return bytes;
}

static const char *wrong_inside(const struct head *h, size_t length)
{
	if (memcmp(h->magic, MAGIC, sizeof h->magic) != 0)
		return "it is something else";
	if (h->version != WEIR_SEGMENT_VERSION || h->rule_bytes != sizeof(struct weir_rule) ||
	    h->source_bytes != sizeof(struct weir_source))
		return "it is another version's";
	if (h->rule_count < 1 || h->rule_count > WEIR_RULES_DEFAULT || h->source_count > WEIR_SOURCES || length != bytes_of(h) ||
	    h->check != check_of((const char *)h, length))
		return "it is torn";
	return NULL;
}

bool weir_policy_recall(const char *path, struct weir_policy *out, const char **why)
{
	size_t length = 0;
	char *bytes = fetch(path, &length, why);
	struct head h;

	memset(out, 0, sizeof *out);
	if (!bytes)
		return false;
	memcpy(&h, bytes, sizeof h);
	*why = wrong_inside((const struct head *)bytes, length);
	if (!*why) {
		out->rules = calloc(h.rule_count, sizeof *out->rules);
		if (!out->rules)
			*why = "out of memory";
	}
	if (!*why) {
		const char *sources = bytes + sizeof h;

		memcpy(out->sources, sources, h.source_count * sizeof *out->sources);
		memcpy(out->rules, sources + h.source_count * sizeof *out->sources, h.rule_count * sizeof *out->rules);
		out->rule_count = h.rule_count;
		out->source_count = h.source_count;
		out->total = h.total;
		out->total_in_use = h.total_in_use != 0;
		out->entries = h.entries;
		out->idle_exit_ns = h.idle_exit_ns;
	}
	free(bytes);
	return !*why;
}

/* Whole and on the disk, or not there: what is at `path` is the one before or this one. */
static int put(const char *path, const char *bytes, size_t length)
{
	char temporary[WEIR_PATH_MAX + 24];
	int err = 0;

	snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
	unlink(temporary);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return errno;
	ssize_t n = write(fd, bytes, length);

	if (n < 0 || fsync(fd) != 0)
		err = errno;
	else if ((size_t)n != length)
		err = ENOSPC;
	close(fd);
	if (!err && rename(temporary, path) != 0)
		err = errno;
	if (err)
		unlink(temporary);
	return err;
}

int weir_policy_keep(const struct weir_policy *p, const char *path)
{
	size_t length = 0, before = 0;
	const char *why;
	struct head *h = pack(p, &length);
	char *old = h ? fetch(path, &before, &why) : NULL;
	int err = !h ? ENOMEM : old && before == length && memcmp(old, h, length) == 0 ? 0 : put(path, (const char *)h, length);

	free(old);
	free(h);
	return err;
}
