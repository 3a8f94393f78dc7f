/* SPDX-License-Identifier: MIT */
/*
 * The table of entries: open addressing over an index of words, beside the entries themselves.
 *
 * A key may stand in any of the WINDOW slots from its hash on; a look-up reads all of their index words (two cache lines) and
 * needs no tombstones. Only who has changed a slot's index word to CLAIMED or CLEARING writes the key, and only for microseconds;
 * whoever finds it in that state two seconds later takes the slot over. Two processes may make the same key in two slots at the
 * same time: both then look again and use the first in order, and the other ages out.
 *
 * Who uses an entry and who evicts it agree as in Dekker's algorithm: the user writes used_ns and then reads the index word, the
 * evictor writes the index word and then reads used_ns and the leases. At least one of them sees the other.
 */
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "durations.h"
#include "futex.h"
#include "layout.h"
#include "lease_scan.h"
#include "process.h"
#include "slot_word.h"
#include "weir/kernel.h"
#include "weir/segment.h"
#include "words.h"

#define WINDOW 16U /* slots that a key may stand in; WEIR_ENTRIES_MIN is not less */

#define SECOND UINT64_C(1000000000)

/* An entry used within this time is not evicted for another, when it has learned something; */
#define IDLE_NS (60 * SECOND)
/* when it has not. Longer than a user goes without renewing used_ns, and than clocks are apart. */
#define IDLE_PLAIN_NS (2 * SECOND)
/* when its port is one of many. A request looks again at the entry once it has its lease (weir_gate_begin), so this may be short.
 */
#define IDLE_EPHEMERAL_NS (SECOND / 10)
/* What goes first is taken for so much older than it is. */
#define PLAIN_AHEAD_NS     (3600 * SECOND)
#define EPHEMERAL_AHEAD_NS (4 * 3600 * SECOND)
#define EPHEMERAL_FROM     32768 /* net.ipv4.ip_local_port_range: ports that are a server's for as long as a test runs */
/* The same for entries of a run that is over. */
#define RUN_IDLE_NS  (10 * SECOND)
#define RUN_AHEAD_NS (IDLE_NS - RUN_IDLE_NS)
/* A breaker that opened and was not asked for so long says nothing of the host any more (open_time_max is a minute). */
#define BREAKER_MEMORY_NS (3600 * SECOND)
/* Times further ahead than this are damage: durations in a configuration end at 366 days. */
#define FUTURE_MAX_NS (366 * 24 * 3600 * SECOND)
/* used_ns is renewed when it is older than this, so that a busy entry's line is not written by every request. */
#define USED_STEP_NS SECOND

/* Waiting for another process that is making the same entry: 16 x (50 us + timer slack) is about a millisecond. */
#define PAUSES    16
#define PAUSE_NS  50000L
#define CHANGES   64 /* of the window under our eyes, before we settle for the overflow entry */
#define KEY_WORDS (WEIR_KEY_MAX / sizeof(uint64_t))

_Static_assert(WEIR_KEY_MAX % sizeof(uint64_t) == 0 && offsetof(struct weir_entry, key) % sizeof(uint64_t) == 0,
	       "keys are words");
_Static_assert(sizeof(struct weir_entry) % sizeof(uint64_t) == 0, "entries are words");
_Static_assert(WINDOW <= WEIR_ENTRIES_MIN, "a window does not wrap onto itself");

struct wanted {
	uint64_t word[KEY_WORDS]; /* the key, zero-padded to whole words */
	size_t words;             /* the NUL included */
	uint32_t hash;
};

/* Eight bytes at a time, mixed by multiplication as in Knuth's MMIX generator, then murmur3's finalizer: the low bits choose the
 * slot. Keys are zero-padded to whole words, so the same key has the same words everywhere on one machine, and a segment never
 * leaves it. */
static uint32_t hash_of(const uint64_t *word, size_t words)
{
	uint64_t h = UINT64_C(0x9e3779b97f4a7c15);

	for (size_t i = 0; i < words; i++) {
		h = (h ^ word[i]) * UINT64_C(6364136223846793005);
		h ^= h >> 32;
	}
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	return (uint32_t)(h ^ h >> 33);
}

