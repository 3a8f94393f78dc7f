/* SPDX-License-Identifier: MIT */
/*
 * Which name a program asked for before it connects to an address.
 *
 * One table per process, of fixed size, written by the hooks of getaddrinfo and gethostbyname* and read by connect. Several names
 * may have one address: the last that the connecting thread has asked for counts, and where it asked for none (programs look
 * names up in other threads) the last that anybody did.
 */
#ifndef WEIR_NAME_TABLE_H
#define WEIR_NAME_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define WEIR_NAME_MAX 256

/* An IPv4 address is kept as the IPv4-mapped IPv6 address. */
struct weir_address {
	uint64_t high, low;
};

/* False when it is neither IPv4 nor IPv6. *port in host order. */
bool weir_address_of(const struct sockaddr *sa, socklen_t length, struct weir_address *address, uint16_t *port);

struct weir_address weir_address_ipv4(const void *four_bytes);
struct weir_address weir_address_ipv6(const void *sixteen_bytes);

/* Whether it is one of version 4, mapped or not. */
bool weir_address_is_ipv4(struct weir_address address);

/* 127.0.0.0/8 and ::1; and the unspecified ones, which as a destination are this machine. */
bool weir_address_is_loopback(struct weir_address address);

/* As people write it: 192.0.2.1, 2001:db8::1. */
void weir_address_text(struct weir_address address, char out[WEIR_NAME_MAX]);

struct weir_name {
	char text[WEIR_NAME_MAX];
	bool more;         /* in the answer that brought this address, other addresses follow it */
	bool other_family; /* the name was found to have addresses of the other family (IPv4, IPv6) as well */
};

/* Remembers that `name` has this address, asked for by the thread `thread` (any number that is its own). more: other addresses of
 * it follow. A name that is an address itself, in whatever form, is remembered in the usual one. Lock-free: what other
 * threads write meanwhile may cost it some tries, never the name (short of 64 lost in a row). */
void weir_name_remember(struct weir_address address, const char *name, bool more, uint32_t thread);

/* The name to take for a connect to this address by `thread`; false when none was asked. */
bool weir_name_recall(struct weir_address address, uint32_t thread, struct weir_name *out);

#endif
