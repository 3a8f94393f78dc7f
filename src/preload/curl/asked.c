/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/asked.h"

#include <string.h>

#include "src/preload/curl/option.h"
#include "weir/http.h"

static uint32_t method_of(const struct weir_transfer *t)
{
	char *name = NULL;

	/* A redirect may have made a GET of it, which libcurl tells while the transfer runs. */
	if (t->redirects > 0 && t->curl->getinfo(t->handle, CURLINFO_EFFECTIVE_METHOD, &name) == CURLE_OK && name)
		return weir_method_bit(name, strlen(name));
	return t->known && t->known->whole ? weir_option_method(t->known) : 0;
}

__attribute__((noinline)) static void see(const struct weir_transfer *t, struct weir_asks *asks)
{
	char *url = NULL;

	asks->method = method_of(t);
	if (t->curl->getinfo(t->handle, CURLINFO_EFFECTIVE_URL, &url) != CURLE_OK || !url || url[0] == '\0')
		return;
	/* Of a handle that is used again libcurl may still tell where its last transfer was led to. */
	if (t->redirects == 0 && t->known && (t->known->url || weir_url_path(url) != t->known->path))
		return;
	asks->path = weir_url_path_text(url, strnlen(url, WEIR_PATH_SEEN_MAX + WEIR_HOST_PORT_MAX), &asks->path_bytes);
}

struct weir_asks weir_transfer_asks(const struct weir_transfer *t)
{
	struct weir_asks asks = {NULL, 0, 0};

	if (weir_gate_narrows(t->gate))
		see(t, &asks);
	return asks;
}