static bool want(struct wanted *w, const char *key)
{
	size_t length = strnlen(key, WEIR_KEY_MAX), whole = length / sizeof(uint64_t);
	uint64_t last = 0;

	if (length == 0 || length == WEIR_KEY_MAX)
		return false;
	/* Word by word: a word that is read back after it was written in parts costs more than all the rest (store forwarding).
	 */
	for (size_t i = 0; i < whole; i++)
		memcpy(&w->word[i], key + i * sizeof(uint64_t), sizeof(uint64_t));
	/* Little-endian, as the file's magic says: the end of the key from its last eight bytes. */
	if (whole == 0) {
		for (size_t i = length; i > 0; i--)
			last = last << 8 | (unsigned char)key[i - 1];
	} else if (length % sizeof(uint64_t) != 0) {
		memcpy(&last, key + length - sizeof last, sizeof last);
		last >>= 8 * (sizeof last - length % sizeof last);
	}
	w->word[whole] = last;
	w->words = whole + 1;
	w->hash = hash_of(w->word, w->words);
	return true;
}

static uint32_t slot_at(const struct weir_segment *s, uint32_t hash, uint32_t i)
{
	return (hash + i) & (s->entries - 1);
}

static uint64_t index_word(const struct weir_segment *s, uint32_t slot)
{
	return atomic_load_explicit(&s->index[slot], memory_order_acquire);
}

/* Whether the slot, whose index word is w, holds the key. */
static bool holds(const struct weir_segment *s, uint32_t slot, uint64_t w, const struct wanted *key)
{
	const char *stored = s->entry[slot].key;

	if (slot_word_state(w) != WEIR_SLOT_READY || slot_word_hash(w) != key->hash)
		return false;
	for (size_t i = 0; i < key->words; i++) {
		uint64_t word;

		words_load(&word, stored + i * sizeof word, 1);
		if (word != key->word[i])
			return false;
	}
	return index_word(s, slot) == w;
}

/* Marks the entry as in use. False when it is being evicted all the same. */
static bool touch(const struct weir_segment *s, uint32_t slot, uint64_t w, uint64_t now_ns)
{
	_Atomic uint64_t *used = &s->entry[slot].used_ns;
	uint64_t before = atomic_load_explicit(used, memory_order_relaxed);

	if (before + USED_STEP_NS < now_ns || before > now_ns + USED_STEP_NS)
		atomic_store_explicit(used, now_ns, memory_order_seq_cst);
	return slot == s->entries || atomic_load_explicit(&s->index[slot], memory_order_seq_cst) == w;
}

static bool is_other(const struct wanted *key)
{
	uint64_t other = 0;

	_Static_assert(sizeof WEIR_OTHER_KEY <= sizeof other, "one word");
	memcpy(&other, WEIR_OTHER_KEY, sizeof WEIR_OTHER_KEY);
	return key->words == 1 && key->word[0] == other;
}

uint32_t weir_entry_find(const struct weir_segment *s, const char *key)
{
	uint64_t w;

	return weir_entry_find_word(s, key, &w);
}

uint32_t weir_entry_find_word(const struct weir_segment *s, const char *key, uint64_t *word)
{
	struct wanted wanted;

	*word = 0;
	if (!want(&wanted, key))
		return WEIR_NONE;
	if (is_other(&wanted))
		return s->entries;
	for (uint32_t i = 0; i < WINDOW; i++) {
		uint32_t slot = slot_at(s, wanted.hash, i);
		uint64_t w = index_word(s, slot);

		if (!holds(s, slot, w, &wanted))
			continue;
		*word = w;
		return slot;
	}
	return WEIR_NONE;
}

uint64_t weir_entry_word(const struct weir_segment *s, uint32_t slot, const char *key)
{
	struct wanted wanted;
	uint64_t w;

	if (slot >= s->entries || !want(&wanted, key))
		return 0;
	w = index_word(s, slot);
	return holds(s, slot, w, &wanted) ? w : 0;
}

bool weir_entry_is(const struct weir_segment *s, uint32_t slot, const char *key)
{
	struct wanted wanted;

	if (slot >= s->entries)
		return slot == s->entries;
	return want(&wanted, key) && holds(s, slot, index_word(s, slot), &wanted);
}

