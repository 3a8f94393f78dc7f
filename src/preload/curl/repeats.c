/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/repeats.h"

#include <string.h>

#include "src/preload/curl/option.h"
#include "weir/repeats.h"

static struct weir_repeats seen;
static bool was_told;

/* glibc hands main's arguments to constructors, others need not. */
extern const char *gnu_get_libc_version(void) __attribute__((weak));

__attribute__((constructor)) static void look_at_command(int argc, char **argv)
{
	const char *name;

	if (!gnu_get_libc_version || argc < 2 || !argv || !argv[0])
		return;
	name = strrchr(argv[0], '/');
	if (strcmp(name ? name + 1 : argv[0], "curl") != 0)
		return;
	for (int i = 1; i < argc && argv[i]; i++)
		was_told = was_told || strcmp(argv[i], "--retry") == 0;
}

static uint64_t digest_of(const struct weir_transfer *t, const char *url)
{
	return url && url[0] != '\0' ? weir_repeats_digest(url, weir_option_method(t->known)) : 0;
}

/* Before a transfer: what the program has set, or where the last one has ended on the same handle; 0 = it is not known. After it:
 * where redirects have led. */
static uint64_t digest_of_effective(const struct weir_transfer *t)
{
	char *url = NULL;

	return t->curl->getinfo(t->handle, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK ? digest_of(t, url) : 0;
}

static uint64_t digest_of_parts(const struct weir_transfer *t)
{
	char *url = NULL;
	uint64_t digest;

	if (!t->curl->url_get || t->curl->url_get(t->known->url, CURLUPART_URL, &url, 0) != CURLUE_OK || !url)
		return 0;
	digest = digest_of(t, url);
	t->curl->free(url);
	return digest;
}

bool weir_repeats_begin(struct weir_transfer *t, uint64_t now_ns)
{
	t->again.request = t->known->url ? digest_of_parts(t) : digest_of_effective(t);
	if (was_told)
		return true;
	return t->again.request != 0 && weir_repeats_asked(&seen, t->again.request, weir_repeats_digest(t->host_port, 0), now_ns);
}

/* The URL that the program has set, which it sets again on another handle; and the one that libcurl has made of it and that the
 * same handle has then. */
void weir_repeats_end(struct weir_transfer *t, bool failed, uint64_t now_ns)
{
	uint64_t requests[2] = {t->again.request, digest_of_effective(t)};

	for (unsigned i = 0; i < 2; i++) {
		if (requests[i] == 0 || (i > 0 && requests[i] == requests[0]))
			continue;
		if (failed)
			weir_repeats_failed(&seen, requests[i], now_ns);
		else
			weir_repeats_succeeded(&seen, requests[i]);
	}
}
