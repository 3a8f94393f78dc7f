#include "tests/harness/temp_dir.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/failure.h"
#include "tests/harness/wait.h"

#define OPEN_DIRS_MAX    16
#define REMOVED_WITHIN_S 10.0

char *temp_dir_create(void)
{
	const char *parent = getenv("TMPDIR");
	char *dir;

	if (asprintf(&dir, "%s/weir-test.XXXXXX", parent == NULL || *parent == '\0' ? "/tmp" : parent) < 0)
		harness_fail("no memory");
	if (mkdtemp(dir) == NULL)
		harness_fail("cannot make %s: %s", dir, strerror(errno));
	return dir;
}

static int make_accessible(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)where;
	if (type == FTW_DNR || type == FTW_D)
		chmod(path, 0700);
	return 0;
}

/* What another process, an agent that is ending, has just removed itself is no reason to leave the rest. */
static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	remove(path);
	return 0;
}

static bool is_removed(void *dir)
{
	nftw(dir, make_accessible, OPEN_DIRS_MAX, FTW_PHYS | FTW_MOUNT);
	nftw(dir, remove_one, OPEN_DIRS_MAX, FTW_PHYS | FTW_MOUNT | FTW_DEPTH);
	return access(dir, F_OK) != 0;
}

/* Who has been killed may have a child that is only starting, an agent, and puts a file there meanwhile. */
void temp_dir_remove(char *dir)
{
	if (dir == NULL)
		return;
	if (!wait_until(is_removed, dir, REMOVED_WITHIN_S))
		harness_fail("cannot remove all of %s", dir);
	free(dir);
}

char *path_in(const char *dir, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		harness_fail("no memory");
	return path;
}

char *make_dir(const char *dir, const char *name)
{
	char *path = path_in(dir, name);

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		harness_fail("cannot make %s: %s", path, strerror(errno));
	return path;
}