bool weir_entry_key(const struct weir_segment *s, uint32_t slot, char key[WEIR_KEY_MAX])
{
	struct wanted stored;
	uint64_t w;

	key[0] = '\0';
	if (slot >= s->entries) {
		if (slot == s->entries)
			memcpy(key, WEIR_OTHER_KEY, sizeof WEIR_OTHER_KEY);
		return slot == s->entries;
	}
	w = index_word(s, slot);
	if (slot_word_state(w) != WEIR_SLOT_READY)
		return false;
	words_load(key, s->entry[slot].key, KEY_WORDS);
	key[WEIR_KEY_MAX - 1] = '\0';
	/* The hash shows a key that a process scribbled which was stopped for seconds while it made the entry, or plain damage.
	 */
	if (want(&stored, key) && stored.hash == slot_word_hash(w) && index_word(s, slot) == w)
		return true;
	key[0] = '\0';
	return false;
}

/* Whether the entry is a run's share of another ("@PID.START/KEY"). */
static bool of_a_run(const struct weir_entry *e)
{
	uint64_t first;

	words_load(&first, e->key, 1);
	return ((const char *)&first)[0] == '@';
}

/* Whether an entry remembers something that must outlive its users, at `now`. */
static bool remembers(const struct weir_entry *e, uint64_t idle_ns, uint64_t now_ns)
{
	uint64_t used = atomic_load_explicit(&e->used_ns, memory_order_seq_cst);
	uint64_t age = now_ns > used ? now_ns - used : 0;
	uint64_t hold = atomic_load_explicit(&e->hold.until_ns, memory_order_relaxed);
	uint64_t set_until = atomic_load_explicit(&e->set_until_ns, memory_order_relaxed);
	enum weir_breaker_state breaker = weir_breaker_view(&e->breaker, &(struct weir_breaker_params){0}, now_ns).state;

	if (age < idle_ns && used < now_ns + FUTURE_MAX_NS)
		return true;
	if (hold > now_ns && hold - now_ns <= FUTURE_MAX_NS)
		return true;
	if (weir_quota_share_spent_until(&e->quota, (struct weir_asker){0, 0}, now_ns) > now_ns)
		return true;
	if (breaker == WEIR_BREAKER_FORCED_OPEN || (breaker != WEIR_BREAKER_CLOSED && age < BREAKER_MEMORY_NS))
		return true;
	/* What stands in the override of a run's entry is the run's own limit, written anew by each of its requests. */
	if (of_a_run(e))
		return false;
	return (atomic_load_explicit(&e->set_rate, memory_order_relaxed) != 0 ||
		atomic_load_explicit(&e->set_concurrency, memory_order_relaxed) != 0) &&
	       (set_until == 0 || set_until > now_ns);
}

/* Whether the key is a port that nobody will ask again once its server is gone. */
static bool is_ephemeral(const struct weir_entry *e)
{
	char key[WEIR_KEY_MAX];
	const char *colon;
	unsigned port = 0;

	words_load(key, e->key, KEY_WORDS);
	key[WEIR_KEY_MAX - 1] = '\0';
	colon = strrchr(key, ':');
	for (const char *c = colon == NULL ? "" : colon + 1; *c >= '0' && *c <= '9' && port < 65536; c++)
		port = port * 10 + (unsigned)(*c - '0');
	return port >= EPHEMERAL_FROM;
}

/* Whether it would be missed: a limit that was learned, failures in a row. */
static bool has_learned(const struct weir_entry *e, uint64_t now_ns)
{
	return atomic_load_explicit(&e->rate.throttled, memory_order_relaxed) != 0 ||
	       weir_breaker_view(&e->breaker, &(struct weir_breaker_params){0}, now_ns).streak != 0;
}

/* Whether one of its rates has not yet given back what was used of it: who evicts it would let a burst go anew. */
static bool is_paced(const struct weir_entry *e, uint64_t now_ns)
{
	for (unsigned i = 0; i < WEIR_RATES; i++)
		if (!weir_bucket_unused(&e->bucket[i]) && weir_bucket_preview_ns(&e->bucket[i], now_ns) > now_ns)
			return true;
	return false;
}

/* How long the entry must have been idle to make room for another, and by how much it goes before others. */
static uint64_t idle_for(const struct weir_entry *e, uint64_t now_ns, uint64_t *ahead_ns)
{
	if (of_a_run(e)) {
		*ahead_ns = RUN_AHEAD_NS;
		return is_paced(e, now_ns) ? IDLE_NS : RUN_IDLE_NS;
	}
	*ahead_ns = 0;
	if (has_learned(e, now_ns) || is_paced(e, now_ns))
		return IDLE_NS;
	*ahead_ns = PLAIN_AHEAD_NS;
	if (!is_ephemeral(e))
		return IDLE_PLAIN_NS;
	*ahead_ns = EPHEMERAL_AHEAD_NS;
	return IDLE_EPHEMERAL_NS;
}

