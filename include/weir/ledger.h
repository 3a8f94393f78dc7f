/* SPDX-License-Identifier: MIT */
/*
 * The ledger: what was used of the configuration's quotas, in a file of its own that outlives agent, segment and machine.
 *
 * $STATE/ledger.HASH, one for each world: a header of a page, then accounts in an open-addressed table. Processes map it when a
 * rule with quotas is first asked, and count in it with single words (weir/account.h); no descriptor stays open. The page cache
 * outlives every process, so only the death of the machine can take anything back: nothing goes beyond a mark that is on the
 * disk.
 *
 * Valid if and only if it is a regular file of the user's that nobody else may open, its size is what the header says, and the
 * header's check word fits. Anything else is set aside (renamed to *.bad), and the ledger that takes its place says when: what
 * was used of the windows of then is not known, so nothing is left of them.
 */
#ifndef WEIR_LEDGER_H
#define WEIR_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/account.h"

#define WEIR_LEDGER_MAGIC    UINT64_C(0x3152474c52494557) /* "WEIRLGR1", little endian */
#define WEIR_LEDGER_VERSION  1U
#define WEIR_LEDGER_ACCOUNTS 1024U
#define WEIR_LEDGER_PAGE     4096U

struct weir_ledger_header {
	uint64_t magic;
	uint32_t version, accounts; /* a power of two */
	uint64_t total_bytes;
	uint64_t lost_s; /* when a ledger that could not be read was replaced by this one, seconds since 1970; 0: none was */
	uint64_t check;  /* over the above */
	uint64_t pad[507];
};
_Static_assert(sizeof(struct weir_ledger_header) == WEIR_LEDGER_PAGE, "ABI: a page");

/* A process's view. Zeroed = not mapped. */
struct weir_ledger {
	struct weir_ledger_header *header;
	struct weir_account *account;
	size_t bytes;
	uint32_t accounts;
	uint64_t boot; /* digest of the boot's id; 0: not known */
	uint64_t device, inode;
	/* The file system may have no place for a page that is written again (it copies on write), or it is not known whether it
	 * has: the kernel is asked before a store, which would otherwise end in SIGBUS. */
	bool guarded;
	/* NULL but in tests: a virtual clock (ms since 1970), and a virtual disk. */
	uint64_t (*wall_ms)(void);
	void (*sync)(void *page, size_t bytes);
};

/* Maps the ledger at `path`, made where there is none. True, and *why = NULL, or what was wrong with the one that was set aside;
 * false: *why and *err (errno or 0). Blocks for file operations. */
bool weir_ledger_open(struct weir_ledger *l, const char *path, const char **why, int *err);

/* Checks memory as a ledger and fills the handle's view of it. Returns NULL, or what is wrong (static text). */
const char *weir_ledger_attach(struct weir_ledger *l, void *memory, size_t bytes);

void weir_ledger_close(struct weir_ledger *l);

/* Formats zeroed memory of WEIR_LEDGER_BYTES (tests). */
#define WEIR_LEDGER_BYTES (sizeof(struct weir_ledger_header) + WEIR_LEDGER_ACCOUNTS * sizeof(struct weir_account))
void weir_ledger_format(struct weir_ledger *l, void *memory, uint64_t lost_s);

/* Whether the file at `path` is still the one that is mapped. */
bool weir_ledger_is_there(const struct weir_ledger *l, const char *path);

/* What an entry is called in the ledger: a hash of its key, which may be hostile. Never 0. */
uint64_t weir_ledger_name(const char *entry_key, size_t max);

/* The key of an account: whose, and which allowance. Never 0. */
static inline uint64_t weir_ledger_key(uint64_t name, uint32_t allowance_digest)
{
	uint64_t h = (name ^ allowance_digest) * UINT64_C(0x9e3779b97f4a7c15);

	h ^= h >> 32;
	return h != 0 ? h : 1;
}

/* The account of that key; make: one that is free, or that nobody has used for long, becomes it. NULL: there is none, or no room,
 * or (guarded) it cannot be stored into. Lock-free. */
struct weir_account *weir_ledger_account(const struct weir_ledger *l, uint64_t key, const struct weir_allowances *rule,
					 unsigned which, bool make, uint64_t wall_ms);

/* A copy of the account of that key, of a ledger that cannot be stored into. False: there is none, or it cannot be read. */
bool weir_ledger_copy(const struct weir_ledger *l, uint64_t key, struct weir_account *out);

/* Writes the account's page to the disk, if that can be done; blocks for it. False: the account cannot be stored into any more.
 */
bool weir_ledger_sync(const struct weir_ledger *l, const struct weir_account *a);

/* Whether a guarded ledger of this process could not be stored into since this was asked last. */
bool weir_ledger_has_failed(void);

#endif
