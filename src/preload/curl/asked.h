/* SPDX-License-Identifier: MIT */
/* What a transfer's requests ask for: method and path, for rules that are narrowed by these (weir/narrow.h). */
#ifndef WEIR_CURL_ASKED_H
#define WEIR_CURL_ASKED_H

#include "src/preload/curl/handle_table.h"

/* What the request in hand asks for, as far as libcurl tells; pointers into libcurl's URL, good until the next call of it.
 * Nothing where no rule asks for it. */
struct weir_asks weir_transfer_asks(const struct weir_transfer *t);

#endif
