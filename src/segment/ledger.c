/* SPDX-License-Identifier: MIT */
/*
 * The table of accounts. An account is found by linear probing and never moves. It is given to somebody else only when nobody has
 * used it for longer than any window lasts: the word of its meter is first made one that nobody can count in
 * (WEIR_ACCOUNT_CLEARING), which fails when somebody has counted meanwhile, and the parts of a rolling one are then looked at
 * once more. Who dies in between, or is stopped for longer than others wait, leaves an account that is nobody's for ever, and
 * that is stepped over.
 */
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "weir/kernel.h"
#include "weir/ledger.h"

#define PROBES 32U
#define TRIES  2000U
/* Longer than the longest rolling window; a calendar window is over when its end is past as well. */
#define UNUSED_S UINT64_C(32 * 86400)
#define PRIME    UINT64_C(0x9e3779b97f4a7c15)

static _Atomic bool failed;

/* The kernel adds nothing to the word, as a store would, and says so where the page is not to be had: EFAULT, and no signal.
 * Where it may not be asked, nothing is known. */
static bool takes_a_store(const struct weir_ledger *l, const void *word)
{
	static _Atomic uint32_t nobody;

	if (!l->guarded || !weir_kernel_allows(WEIR_KERNEL_WAKE_OP))
		return true;
	if (weir_syscall(SYS_futex, &nobody, FUTEX_WAKE_OP_PRIVATE, 0, NULL, word,
			 FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_LT, 0)) >= 0)
		return true;
	if (errno != EFAULT)
		return true;
	atomic_store_explicit(&failed, true, memory_order_relaxed);
	return false;
}

/* The same of a load: it compares the word, and does not wait. */
static bool can_be_read(const void *word)
{
	const struct timespec now = {0, 0};

	return weir_syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, &now, NULL, 0) == 0 || errno != EFAULT;
}

bool weir_ledger_has_failed(void)
{
	return atomic_exchange_explicit(&failed, false, memory_order_relaxed);
}

static uint64_t check_of(const struct weir_ledger_header *h)
{
	uint64_t sum = h->magic;

	sum = (sum ^ h->version) * PRIME;
	sum = (sum ^ h->accounts) * PRIME;
	sum = (sum ^ h->total_bytes) * PRIME;
	sum = (sum ^ h->lost_s) * PRIME;
	return sum ^ sum >> 32;
}

const char *weir_ledger_attach(struct weir_ledger *l, void *memory, size_t bytes)
{
	struct weir_ledger_header *h = memory;

	if (bytes < sizeof *h)
		return "it is torn: shorter than its header";
	if (h->magic != WEIR_LEDGER_MAGIC)
		return "it is no ledger";
	if (h->version != WEIR_LEDGER_VERSION)
		return "it is another version's";
	if (h->accounts == 0 || (h->accounts & (h->accounts - 1)) != 0 || h->accounts > (1U << 20) || h->total_bytes != bytes ||
	    bytes != sizeof *h + (size_t)h->accounts * sizeof(struct weir_account))
		return "it is torn: its size is not what it says";
	if (h->check != check_of(h))
		return "it is torn: its header's check word does not fit";
	l->header = h;
	l->account = (struct weir_account *)(h + 1);
	l->accounts = h->accounts;
	l->bytes = bytes;
	return NULL;
}

void weir_ledger_format(struct weir_ledger *l, void *memory, uint64_t lost_s)
{
	struct weir_ledger_header *h = memory;

	h->magic = WEIR_LEDGER_MAGIC;
	h->version = WEIR_LEDGER_VERSION;
	h->accounts = WEIR_LEDGER_ACCOUNTS;
	h->total_bytes = WEIR_LEDGER_BYTES;
	h->lost_s = lost_s;
	h->check = check_of(h);
	(void)weir_ledger_attach(l, memory, WEIR_LEDGER_BYTES);
}

static uint64_t mix(uint64_t h, uint64_t w)
{
	h = (h ^ w) * PRIME;
	return h ^ h >> 32;
}

uint64_t weir_ledger_name(const char *entry_key, size_t max)
{
	size_t n = strnlen(entry_key, max);
	uint64_t h = mix(n, PRIME), w;

	for (; n >= sizeof w; n -= sizeof w, entry_key += sizeof w) {
		memcpy(&w, entry_key, sizeof w);
		h = mix(h, w);
	}
	w = 0;
	memcpy(&w, entry_key, n);
	h = mix(mix(h, w), PRIME);
	return h != 0 ? h : 1;
}

static uint64_t get(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_seq_cst);
}

static bool is_unused(const struct weir_account *a, uint64_t wall_ms)
{
	uint64_t wall_s = wall_ms / 1000, used_s = get(&a->used_s), word = get(&a->meter.word);

	return used_s + UNUSED_S < wall_s && (word >> 32) * 60 < wall_s && word < WEIR_ACCOUNT_ABANDONED;
}

static bool is_new(const struct weir_account *a)
{
	if (get(&a->boot) != 0 || get(&a->meter.word) != 0)
		return false;
	for (unsigned i = 0; i < WEIR_ACCOUNT_PARTS; i++)
		if (get(&a->part[i]) != 0)
			return false;
	return true;
}

/* A new account of a ledger that took the place of one that could not be read: what was used of the window of then is not known.
 */
static void begin(const struct weir_ledger *l, struct weir_account *a, const struct weir_allowances *rule, unsigned which)
{
	if (l->header->lost_s != 0)
		weir_account_lose(a, rule, which, l->header->lost_s * 1000);
}

