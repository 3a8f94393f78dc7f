/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "weir/http.h"

static bool ends_with(const char *text, size_t length, const char *end)
{
	size_t n = strlen(end);

	return length >= n && memcmp(text + length - n, end, n) == 0;
}

/* Keys are lower case and write addresses in one way each (host.c), so this is a comparison of texts. */
bool weir_host_is_loopback(const char *host_port)
{
	const char *colon = strrchr(host_port, ':');
	size_t length = colon ? (size_t)(colon - host_port) : strlen(host_port);

	if (length == 3 && memcmp(host_port, "::1", 3) == 0)
		return true;
	/* As the destination of a connect the unspecified address is this machine. */
	if ((length == 2 && memcmp(host_port, "::", 2) == 0) || (length == 7 && memcmp(host_port, "0.0.0.0", 7) == 0))
		return true;
	if (length > 4 && memcmp(host_port, "127.", 4) == 0)
		return strspn(host_port, "0123456789.") >= length;
	return (length == 9 && memcmp(host_port, "localhost", 9) == 0) || ends_with(host_port, length, ".localhost");
}