/* Frees the slot unless it turns out to be in use. */
static bool evict(const struct weir_segment *s, uint32_t slot, uint64_t idle_ns, uint64_t now_ns)
{
	uint64_t ready = index_word(s, slot), clearing = slot_word(WEIR_SLOT_CLEARING, now_ns, slot_word_hash(ready));
	struct weir_entry *e = &s->entry[slot];

	if (slot_word_state(ready) != WEIR_SLOT_READY || remembers(e, idle_ns, now_ns) || lease_scan_any(s, slot, now_ns))
		return false;
	if (!atomic_compare_exchange_strong(&s->index[slot], &ready, clearing))
		return false;
	/* Somebody may have found it between our look and our claim; nobody can from here on. */
	if (remembers(e, idle_ns, now_ns) || lease_scan_any(s, slot, now_ns)) {
		atomic_compare_exchange_strong(&s->index[slot], &clearing, ready);
		return false;
	}
	words_wipe(e, sizeof *e / sizeof(uint64_t));
	durations_release(s, slot, slot_word_hash(ready));
	return atomic_compare_exchange_strong(&s->index[slot], &clearing, 0);
}

/* Makes room in a full window: evicts the entry that is missed least. A port of a server that is gone before any other, what has
 * learned nothing before what has, and the longest idle first among these. */
static __attribute__((noinline)) bool evict_from_window(const struct weir_segment *s, uint32_t hash, uint64_t now_ns)
{
	uint64_t rank[WINDOW], idle[WINDOW];
	uint32_t refused = 0;

	for (uint32_t i = 0; i < WINDOW; i++) {
		const struct weir_entry *e = &s->entry[slot_at(s, hash, i)];
		uint64_t used = atomic_load_explicit(&e->used_ns, memory_order_relaxed), ahead_ns;
		uint64_t age = now_ns > used ? now_ns - used : used - now_ns > FUTURE_MAX_NS ? FUTURE_MAX_NS : 0;

		idle[i] = idle_for(e, now_ns, &ahead_ns);
		rank[i] = age + ahead_ns;
		if (age < idle[i])
			refused |= 1U << i;
	}
	for (uint32_t n = 0; n < WINDOW; n++) {
		uint32_t choice = WINDOW;

		for (uint32_t i = 0; i < WINDOW; i++)
			if ((refused & 1U << i) == 0 && (choice == WINDOW || rank[i] > rank[choice]))
				choice = i;
		if (choice == WINDOW)
			return false;
		if (evict(s, slot_at(s, hash, choice), idle[choice], now_ns))
			return true;
		refused |= 1U << choice;
	}
	return false;
}

/* Fills a slot that the caller has changed to CLAIMED (word `claimed`). */
static void make(const struct weir_segment *s, uint32_t slot, uint64_t claimed, const struct wanted *key, uint64_t now_ns)
{
	struct weir_entry *e = &s->entry[slot];

	/* Left dirty by one who died while clearing it, or who used it long after it was evicted. */
	words_wipe(e, sizeof *e / sizeof(uint64_t));
	durations_release(s, slot, key->hash);
	words_store(e->key, key->word, key->words);
	atomic_store_explicit(&e->used_ns, now_ns, memory_order_relaxed);
	/* Fails only when we were stopped for seconds and the slot was taken over. */
	atomic_compare_exchange_strong(&s->index[slot], &claimed, slot_word(WEIR_SLOT_READY, now_ns, key->hash));
}

static void pause_briefly(void)
{
	const struct timespec t = {0, PAUSE_NS};

	weir_syscall(SYS_nanosleep, &t, NULL); /* unlike nanosleep() no cancellation point of the program */
}