/* Makes an account that nobody has used for long the one of `key`: it has counted in no boot, as a new one. */
static void take_over(struct weir_account *a, uint64_t key, uint64_t wall_ms)
{
	uint64_t word = get(&a->meter.word), clearing = WEIR_ACCOUNT_CLEARING;

	if (!is_unused(a, wall_ms) || !atomic_compare_exchange_strong(&a->meter.word, &word, clearing))
		return;
	if (get(&a->used_s) + UNUSED_S >= wall_ms / 1000) { /* somebody has just come back to it */
		(void)atomic_compare_exchange_strong(&a->meter.word, &clearing, word);
		return;
	}
	atomic_store(&a->meter.key, key);
	atomic_store(&a->meter.next_ms, 0);
	atomic_store(&a->meter.told, 0);
	atomic_store(&a->mark, 0);
	atomic_store(&a->kept, 0);
	atomic_store(&a->boot, 0);
	atomic_store(&a->raised, 0);
	for (unsigned i = 0; i < WEIR_ACCOUNT_PARTS; i++)
		atomic_store(&a->part[i], 0);
	atomic_store(&a->used_s, wall_ms / 1000);
	(void)atomic_compare_exchange_strong(&a->meter.word, &clearing, 0);
}

/* Those that somebody has been clearing for too long. */
static void abandon(const struct weir_ledger *l, uint64_t key)
{
	for (unsigned i = 0; i < PROBES; i++) {
		uint64_t clearing = WEIR_ACCOUNT_CLEARING;

		(void)atomic_compare_exchange_strong(&l->account[(key + i) & (l->accounts - 1)].meter.word, &clearing,
						     WEIR_ACCOUNT_ABANDONED);
	}
}

static bool begins_page(const struct weir_account *a)
{
	return ((uintptr_t)a & (WEIR_LEDGER_PAGE - 1)) == 0;
}

/* The account of the key, or the first that could become it. All who look find the same one. NULL and none unused, none busy:
 * there is no room, or what there is cannot be stored into. */
static struct weir_account *find(const struct weir_ledger *l, uint64_t key, struct weir_account **unused, bool *busy,
				 uint64_t wall_ms)
{
	*unused = NULL;
	*busy = false;
	for (unsigned i = 0; i < PROBES; i++) {
		struct weir_account *a = &l->account[(key + i) & (l->accounts - 1)];
		uint64_t there;

		if ((i == 0 || begins_page(a)) && !takes_a_store(l, a)) {
			*unused = NULL;
			*busy = false;
			return NULL;
		}
		there = get(&a->meter.key);

		if (weir_account_is_nobodys(a)) {
			*busy |= get(&a->meter.word) == WEIR_ACCOUNT_CLEARING;
			continue;
		}
		if (there == key)
			return a;
		if (*unused == NULL && (there == 0 || is_unused(a, wall_ms)))
			*unused = a;
		if (there == 0)
			break;
	}
	return NULL;
}

struct weir_account *weir_ledger_account(const struct weir_ledger *l, uint64_t key, const struct weir_allowances *rule,
					 unsigned which, bool make, uint64_t wall_ms)
{
	struct weir_account *unused, *a = NULL;
	bool busy;

	for (unsigned tries = 0; tries < TRIES; tries++) {
		uint64_t nobody = 0;

		a = find(l, key, &unused, &busy, wall_ms);
		if (a != NULL)
			break;
		if (!make || (unused == NULL && !busy))
			return NULL;
		/* Whoever is clearing one may be making it this key's; who died over it is not waited for. */
		if (busy) {
			if (tries >= TRIES / 2)
				abandon(l, key);
			continue;
		}
		if (get(&unused->meter.key) != 0)
			take_over(unused, key, wall_ms);
		else
			(void)atomic_compare_exchange_strong(&unused->meter.key, &nobody, key);
	}
	if (a == NULL)
		return NULL;
	if (get(&a->used_s) < wall_ms / 1000)
		atomic_store(&a->used_s, wall_ms / 1000);
	if (get(&a->boot) != l->boot || l->boot == 0) {
		if (l->header->lost_s != 0 && is_new(a))
			begin(l, a, rule, which);
		weir_account_recover(a, &rule->one[which], l->boot);
	}
	return a;
}

bool weir_ledger_copy(const struct weir_ledger *l, uint64_t key, struct weir_account *out)
{
	for (unsigned i = 0; i < PROBES; i++) {
		const struct weir_account *a = &l->account[(key + i) & (l->accounts - 1)];

		if ((i == 0 || begins_page(a)) && !can_be_read(a))
			return false;
		if (weir_account_is_nobodys(a) || get(&a->meter.key) != key)
			continue;
		out->meter.key = key;
		out->meter.word = get(&a->meter.word);
		for (unsigned k = 0; k < WEIR_ACCOUNT_PARTS; k++)
			out->part[k] = get(&a->part[k]);
		return true;
	}
	return false;
}

/* Where it may not be written (a filter of system calls), or not just now, the kernel writes it some seconds later. */
bool weir_ledger_sync(const struct weir_ledger *l, const struct weir_account *a)
{
	uintptr_t page = (uintptr_t)a & ~(uintptr_t)(WEIR_LEDGER_PAGE - 1);

	if (l->sync)
		l->sync((void *)page, WEIR_LEDGER_PAGE);
	else
		(void)weir_syscall(SYS_msync, page, (size_t)WEIR_LEDGER_PAGE, MS_SYNC);
	return takes_a_store(l, a); /* what has been written is copied anew */
}
