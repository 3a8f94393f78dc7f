/* SPDX-License-Identifier: MIT */
#include "src/preload/name/table.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#define SETS        64 /* a power of two */
#define WAYS        8  /* places for addresses with one hash, and for the names of one address: 512 in all */
#define NAME_WORDS  (WEIR_NAME_MAX / 8)
#define READ_TRIES  64
#define WRITE_TRIES 64  /* a try is lost to another thread that has written something meanwhile */
#define FAMILIES    512 /* names whose families are remembered; a power of two */
#define ASKED       256 /* who asked for what last, four of one hash each; a power of two */
#define ASKED_WAYS  4

/* Readers copy a place and then look whether its version has changed; an odd version is being written. A writer that never came
 * back (its process was forked from another thread meanwhile) costs one place. */
struct place {
	_Atomic uint32_t version;
	_Atomic uint32_t age;       /* when its name was asked for last, on the table's own clock: the oldest goes */
	_Atomic uint32_t name_hash; /* of `name`, as in `asked` */
	_Atomic uint64_t high, low;
	_Atomic uint64_t more;
	_Atomic uint64_t name[NAME_WORDS];
};

static struct place table[SETS][WAYS];
static _Atomic uint32_t clock_now;

/* By thread and address: hash of the two (upper half) | hash of the name that this thread asked for last (lower half). A thread's
 * word is its own: others may have asked for the same name since. The oldest of a set goes; who has none takes the last of all.
 */
static struct asked {
	_Atomic uint64_t word[ASKED_WAYS];
	_Atomic uint32_t next; /* the way that goes next */
} asked[ASKED];
#define NAME_BITS UINT64_C(0xffffffff)

/* Of names, by their hash: hash (all but two bits) | which families were found. A collision forgets a name's families, or, for
 * two names in 2^62, mixes them. */
static _Atomic uint64_t families[FAMILIES];
#define HAS_IPV4      UINT64_C(1)
#define HAS_IPV6      UINT64_C(2)
#define BOTH_FAMILIES (HAS_IPV4 | HAS_IPV6)

struct weir_address weir_address_ipv6(const void *sixteen_bytes)
{
	struct weir_address a;

	memcpy(&a, sixteen_bytes, sizeof a);
	return a;
}

struct weir_address weir_address_ipv4(const void *four_bytes)
{
	unsigned char mapped[16] = {[10] = 0xff, [11] = 0xff};

	memcpy(mapped + 12, four_bytes, 4);
	return weir_address_ipv6(mapped);
}

bool weir_address_of(const struct sockaddr *sa, socklen_t length, struct weir_address *address, uint16_t *port)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (!sa || length < sizeof sa->sa_family)
		return false;
	if (sa->sa_family == AF_INET && length >= sizeof in) {
		memcpy(&in, sa, sizeof in);
		*address = weir_address_ipv4(&in.sin_addr);
		*port = ntohs(in.sin_port);
		return true;
	}
	/* Without the scope id, which came later (RFC 2553), it is an address as well. */
	if (sa->sa_family == AF_INET6 && length >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
		memcpy(&in6, sa, offsetof(struct sockaddr_in6, sin6_scope_id));
		*address = weir_address_ipv6(&in6.sin6_addr);
		*port = ntohs(in6.sin6_port);
		return true;
	}
	return false;
}

static bool is_ipv4(const unsigned char bytes[16])
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(bytes, mapped, sizeof mapped) == 0;
}

bool weir_address_is_ipv4(struct weir_address address)
{
	unsigned char bytes[16];

	memcpy(bytes, &address, sizeof bytes);
	return is_ipv4(bytes);
}

bool weir_address_is_loopback(struct weir_address address)
{
	static const unsigned char nothing[16];
	unsigned char bytes[16];

	memcpy(bytes, &address, sizeof bytes);
	if (is_ipv4(bytes))
		return bytes[12] == 127 || memcmp(bytes + 12, nothing, 4) == 0;
	return memcmp(bytes, &in6addr_loopback, sizeof bytes) == 0 || memcmp(bytes, nothing, sizeof bytes) == 0;
}

void weir_address_text(struct weir_address address, char out[WEIR_NAME_MAX])
{
	unsigned char bytes[16];

	memcpy(bytes, &address, sizeof bytes);
	if (is_ipv4(bytes))
		inet_ntop(AF_INET, bytes + 12, out, WEIR_NAME_MAX);
	else
		inet_ntop(AF_INET6, bytes, out, WEIR_NAME_MAX);
}

static struct place *set_of(struct weir_address a)
{
	uint64_t h = (a.high ^ (a.low * UINT64_C(0x9e3779b97f4a7c15))) * UINT64_C(0xbf58476d1ce4e5b9);

