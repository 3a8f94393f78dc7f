/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/connects.h"

#include "src/preload/core/flight.h"
#include "src/preload/curl/transfer.h"

static int sockopt(void *data, curl_socket_t fd, curlsocktype purpose)
{
	CURL *handle = data;
	struct weir_handle *h = weir_handle_find(handle);
	struct weir_flight_watch watch;
	struct weir_transfer *t;
	int answer;

	if (!h)
		return CURL_SOCKOPT_OK;
	answer = h->sockopt ? h->sockopt(h->sockopt_data, fd, purpose) : CURL_SOCKOPT_OK;
	t = weir_handle_transfer(h);
	if (answer == CURL_SOCKOPT_OK && t->multi && t->handle == handle) {
		watch = weir_transfer_watch(t);
		weir_flight_expect(&watch);
	}
	return answer;
}

bool weir_connects_mark(const struct weir_curl *curl, CURL *handle, struct weir_handle *h)
{
	if (!h->marked && h->whole)
		h->marked = curl->setopt(handle, CURLOPT_SOCKOPTDATA, handle) == CURLE_OK &&
			    curl->setopt(handle, CURLOPT_SOCKOPTFUNCTION, sockopt) == CURLE_OK;
	return h->marked;
}

void weir_connects_copied(const struct weir_curl *curl, CURL *copy, const struct weir_handle *original,
			  const struct weir_handle *h)
{
	if (!original->marked)
		return;
	if (!h)
		curl->setopt(copy, CURLOPT_SOCKOPTFUNCTION, original->sockopt);
	curl->setopt(copy, CURLOPT_SOCKOPTDATA, h ? copy : original->sockopt_data);
}
