/* SPDX-License-Identifier: MIT */
/* Files that are made whole and then get their name, and what is asked of one before it is used: of the segment, and the ledger.
 */
#ifndef WEIR_SEGMENT_NEW_FILE_H
#define WEIR_SEGMENT_NEW_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define WEIR_NAME_MAX_BYTES 600 /* WEIR_PATH_MAX and the suffix; PATH_MAX would be too much for a small stack */

/* A file being made: fd, and its temporary name (empty: it has none). */
struct weir_new_file {
	int fd;
	char name[WEIR_NAME_MAX_BYTES];
};

/* The id of this boot as 16 bytes; false when it cannot be read. */
bool weir_boot_id(uint8_t out[16]);

/* Whether the open file may be used at all. Returns NULL or what is wrong. */
const char *weir_file_wrong(const struct stat *st);

/* Opens an unnamed file beside `path`, or a temporarily named one, with mode 0600. Returns 0 or errno. */
int weir_new_file_begin(struct weir_new_file *u, const char *path, bool named);

/* Allocates all blocks of the new file. Returns 0 or errno. */
int weir_file_allocate(int fd, size_t bytes);

/* Gives the finished file its name. Returns 0 or errno (EEXIST: somebody was faster). */
int weir_new_file_finish(const struct weir_new_file *u, const char *path);

/* Ends it, with or without its name. */
void weir_new_file_discard(struct weir_new_file *u);

#endif