	return table[(h >> 40) & (SETS - 1)];
}

static bool is_for(const struct place *p, struct weir_address a)
{
	return atomic_load_explicit(&p->high, memory_order_relaxed) == a.high &&
	       atomic_load_explicit(&p->low, memory_order_relaxed) == a.low &&
	       atomic_load_explicit(&p->age, memory_order_relaxed) != 0;
}

/* Copies a place. False when it is not for this address, or does not stand still. */
static bool copy(const struct place *p, struct weir_address a, uint64_t name[NAME_WORDS], bool *more)
{
	for (unsigned i = 0; i < READ_TRIES; i++) {
		uint32_t before = atomic_load_explicit(&p->version, memory_order_acquire);

		if (!is_for(p, a))
			return false;
		for (unsigned w = 0; w < NAME_WORDS; w++)
			name[w] = atomic_load_explicit(&p->name[w], memory_order_relaxed);
		*more = atomic_load_explicit(&p->more, memory_order_relaxed) != 0;
		atomic_thread_fence(memory_order_acquire);
		if ((before & 1) == 0 && before == atomic_load_explicit(&p->version, memory_order_relaxed))
			return is_for(p, a);
	}
	return false;
}

/* Later on the table's clock, which wraps. */
static bool later(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static uint32_t age_of(const struct place *p)
{
	return atomic_load_explicit(&p->age, memory_order_relaxed);
}

static uint32_t tick(void)
{
	uint32_t now = atomic_fetch_add_explicit(&clock_now, 1, memory_order_relaxed) + 1;

	return now != 0 ? now : 1; /* 0: never written */
}

struct choice {
	struct place *place; /* NULL: all are being written */
	uint32_t version;    /* its version before it was looked at */
	bool there;          /* it has this very name already */
	uint32_t age;        /* as it was then: compared with what it has become, a place of this moment could be chosen */
};

/* The place of this very name, or else the one to give up: an unused one, or the oldest of the set. One that is being written is
 * left alone: its writer may never come back. */
static struct choice choose(struct weir_address a, const uint64_t name[NAME_WORDS], bool more)
{
	struct place *set = set_of(a);
	struct choice chosen = {0};
	uint64_t found[NAME_WORDS];
	bool found_more;

	for (unsigned i = 0; i < WAYS; i++) {
		uint32_t version = atomic_load_explicit(&set[i].version, memory_order_acquire);
		uint32_t age = age_of(&set[i]);

		if ((version & 1) != 0)
			continue;
		if (copy(&set[i], a, found, &found_more) && memcmp(found, name, sizeof found) == 0)
			return (struct choice){&set[i], version, found_more == more, age};
		if (!chosen.place || (chosen.age != 0 && (age == 0 || later(chosen.age, age))))
			chosen = (struct choice){&set[i], version, false, age};
	}
	return chosen;
}

/* False when another thread has written there since it was chosen. */
static bool write(const struct choice *c, struct weir_address a, const uint64_t name[NAME_WORDS], bool more, uint32_t name_hash)
{
	struct place *p = c->place;
	uint32_t version = c->version;

	if (!atomic_compare_exchange_strong_explicit(&p->version, &version, version + 1, memory_order_relaxed,
						     memory_order_relaxed))
		return false;
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&p->high, a.high, memory_order_relaxed);
	atomic_store_explicit(&p->low, a.low, memory_order_relaxed);
	atomic_store_explicit(&p->age, tick(), memory_order_relaxed);
	atomic_store_explicit(&p->name_hash, name_hash, memory_order_relaxed);
	atomic_store_explicit(&p->more, more, memory_order_relaxed);
	for (unsigned w = 0; w < NAME_WORDS; w++)
		atomic_store_explicit(&p->name[w], name[w], memory_order_relaxed);
	atomic_store_explicit(&p->version, version + 2, memory_order_release);
	return true;
}

/* The common case, the same name again. False when the place was given to another name meanwhile. */
static bool refresh(const struct choice *c)
{
	atomic_store_explicit(&c->place->age, tick(), memory_order_relaxed);
	return atomic_load_explicit(&c->place->version, memory_order_relaxed) == c->version;
}

/* 127.1 and 0x7f000001 are 127.0.0.1, and only an IPv6 address has a colon. */
static bool is_an_address(const char *name)
{
	struct in_addr ignored;

	return strchr(name, ':') || inet_aton(name, &ignored);
}

static uint64_t hash_of(const uint64_t name[NAME_WORDS])
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (unsigned w = 0; w < NAME_WORDS && name[w] != 0; w++)
		h = (h ^ name[w]) * UINT64_C(0x9e3779b97f4a7c15), h ^= h >> 29;
	return h & ~BOTH_FAMILIES;
}

