/* SPDX-License-Identifier: MIT */
/* Configuration files in a temporary directory, and what becomes of them. */
#ifndef TESTS_POLICY_FILES_H
#define TESTS_POLICY_FILES_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/policy.h"

#define S UINT64_C(1000000000)

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct bench {
	char dir[64];
	char chain[WEIR_CHAIN_MAX * 2][WEIR_PATH_MAX];
	size_t chained;
	struct weir_policy policy;
	struct weir_findings findings;
};

static inline int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	if (!b)
		return -1;
	/* In memory where that is to be had: a test that writes thousands of files would wait for the disk. */
	snprintf(b->dir, sizeof b->dir, "%s/weir-policy-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(b->dir) || chmod(b->dir, 0755) != 0)
		return -1;
	*state = b;
	return 0;
}

static inline void forget(struct bench *b)
{
	weir_policy_free(&b->policy);
	weir_findings_free(&b->findings);
}

static inline void remove_tree(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		char child[WEIR_PATH_MAX];

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (snprintf(child, sizeof child, "%.200s/%s", path, e->d_name) > 0 && unlink(child) != 0)
			remove_tree(child);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static inline int tear_down(void **state)
{
	struct bench *b = *state;

	forget(b);
	remove_tree(b->dir);
	free(b);
	return 0;
}

/* Appends a path to the chain; a relative one is of the temporary directory. Returns the path. */
static inline const char *chain(struct bench *b, const char *name)
{
	char path[WEIR_PATH_MAX] = "";

	snprintf(path, sizeof path, "%s%s%s", name[0] == '/' ? "" : b->dir, name[0] == '/' ? "" : "/", name);
	return memcpy(b->chain[b->chained++], path, sizeof path);
}

static inline void write_bytes(struct bench *b, const char *name, const void *text, size_t length)
{
	char path[WEIR_PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", b->dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, length, f), length);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0644), 0);
}

static inline void write_file(struct bench *b, const char *name, const char *text)
{
	write_bytes(b, name, text, strlen(text));
}

static inline bool compile(struct bench *b)
{
	forget(b);
	return weir_policy_compile(b->chain, b->chained, false, &b->policy, &b->findings);
}

/* Compiles one file of this text. */
static inline bool compile_text(struct bench *b, const char *text)
{
	b->chained = 0;
	write_file(b, "t", text);
	chain(b, "t");
	return compile(b);
}

/* The same, and it must be right. Returns the rule of this index. */
static inline const struct weir_rule *rule_of(struct bench *b, const char *text, uint32_t index)
{
	if (!compile_text(b, text))
		fail_msg("%s\nrefused: %s", text, b->findings.count > 0 ? b->findings.line[0] : "?");
	assert_true(index < b->policy.rule_count);
	return &b->policy.rules[index];
}

/* A finding without the directory in front: "t:1: ...". */
static inline const char *finding(const struct bench *b, size_t i)
{
	const char *line = b->findings.line[i];
	size_t n = strlen(b->dir);

	return strncmp(line, b->dir, n) == 0 ? line + n + 1 : line;
}

static inline const struct weir_origin *origin(const struct bench *b, const char *key)
{
	for (size_t i = 0; i < b->policy.origin_count; i++) {
		if (strcmp(b->policy.origins[i].key, key) == 0)
			return &b->policy.origins[i];
	}
	return NULL;
}

#endif
