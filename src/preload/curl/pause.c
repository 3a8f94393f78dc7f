/* SPDX-License-Identifier: MIT */
/* The hook of curl_easy_pause: where weir has paused a transfer (held.h), it stays so for sending, whatever else the program
 * wants. */
#include "src/preload/core/hook.h"
#include "src/preload/curl/held.h"
#include "src/preload/curl/transfer.h"

WEIR_HOOK CURLcode curl_easy_pause(CURL *handle, int action)
{
	const struct weir_curl *curl = weir_transfer_inner(__builtin_return_address(0));
	struct weir_handle *h;

	if (curl && curl->pause)
		return curl->pause(handle, action);
	h = weir_handle_find(handle);
	curl = weir_handle_library(h, __builtin_return_address(0));
	if (!curl || !curl->pause)
		return CURLE_FAILED_INIT;
	return curl->pause(handle, h ? weir_held_paused(weir_handle_transfer(h), action) : action);
}
