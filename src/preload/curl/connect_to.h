/* SPDX-License-Identifier: MIT */
/* CURLOPT_CONNECT_TO: a program has a host's requests go to another place. */
#ifndef WEIR_CURL_CONNECT_TO_H
#define WEIR_CURL_CONNECT_TO_H

#include <stdbool.h>

#include "src/preload/curl/library.h"
#include "weir/http.h"

/* Where libcurl connects to for `host_port`, as lib/url.c, parse_connect_to_slist(), has it: the first line counts that names the
 * host. False, and `out` unchanged: to itself. The list is the program's, and only to be read while libcurl may. */
bool weir_connect_to(const struct curl_slist *list, const char *host_port, char out[WEIR_HOST_PORT_MAX]);

#endif
