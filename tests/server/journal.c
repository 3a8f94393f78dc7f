#include "tests/server/journal.h"

#include <string.h>
#include <sys/mman.h>

#define RING_BYTES (JOURNAL_ENTRIES * sizeof(struct journal_entry))

int journal_open(struct journal *j)
{
	void *ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (ring == MAP_FAILED)
		return -1;
	j->ring = ring;
	j->written = 0;
	return 0;
}

void journal_close(struct journal *j)
{
	if (j->ring != NULL)
		munmap(j->ring, RING_BYTES);
	j->ring = NULL;
}

void journal_clear(struct journal *j)
{
	j->written = 0;
}

void journal_append(struct journal *j, int64_t arrival_ns, int status, const char *path)
{
	struct journal_entry *entry = &j->ring[j->written % JOURNAL_ENTRIES];
	size_t length = strnlen(path, sizeof entry->path - 1);

	entry->arrival_ns = arrival_ns;
	entry->status = (int16_t)status;
	memcpy(entry->path, path, length);
	entry->path[length] = '\0';
	j->written++;
}

size_t journal_count(const struct journal *j)
{
	return j->written < JOURNAL_ENTRIES ? (size_t)j->written : JOURNAL_ENTRIES;
}

const struct journal_entry *journal_get(const struct journal *j, size_t i)
{
	uint64_t first = j->written - journal_count(j);

	return &j->ring[(first + i) % JOURNAL_ENTRIES];
}
