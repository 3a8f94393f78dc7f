/* Writing a file so that readers see all of it or nothing. */
#ifndef QUOTAD_FILE_H
#define QUOTAD_FILE_H

/* Writes `text` to a new file beside `path` and renames it. 0, or -1 with errno. */
int file_replace(const char *path, const char *text);

#endif
