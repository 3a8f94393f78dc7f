/* SPDX-License-Identifier: MIT */
/*
 * Hooks of getaddrinfo, gethostbyname, gethostbyname2 and their _r forms: they remember which name was asked for an address.
 * Results, errno and h_errno are those of the real functions.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/environment.h"
#include "src/preload/core/find_real.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/room.h"
#include "src/preload/name/table.h"
#include "weir/kernel.h"

/* A name with more addresses than this is not looked at further. */
#define ADDRESSES_MAX 64

/* Whether a name for a loopback address is this machine's own. Programs ask for it to call themselves something (Python's
 * getfqdn), and /etc/hosts may have it beside localhost: what connects to the address has not asked for that. */
static bool is_own_name(const char *name, struct weir_address address)
{
	struct utsname u;
	size_t n;

	if (!weir_address_is_loopback(address) || !weir_kernel_allows(SYS_uname) || weir_syscall(SYS_uname, &u) != 0)
		return false;
	n = strnlen(u.nodename, sizeof u.nodename);
	return n > 0 && strcasecmp(u.nodename, "localhost") != 0 && strncasecmp(name, u.nodename, n) == 0 &&
	       (name[n] == '\0' || name[n] == '.');
}

static void remember(const char *name, struct weir_address address, bool more)
{
	if (!is_own_name(name, address))
		weir_name_remember(address, name, more, weir_thread_id());
}

static bool next_distinct(const struct addrinfo *ai, struct weir_address than, const struct addrinfo **next)
{
	struct weir_address a;
	uint16_t port;

	/* One address comes once for each type of socket. */
	for (ai = ai->ai_next; ai; ai = ai->ai_next) {
		if (!weir_address_of(ai->ai_addr, ai->ai_addrlen, &a, &port))
			continue;
		if (a.high != than.high || a.low != than.low)
			break;
	}
	*next = ai;
	return ai != NULL;
}

static void remember_list(const char *name, const struct addrinfo *list)
{
	struct weir_address address;
	uint16_t port;

	for (unsigned i = 0; list && i < ADDRESSES_MAX; i++) {
		const struct addrinfo *next = list->ai_next;

		if (weir_address_of(list->ai_addr, list->ai_addrlen, &address, &port))
			remember(name, address, next_distinct(list, address, &next));
		list = next;
	}
}

WEIR_HOOK int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	const struct weir_libc *libc = weir_libc();
	int answer, saved;

	if (!libc->getaddrinfo)
		return EAI_SYSTEM;
	answer = libc->getaddrinfo(node, service, hints, result);
	if (weir_disabled())
		return answer;
	saved = errno;
	if (answer == 0 && node && result)
		remember_list(node, *result);
	weir_rooms_sweep();
	errno = saved;
	return answer;
}

static void remember_host(const char *name, const struct hostent *h)
{
	int saved = errno;

	if (!h || !name || weir_disabled() || !h->h_addr_list)
		return;
	for (unsigned i = 0; h->h_addr_list[i] && i < ADDRESSES_MAX; i++) {
		bool more = h->h_addr_list[i + 1] != NULL;

		if (h->h_addrtype == AF_INET && h->h_length == 4)
			remember(name, weir_address_ipv4(h->h_addr_list[i]), more);
		else if (h->h_addrtype == AF_INET6 && h->h_length == 16)
			remember(name, weir_address_ipv6(h->h_addr_list[i]), more);
	}
	errno = saved;
}

WEIR_HOOK struct hostent *gethostbyname(const char *name)
{
	const struct weir_libc *libc = weir_libc();
	struct hostent *h = libc->gethostbyname ? libc->gethostbyname(name) : NULL;

	remember_host(name, h);
	return h;
}

WEIR_HOOK struct hostent *gethostbyname2(const char *name, int family)
{
	const struct weir_libc *libc = weir_libc();
	struct hostent *h = libc->gethostbyname2 ? libc->gethostbyname2(name, family) : NULL;

	remember_host(name, h);
	return h;
}

WEIR_HOOK int gethostbyname_r(const char *name, struct hostent *ret, char *buffer, size_t size, struct hostent **result,
			      int *h_errnop)
{
	const struct weir_libc *libc = weir_libc();
	int answer = libc->gethostbyname_r ? libc->gethostbyname_r(name, ret, buffer, size, result, h_errnop) : ENOSYS;

	if (answer == 0)
		remember_host(name, *result);
	return answer;
}

WEIR_HOOK int gethostbyname2_r(const char *name, int family, struct hostent *ret, char *buffer, size_t size,
			       struct hostent **result, int *h_errnop)
{
	const struct weir_libc *libc = weir_libc();
	int answer = libc->gethostbyname2_r ? libc->gethostbyname2_r(name, family, ret, buffer, size, result, h_errnop) : ENOSYS;

	if (answer == 0)
		remember_host(name, *result);
	return answer;
}
