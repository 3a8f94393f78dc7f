/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/asked.h"

#include <string.h>

#include "weir/http.h"

bool weir_method_is_set_by(CURLoption option)
{
	switch ((long)option) {
	case CURLOPT_CUSTOMREQUEST:
	case CURLOPT_NOBODY:
	case CURLOPT_HTTPGET:
	case CURLOPT_POST:
	case CURLOPT_POSTFIELDS:
	case CURLOPT_COPYPOSTFIELDS:
	case 10024: /* CURLOPT_HTTPPOST and CURLOPT_PUT, which new headers warn of */
	case CURLOPT_MIMEPOST:
	case CURLOPT_UPLOAD:
	case 54:
		return true;
	default:
		return false;
	}
}

/* As lib/setopt.c of libcurl has it. */
void weir_method_remember(struct weir_handle *h, CURLoption option, const void *word)
{
	bool on = (long)(intptr_t)word != 0;
	enum weir_curl_method *method = &h->method;

	switch ((long)option) {
	case CURLOPT_CUSTOMREQUEST:
		h->custom = word ? weir_method_bit(word, strlen(word)) : 0;
		h->has_custom = word != NULL;
		break;
	case CURLOPT_NOBODY:
		*method = on ? WEIR_CURL_HEAD : *method == WEIR_CURL_HEAD ? WEIR_CURL_GET : *method;
		break;
	case CURLOPT_HTTPGET:
		*method = on ? WEIR_CURL_GET : *method;
		break;
	case CURLOPT_UPLOAD:
	case 54: /* CURLOPT_PUT */
		*method = on ? WEIR_CURL_PUT : WEIR_CURL_GET;
		break;
	case CURLOPT_POST:
		*method = on ? WEIR_CURL_POST : WEIR_CURL_GET;
		break;
	default:
		*method = WEIR_CURL_POST;
	}
}

static uint32_t method_of(const struct weir_transfer *t)
{
	static const char *const names[] = {
		[WEIR_CURL_GET] = "GET", [WEIR_CURL_HEAD] = "HEAD", [WEIR_CURL_POST] = "POST", [WEIR_CURL_PUT] = "PUT"};
	char *name = NULL;

	/* A redirect may have made a GET of it, which libcurl tells while the transfer runs. */
	if (t->redirects > 0 && t->curl->getinfo(t->handle, CURLINFO_EFFECTIVE_METHOD, &name) == CURLE_OK && name)
		return weir_method_bit(name, strlen(name));
	if (!t->known || !t->known->whole)
		return 0;
	if (t->known->has_custom)
		return t->known->custom;
	return weir_method_bit(names[t->known->method], strlen(names[t->known->method]));
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