uint32_t weir_entry_acquire(const struct weir_segment *s, const char *key, uint64_t now_ns)
{
	struct wanted wanted;
	unsigned pauses = 0;

	if (!want(&wanted, key) || is_other(&wanted)) {
		touch(s, s->entries, 0, now_ns);
		return s->entries;
	}
	for (unsigned changes = 0; changes < CHANGES; changes++) {
		uint32_t room = WEIR_NONE;
		uint64_t room_word = 0;
		bool in_the_making = false;

		for (uint32_t i = 0; i < WINDOW; i++) {
			uint32_t slot = slot_at(s, wanted.hash, i);
			uint64_t w = index_word(s, slot);
			enum weir_slot_state state = slot_word_state(w);

			if (holds(s, slot, w, &wanted)) {
				if (touch(s, slot, w, now_ns))
					return slot;
				in_the_making = true; /* being evicted, or kept because of us */
			} else if (state == WEIR_SLOT_FREE || (state != WEIR_SLOT_READY && slot_word_abandoned(w, now_ns))) {
				if (room == WEIR_NONE) {
					room = slot;
					room_word = w;
				}
			} else if (state != WEIR_SLOT_READY && slot_word_hash(w) == wanted.hash) {
				in_the_making = true;
			}
		}
		if (in_the_making && pauses < PAUSES) {
			pauses++;
			pause_briefly();
		} else if (room != WEIR_NONE) {
			uint64_t claimed = slot_word(WEIR_SLOT_CLAIMED, now_ns, wanted.hash);

			if (atomic_compare_exchange_strong(&s->index[room], &room_word, claimed))
				make(s, room, claimed, &wanted, now_ns);
			/* Either way look again: the first in order counts. */
		} else if (!evict_from_window(s, wanted.hash, now_ns)) {
			break;
		}
	}
	touch(s, s->entries, 0, now_ns);
	return s->entries;
}

/* Whether the entry belongs to a run ("@PID.START/KEY") whose leader is gone. */
static bool of_ended_run(const char *key)
{
	struct weir_process p;
	uint64_t pid = 0, start = 0;

	if (*key++ != '@')
		return false;
	for (; *key >= '0' && *key <= '9' && pid <= UINT32_MAX; key++)
		pid = pid * 10 + (uint64_t)(*key - '0');
	if (*key++ != '.' || pid == 0 || pid > UINT32_MAX)
		return false;
	for (unsigned digits = 0; *key >= '0' && *key <= '9' && digits < 19; key++, digits++)
		start = start * 10 + (uint64_t)(*key - '0');
	if (*key != '/')
		return false;
	if (weir_process_gone((uint32_t)pid))
		return true;
	return start != 0 && weir_process_read(&p, (uint32_t)pid) && p.pid == pid && p.start != start;
}

uint32_t weir_entry_sweep(const struct weir_segment *s, uint64_t idle_ns, uint64_t now_ns)
{
	char key[WEIR_KEY_MAX];
	uint32_t freed = 0;

	for (uint32_t slot = 0; slot < s->entries; slot++) {
		uint64_t idle = idle_ns;

		if (slot_word_state(index_word(s, slot)) != WEIR_SLOT_READY)
			continue;
		if (idle > RUN_IDLE_NS && weir_entry_key(s, slot, key) && of_ended_run(key))
			idle = RUN_IDLE_NS;
		if (evict(s, slot, idle, now_ns))
			freed++;
	}
	return freed;
}

void weir_entry_wake(const struct weir_segment *s, uint32_t slot)
{
	struct weir_entry *e;

	if (slot > s->entries)
		return;
	e = &s->entry[slot];
	/* The waiter announces itself, then looks; we have changed something, then look for waiters: one of us sees the other. */
	if (atomic_load_explicit(&e->waiting, memory_order_seq_cst) == 0)
		return;
	atomic_fetch_add_explicit(&e->changes, 1, memory_order_seq_cst);
	futex_wake_all(&e->changes);
}

void weir_entry_wake_some(const struct weir_segment *s, uint32_t slot, uint32_t bits)
{
	struct weir_entry *e;

	if (slot > s->entries || bits == 0)
		return;
	e = &s->entry[slot];
	if (atomic_load_explicit(&e->waiting, memory_order_seq_cst) == 0)
		return;
	atomic_fetch_add_explicit(&e->changes, 1, memory_order_seq_cst);
	futex_wake_bits(&e->changes, bits);
}

bool weir_entry_any_remembers(const struct weir_segment *s, uint64_t idle_ns, uint64_t now_ns)
{
	for (uint32_t slot = 0; slot <= s->entries; slot++) {
		if (slot < s->entries && slot_word_state(index_word(s, slot)) == WEIR_SLOT_FREE)
			continue;
		if (remembers(&s->entry[slot], idle_ns, now_ns) || lease_scan_any(s, slot, now_ns))
			return true;
	}
	return false;
}
