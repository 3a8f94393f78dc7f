/* SPDX-License-Identifier: MIT */
/* What is remembered of the options that say what a request sends and who receives the answer (handle_table.h). */
#ifndef WEIR_CURL_OPTION_H
#define WEIR_CURL_OPTION_H

#include <stdbool.h>

#include "src/preload/curl/handle_table.h"

/* Notes the option. False when it is none of these. */
bool weir_option_note(struct weir_handle *h, CURLoption option, void *word);

/* Whether it is one of these. */
bool weir_option_is_noted(CURLoption option);

/* Whether weir's callback is in the program's place, so that libcurl is not to be told. */
bool weir_option_is_withheld(const struct weir_handle *h, CURLoption option);

/* The request's method: its weir_method_bit, 0 = one without; and as weir_attempt has it, 0 = none of weir/retry.h. */
uint32_t weir_option_method(const struct weir_handle *h);
uint32_t weir_option_retry_method(const struct weir_handle *h);

#endif
