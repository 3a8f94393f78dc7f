/* SPDX-License-Identifier: MIT */
/* The page at / of the listener. */
#ifndef WEIR_AGENT_DASHBOARD_H
#define WEIR_AGENT_DASHBOARD_H

#include <stddef.h>

#define WEIR_NONCE_MAX 33

/* The page with this nonce (hexadecimal) in its script and style elements; to be freed, NULL when memory is short. */
char *weir_dashboard_page(const char *nonce, size_t *length);

#endif
