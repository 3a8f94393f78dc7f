/* SPDX-License-Identifier: MIT */
#include "src/preload/name/table.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#define SETS       64 /* a power of two */
#define WAYS       4  /* places for one address: 256 addresses in all */
#define NAME_WORDS (WEIR_NAME_MAX / 8)
#define READ_TRIES 64

/* Readers copy a place and then look whether its version has changed; an odd version is being written. A writer that never came
 * back (its process was forked from another thread meanwhile) costs one place. */
struct place {
	_Atomic uint32_t version;
	_Atomic uint32_t age; /* when it was written, on the table's own clock: the oldest goes */
	_Atomic uint64_t high, low;
	_Atomic uint64_t more;
	_Atomic uint64_t name[NAME_WORDS];
};

static struct place table[SETS][WAYS];
static _Atomic uint32_t clock_now;

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

bool weir_address_is_loopback(struct weir_address address)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	unsigned char bytes[16];

	memcpy(bytes, &address, sizeof bytes);
	if (memcmp(bytes, mapped, sizeof mapped) == 0)
		return bytes[12] == 127;
	return memcmp(bytes, &in6addr_loopback, sizeof bytes) == 0;
}

void weir_address_text(struct weir_address address, char out[WEIR_NAME_MAX])
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	unsigned char bytes[16];

	memcpy(bytes, &address, sizeof bytes);
	if (memcmp(bytes, mapped, sizeof mapped) == 0)
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

static struct place *place_for(struct weir_address a)
{
	struct place *set = set_of(a), *oldest = &set[0];

	for (unsigned i = 0; i < WAYS; i++) {
		if (is_for(&set[i], a))
			return &set[i];
		if (atomic_load_explicit(&set[i].age, memory_order_relaxed) <
		    atomic_load_explicit(&oldest->age, memory_order_relaxed))
			oldest = &set[i];
	}
	return oldest;
}

static void write(struct place *p, struct weir_address a, const uint64_t name[NAME_WORDS], bool more)
{
	uint32_t version = atomic_load_explicit(&p->version, memory_order_relaxed);
	uint32_t age = atomic_fetch_add_explicit(&clock_now, 1, memory_order_relaxed) + 1;

	if ((version & 1) != 0 || !atomic_compare_exchange_strong_explicit(&p->version, &version, version + 1,
									   memory_order_relaxed, memory_order_relaxed))
		return;
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&p->high, a.high, memory_order_relaxed);
	atomic_store_explicit(&p->low, a.low, memory_order_relaxed);
	atomic_store_explicit(&p->age, age != 0 ? age : 1, memory_order_relaxed);
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

void weir_name_remember(struct weir_address address, const char *name, bool more)
{
	uint64_t words[NAME_WORDS] = {0}, there[NAME_WORDS];
	char text[WEIR_NAME_MAX];
	struct place *p = place_for(address);
	size_t length;
	bool more_there;

	if (is_an_address(name)) {
		weir_address_text(address, text);
		name = text;
	}
	length = strlen(name);
	if (length != 0 && name[length - 1] == '.')
		length--; /* "example.org." is example.org */
	if (length == 0 || length >= sizeof words)
		return;
	memcpy(words, name, length);
	/* The common case, the same name again, writes nothing. */
	if (copy(p, address, there, &more_there) && more_there == more && memcmp(there, words, sizeof words) == 0)
		return;
	write(p, address, words, more);
}

bool weir_name_recall(struct weir_address address, char name[WEIR_NAME_MAX], bool *more)
{
	struct place *set = set_of(address);
	uint64_t words[NAME_WORDS];

	for (unsigned i = 0; i < WAYS; i++) {
		if (!copy(&set[i], address, words, more))
			continue;
		memcpy(name, words, sizeof words);
		name[WEIR_NAME_MAX - 1] = '\0';
		return true;
	}
	return false;
}
