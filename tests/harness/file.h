/* Whole small files. */
#ifndef HARNESS_FILE_H
#define HARNESS_FILE_H

/* Writes dir/name (0600) anew and returns its path, to be freed by the caller. */
char *write_file(const char *dir, const char *name, const char *text);

/* The text of a file, to be freed by the caller; NULL with errno when it cannot be read. */
char *read_file(const char *path);

#endif