static void remember_family(struct weir_address a, const uint64_t name[NAME_WORDS])
{
	uint64_t hash = hash_of(name), bit, word;
	_Atomic uint64_t *place = &families[(hash >> 40) & (FAMILIES - 1)];
	unsigned char bytes[16];

	memcpy(bytes, &a, sizeof bytes);
	bit = is_ipv4(bytes) ? HAS_IPV4 : HAS_IPV6;
	word = atomic_load_explicit(place, memory_order_relaxed);
	if ((word & ~BOTH_FAMILIES) != hash)
		word = hash;
	atomic_store_explicit(place, word | bit, memory_order_relaxed);
}

static bool has_both_families(const uint64_t name[NAME_WORDS])
{
	uint64_t hash = hash_of(name);

	return atomic_load_explicit(&families[(hash >> 40) & (FAMILIES - 1)], memory_order_relaxed) == (hash | BOTH_FAMILIES);
}

/* Thread and address in the upper half of a word; never 0, which is what an unused word has. */
static uint64_t asker(struct weir_address a, uint32_t thread)
{
	uint64_t h = (a.high ^ (a.low * UINT64_C(0x9e3779b97f4a7c15)) ^ thread) * UINT64_C(0xbf58476d1ce4e5b9);

	h = (h ^ h >> 29) * UINT64_C(0x94d049bb133111eb);
	return (h | UINT64_C(1) << 63) & ~NAME_BITS;
}

/* The word of a thread and an address, or NULL. */
static _Atomic uint64_t *find_asked(struct asked *set, uint64_t who)
{
	for (unsigned i = 0; i < ASKED_WAYS; i++)
		if ((atomic_load_explicit(&set->word[i], memory_order_relaxed) & ~NAME_BITS) == who)
			return &set->word[i];
	return NULL;
}

static struct asked *asked_set(uint64_t who)
{
	return &asked[(who >> 32) & (ASKED - 1)];
}

static void remember_asked(uint64_t who, uint32_t name_hash)
{
	struct asked *set = asked_set(who);
	_Atomic uint64_t *word = find_asked(set, who);

	if (!word)
		word = &set->word[atomic_fetch_add_explicit(&set->next, 1, memory_order_relaxed) & (ASKED_WAYS - 1)];
	atomic_store_explicit(word, who | name_hash, memory_order_relaxed);
}

/* The hash of the name that it asked for last. False when that is not known. */
static bool recall_asked(uint64_t who, uint32_t *name_hash)
{
	const _Atomic uint64_t *word = find_asked(asked_set(who), who);
	uint64_t value = word ? atomic_load_explicit(word, memory_order_relaxed) : 0;

	*name_hash = (uint32_t)value;
	return (value & ~NAME_BITS) == who;
}

void weir_name_remember(struct weir_address address, const char *name, bool more, uint32_t thread)
{
	uint64_t words[NAME_WORDS] = {0};
	char text[WEIR_NAME_MAX];
	uint32_t name_hash;
	size_t length;

	if (is_an_address(name)) {
		weir_address_text(address, text);
		name = text;
	}
	length = strnlen(name, WEIR_NAME_MAX + 1);
	if (length != 0 && name[length - 1] == '.')
		length--; /* "example.org." is example.org */
	if (length == 0 || length >= sizeof words)
		return;
	memcpy(words, name, length);
	remember_family(address, words);
	name_hash = (uint32_t)(hash_of(words) >> 32);
	remember_asked(asker(address, thread), name_hash);
	for (unsigned i = 0; i < WRITE_TRIES; i++) {
		struct choice c = choose(address, words, more);

		if (c.place && (c.there ? refresh(&c) : write(&c, address, words, more, name_hash)))
			return;
	}
}

/* The place to believe: what this thread asked for last, else the last of all. */
static const struct place *best_of(const struct place set[WAYS], struct weir_address a, uint32_t thread)
{
	uint32_t hash;
	bool known = recall_asked(asker(a, thread), &hash);
	const struct place *best = NULL;

	for (unsigned i = 0; i < WAYS; i++) {
		if (!is_for(&set[i], a))
			continue;
		if (known && atomic_load_explicit(&set[i].name_hash, memory_order_relaxed) == hash)
			return &set[i];
		if (!best || later(age_of(&set[i]), age_of(best)))
			best = &set[i];
	}
	return best;
}

bool weir_name_recall(struct weir_address address, uint32_t thread, struct weir_name *out)
{
	const struct place *p = best_of(set_of(address), address, thread);
	uint64_t words[NAME_WORDS];

	if (!p || !copy(p, address, words, &out->more))
		return false;
	out->other_family = has_both_families(words);
	memcpy(out->text, words, sizeof words);
	out->text[WEIR_NAME_MAX - 1] = '\0';
	return true;
}
