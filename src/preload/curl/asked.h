/* SPDX-License-Identifier: MIT */
/* What a transfer's requests ask for: method and path, for rules that are narrowed by these (weir/narrow.h). */
#ifndef WEIR_CURL_ASKED_H
#define WEIR_CURL_ASKED_H

#include "src/preload/curl/handle_table.h"

/* Whether the option says which method a transfer uses. */
bool weir_method_is_set_by(CURLoption option);

/* Takes in such an option of the program's, as libcurl does. */
void weir_method_remember(struct weir_handle *h, CURLoption option, const void *word);

/* What the request in hand asks for, as far as libcurl tells; pointers into libcurl's URL, good until the next call of it.
 * Nothing where no rule asks for it. */
struct weir_asks weir_transfer_asks(const struct weir_transfer *t);

#endif
