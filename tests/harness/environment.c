#include "tests/harness/environment.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/failure.h"
#include "tests/harness/scene.h"
#include "tests/harness/temp_dir.h"

struct list {
	char **entry; /* "NAME=VALUE", NULL at the end */
	size_t count;
};

static size_t name_length(const char *entry)
{
	return strcspn(entry, "=");
}

static void unset(struct list *list, const char *name)
{
	size_t length = name_length(name);
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (name_length(list->entry[i]) == length && memcmp(list->entry[i], name, length) == 0)
			free(list->entry[i]);
		else
			list->entry[kept++] = list->entry[i];
	}
	list->count = kept;
	list->entry[kept] = NULL;
}

/* Takes `entry`. */
static void set_owned(struct list *list, char *entry)
{
	char **grown;

	if (entry == NULL)
		harness_fail("no memory");
	if (list->count > 0)
		unset(list, entry);
	grown = realloc(list->entry, (list->count + 2) * sizeof *grown);
	if (grown == NULL)
		harness_fail("no memory");
	list->entry = grown;
	list->entry[list->count++] = entry;
	list->entry[list->count] = NULL;
}

static void set(struct list *list, const char *name, const char *value)
{
	char *entry;

	if (asprintf(&entry, "%s=%s", name, value) < 0)
		entry = NULL;
	set_owned(list, entry);
}

static bool is_kept(const char *entry)
{
	static const char *const dropped[] = {"LD_PRELOAD", "http_proxy",  "https_proxy", "all_proxy", "no_proxy",
					      "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",   "NO_PROXY",  "XDG_RUNTIME_DIR"};
	size_t length = name_length(entry);

	if (strncmp(entry, "WEIR_", 5) == 0)
		return false;
	for (size_t i = 0; i < sizeof dropped / sizeof dropped[0]; i++) {
		if (strlen(dropped[i]) == length && memcmp(dropped[i], entry, length) == 0)
			return false;
	}
	return true;
}

char *build_path(const char *name)
{
	const char *build = getenv("WEIR_BUILD");
	char absolute[PATH_MAX];

	if (build == NULL || *build == '\0')
		build = "build";
	if (realpath(build, absolute) == NULL)
		harness_fail("no build directory %s: set WEIR_BUILD", build);
	return path_in(absolute, name);
}

static void set_preload(struct list *list)
{
	/* A sanitizer's run-time must come before every other library. */
	const char *before = getenv("WEIR_TEST_PRELOAD_BEFORE");
	char *library = build_path("libweir.so");
	char *preload;

	if (access(library, R_OK) != 0)
		harness_fail("%s is not there: build it first", library);
	if (asprintf(&preload, "%s%s%s", before == NULL ? "" : before, before == NULL || *before == '\0' ? "" : " ", library) < 0)
		harness_fail("no memory");
	set(list, "LD_PRELOAD", preload);
	free(preload);
	free(library);
}

char **environment_for(const struct command *c)
{
	struct list list = {0};

	for (char **entry = environ; *entry != NULL; entry++) {
		if (is_kept(*entry))
			set_owned(&list, strdup(*entry));
	}
	set(&list, "LC_ALL", "C");
	if (c->dir != NULL) {
		char *empty = make_dir(c->dir, EMPTY_CONFIG_DIR), *state = make_dir(c->dir, STATE_HOME_DIR);

		set(&list, "XDG_CONFIG_HOME", empty);
		set(&list, "XDG_STATE_HOME", state);
		free(state);
		free(empty);
	}
	if (c->mode != COMMAND_BARE) {
		char *runtime;

		if (c->dir == NULL)
			harness_fail("a command under or beside weir needs a directory");
		runtime = make_dir(c->dir, RUNTIME_DIR);
		set(&list, "WEIR_RUNTIME_DIR", runtime);
		free(runtime);
		if (c->config != NULL)
			set(&list, "WEIR_CONFIG", c->config);
	}
	if (c->mode == COMMAND_UNDER_WEIR)
		set_preload(&list);
	for (size_t i = 0; c->env != NULL && c->env[i] != NULL; i++) {
		if (strchr(c->env[i], '=') != NULL)
			set_owned(&list, strdup(c->env[i]));
		else
			unset(&list, c->env[i]);
	}
	return list.entry;
}

void environment_free(char **environment)
{
	for (size_t i = 0; environment != NULL && environment[i] != NULL; i++)
		free(environment[i]);
	free(environment);
}
