/* A temporary directory per test. */
#ifndef HARNESS_TEMP_DIR_H
#define HARNESS_TEMP_DIR_H

/* Makes a new directory (0700) under ${TMPDIR:-/tmp}. To be given to temp_dir_remove. */
char *temp_dir_create(void);

/* Removes the directory with all that is in it, unreadable subdirectories of its own included, and
 * frees the path. NULL is fine. Fails the test if something is left. */
void temp_dir_remove(char *dir);

/* "dir/name", to be freed by the caller. */
char *path_in(const char *dir, const char *name);

/* Makes dir/name (0700) unless it exists, and returns its path, to be freed by the caller. */
char *make_dir(const char *dir, const char *name);

#endif
