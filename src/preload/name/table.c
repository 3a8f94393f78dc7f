/* SPDX-License-Identifier: MIT */
#include "src/preload/name/table.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#define SETS       64 /* a power of two */
#define WAYS       8  /* places for addresses with one hash, and for the names of one address: 512 in all */
#define NAME_WORDS (WEIR_NAME_MAX / 8)
#define READ_TRIES 64
#define FAMILIES   512 /* names whose families are remembered; a power of two */

/* Readers copy a place and then look whether its version has changed; an odd version is being written. A writer that never came
 * back (its process was forked from another thread meanwhile) costs one place. */
struct place {
	_Atomic uint32_t version;
	_Atomic uint32_t age;    /* when its name was asked for last, on the table's own clock: the oldest goes */
	_Atomic uint32_t thread; /* who asked */
	_Atomic uint64_t high, low;
	_Atomic uint64_t more;
	_Atomic uint64_t name[NAME_WORDS];
};

static struct place table[SETS][WAYS];
static _Atomic uint32_t clock_now;

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

bool weir_address_is_loopback(struct weir_address address)
{
	unsigned char bytes[16];

	memcpy(bytes, &address, sizeof bytes);
	return is_ipv4(bytes) ? bytes[12] == 127 : memcmp(bytes, &in6addr_loopback, sizeof bytes) == 0;
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

/* The place of this very name, or else the one to give up: an unused one, or the oldest of the set. */
static struct place *place_for(struct weir_address a, const uint64_t name[NAME_WORDS], bool more, bool *there)
{
	struct place *set = set_of(a), *oldest = &set[0];
	uint64_t found[NAME_WORDS];
	bool found_more;

	for (unsigned i = 0; i < WAYS; i++) {
		if (copy(&set[i], a, found, &found_more) && memcmp(found, name, sizeof found) == 0) {
			*there = found_more == more;
			return &set[i];
		}
		if (age_of(oldest) != 0 && (age_of(&set[i]) == 0 || later(age_of(oldest), age_of(&set[i]))))
			oldest = &set[i];
	}
	*there = false;
	return oldest;
}

static void write(struct place *p, struct weir_address a, const uint64_t name[NAME_WORDS], bool more, uint32_t thread)
{
	uint32_t version = atomic_load_explicit(&p->version, memory_order_relaxed);

	if ((version & 1) != 0 || !atomic_compare_exchange_strong_explicit(&p->version, &version, version + 1,
									   memory_order_relaxed, memory_order_relaxed))
		return;
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&p->high, a.high, memory_order_relaxed);
	atomic_store_explicit(&p->low, a.low, memory_order_relaxed);
	atomic_store_explicit(&p->age, tick(), memory_order_relaxed);
	atomic_store_explicit(&p->thread, thread, memory_order_relaxed);
	atomic_store_explicit(&p->more, more, memory_order_relaxed);
	for (unsigned w = 0; w < NAME_WORDS; w++)
		atomic_store_explicit(&p->name[w], name[w], memory_order_relaxed);
	atomic_store_explicit(&p->version, version + 2, memory_order_release);
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

void weir_name_remember(struct weir_address address, const char *name, bool more, uint32_t thread)
{
	uint64_t words[NAME_WORDS] = {0};
	char text[WEIR_NAME_MAX];
	struct place *p;
	size_t length;
	bool there;

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
	p = place_for(address, words, more, &there);
	if (!there) {
		write(p, address, words, more, thread);
		return;
	}
	/* The common case, the same name again: who asked last, and when. */
	atomic_store_explicit(&p->age, tick(), memory_order_relaxed);
	atomic_store_explicit(&p->thread, thread, memory_order_relaxed);
}

/* The place to believe: this thread's last, else the last of all. */
static const struct place *best_of(const struct place set[WAYS], struct weir_address a, uint32_t thread)
{
	const struct place *best = NULL;
	bool mine = false;

	for (unsigned i = 0; i < WAYS; i++) {
		bool asked = atomic_load_explicit(&set[i].thread, memory_order_relaxed) == thread;

		if (!is_for(&set[i], a) || (mine && !asked))
			continue;
		if (!best || (asked && !mine) || later(age_of(&set[i]), age_of(best)))
			best = &set[i];
		mine |= asked;
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
