/* SPDX-License-Identifier: MIT */
#include "src/policy/compilation.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What weir_chain_collect carries along. */
struct collection {
	struct weir_compilation *c;
	struct weir_policy *out;
	bool *is_file;
	bool full; /* reported once */
};

bool weir_chain_leave_out(struct weir_compilation *c, uint32_t document, uint32_t owner, const char *why)
{
	if (c->named || document == 0 || owner == geteuid())
		return false;
	c->left_out |= 1U << (document - 1);
	c->left_out_why[document - 1] = why;
	c->left_out_owner[document - 1] = owner;
	return true;
}

uint32_t weir_chain_owner(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint32_t)st.st_uid : WEIR_OWNER_UNKNOWN;
}

bool weir_chain_trusts(struct weir_compilation *c, uint32_t document, const struct stat *st)
{
	struct weir_place at = {.document = document};
	bool strangers = st->st_uid != 0 && st->st_uid != geteuid(), anybodys = (st->st_mode & S_IWOTH) != 0;

	/* These files decide how long a program waits and whether it is refused: nobody else may have a say. */
	if (!strangers && !anybodys)
		return true;
	if (weir_chain_leave_out(c, document, st->st_uid,
				 strangers ? "it belongs to neither you nor root" : "everybody may write it"))
		return false;
	if (strangers)
		weir_finding_add(c, at, NULL, "owned by user %u: only files of yours or of root are read", (unsigned)st->st_uid);
	else
		weir_finding_add(c, at, NULL, "writable by everybody: take that away (chmod o-w) before it is read");
	return false;
}

static uint32_t owner_of_directory(const char *path)
{
	char directory[WEIR_PATH_MAX * 2];
	char *slash;

	snprintf(directory, sizeof directory, "%s", path);
	slash = strrchr(directory, '/');
	if (!slash)
		return WEIR_OWNER_UNKNOWN;
	slash[slash == directory] = '\0';
	return weir_chain_owner(directory);
}

/* Whether it stands in a path that somebody else has closed: permission, and nothing else, is theirs to give. */
static bool is_closed(int err)
{
	return err == EACCES || err == EPERM;
}

/* Adds a path to documents and sources. Returns its number, 0 when there is no room. */
static uint32_t look(struct collection *k, const char *path)
{
	struct weir_compilation *c = k->c;

	if (c->documents == WEIR_SOURCES) {
		if (!k->full)
			weir_finding_add(c, (struct weir_place){0}, NULL,
					 "too many files: at most %d files and directories are read; %s is one too many",
					 WEIR_SOURCES, path);
		k->full = true;
		return 0;
	}
	/* Before it is opened: what changes in between shows as a change and has it compiled again. */
	if (!weir_source_stat(&k->out->sources[k->out->source_count], path)) {
		weir_finding_add(c, (struct weir_place){0}, NULL, "the path is too long: %s", path);
		return 0;
	}
	k->out->source_count++;
	snprintf(c->document[c->documents].path, sizeof c->document[c->documents].path, "%s", path);
	return (uint32_t)++c->documents;
}

static bool ends_in_conf(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && strcmp(name + n - 5, ".conf") == 0;
}

static int is_visible_conf(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && ends_in_conf(entry->d_name);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void collect_directory(struct collection *k, uint32_t directory, const char *path)
{
	struct dirent **entry;
	int n = scandir(path, &entry, is_visible_conf, by_bytes);

	if (n < 0) {
		if (is_closed(errno) && weir_chain_leave_out(k->c, directory, weir_chain_owner(path), "you may not list it"))
			return;
		weir_finding_add(k->c, (struct weir_place){.document = directory}, NULL, "cannot be listed: %s", strerror(errno));
		return;
	}
	for (int i = 0; i < n; i++) {
		char file[WEIR_PATH_MAX * 2];

		snprintf(file, sizeof file, "%s/%s", path, entry[i]->d_name);
		uint32_t number = look(k, file);

		if (number > 0)
			k->is_file[number - 1] = true;
		free(entry[i]);
	}
	free(entry);
}

static void collect_one(struct collection *k, const char *path, bool must_exist)
{
	struct stat st;
	uint32_t number = look(k, path);
	struct weir_place at = {.document = number};

	if (number == 0)
		return;
	if (stat(path, &st) != 0) {
		bool absent = errno == ENOENT || errno == ENOTDIR;

		if (is_closed(errno) &&
		    weir_chain_leave_out(k->c, number, owner_of_directory(path), "you may not enter its directory"))
			return;
		if (!absent || must_exist)
			weir_finding_add(k->c, at, NULL, "cannot be read: %s", strerror(errno));
		return;
	}
	if (!S_ISDIR(st.st_mode))
		k->is_file[number - 1] = true;
	else if (ends_in_conf(path))
		weir_finding_add(k->c, at, NULL, "is a directory, expected a file");
	else if (weir_chain_trusts(k->c, number, &st))
		collect_directory(k, number, path);
}

void weir_chain_collect(struct weir_compilation *c, char chain[][WEIR_PATH_MAX], size_t count, bool must_exist,
			struct weir_policy *out, bool is_file[WEIR_SOURCES])
{
	struct collection k = {.c = c, .out = out, .is_file = is_file};

	for (size_t i = 0; i < count; i++)
		collect_one(&k, chain[i], must_exist);
}
