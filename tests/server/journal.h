/* The last million requests, in order of arrival. */
#ifndef QUOTAD_JOURNAL_H
#define QUOTAD_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#define JOURNAL_ENTRIES    1000000
#define JOURNAL_PATH_BYTES 54

struct journal_entry {
	int64_t arrival_ns;
	int16_t status;                /* 0 = never answered */
	char path[JOURNAL_PATH_BYTES]; /* cut when longer; no query */
};
_Static_assert(sizeof(struct journal_entry) == 64, "one cache line each");

struct journal {
	struct journal_entry *ring; /* address space only, until it is written to */
	uint64_t written;
};

/* 0, or -1 with errno. */
int journal_open(struct journal *j);
void journal_close(struct journal *j);
void journal_clear(struct journal *j);
void journal_append(struct journal *j, int64_t arrival_ns, int status, const char *path);

/* The number of entries kept, and the i-th of them, oldest first. */
size_t journal_count(const struct journal *j);
const struct journal_entry *journal_get(const struct journal *j, size_t i);

#endif
