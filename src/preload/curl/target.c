/* SPDX-License-Identifier: MIT */
/* Where a transfer goes, from what the program has set on its handle. */
#include <string.h>

#include "src/preload/curl/transfer.h"
#include "weir/http.h"

static bool from_url(const char *url, char host_port[WEIR_HOST_PORT_MAX])
{
	return url && weir_url_is_http(url) && weir_url_host_port(url, host_port);
}

static bool from_curlu(const struct weir_curl *curl, const CURLU *parts, char host_port[WEIR_HOST_PORT_MAX])
{
	char *url = NULL;
	bool good;

	if (!curl->url_get || curl->url_get(parts, CURLUPART_URL, &url, 0) != CURLUE_OK || !url)
		return false;
	good = from_url(url, host_port);
	curl->free(url);
	return good;
}

static bool from_effective_url(const struct weir_curl *curl, CURL *handle, char host_port[WEIR_HOST_PORT_MAX])
{
	char *url = NULL;

	return curl->getinfo(handle, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && from_url(url, host_port);
}

static bool with_port(char host_port[WEIR_HOST_PORT_MAX], uint16_t port)
{
	char host[WEIR_HOST_PORT_MAX], *colon;

	memcpy(host, host_port, sizeof host);
	colon = strrchr(host, ':');
	if (!colon)
		return false;
	*colon = '\0';
	return weir_host_port(host, port, host_port);
}

bool weir_transfer_target(const struct weir_handle *h, const struct weir_curl *curl, CURL *handle,
			  char host_port[WEIR_HOST_PORT_MAX])
{
	if (!h)
		return from_effective_url(curl, handle, host_port);
	if (h->local)
		return false;
	if (h->url) {
		if (!from_curlu(curl, h->url, host_port))
			return false;
	} else if (h->host_port[0] != '\0' && h->http) {
		memcpy(host_port, h->host_port, strnlen(h->host_port, sizeof h->host_port - 1) + 1);
	} else {
		return false;
	}
	return h->port == 0 || with_port(host_port, h->port);
}
