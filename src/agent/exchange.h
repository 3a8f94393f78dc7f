/* SPDX-License-Identifier: MIT */
/* One HTTP request while it comes in by libmicrohttpd, and the reply to it: what the socket and the listener have in common. */
#ifndef WEIR_AGENT_EXCHANGE_H
#define WEIR_AGENT_EXCHANGE_H

#include <microhttpd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "src/agent/api.h"

struct weir_exchange {
	char *uri; /* as it was sent; NULL: memory was short */
	char *body;
	size_t length, received;
	bool begun; /* its headers have been seen */
};

/* MHD_OPTION_URI_LOG_CALLBACK: makes the exchange, which becomes the request's context. The URI as it was sent: libmicrohttpd
 * hands it on decoded later, and then %2F and / are one. */
void *weir_exchange_begin(void *cls, const char *uri, struct MHD_Connection *connection);

/* Keeps what fits of a body; the rest is counted, so that the client can be told instead of being cut off in the middle of its
 * sending. */
enum MHD_Result weir_exchange_take(struct weir_exchange *x, const char *data, size_t *size);

/* The request as the API wants it; its texts last as long as the exchange and the connection. */
struct weir_api_request weir_exchange_request(const struct weir_exchange *x, struct MHD_Connection *connection,
					      const char *method);

/* Answers a request whose body is whole. */
void weir_exchange_answer(const struct weir_api *api, const struct weir_exchange *x, const struct weir_api_request *request,
			  struct weir_api_reply *reply);

/* Sends a reply and frees its body. `headers`: further ones, name and value in turn, NULL at the end; may be NULL. */
enum MHD_Result weir_exchange_reply(struct MHD_Connection *connection, struct weir_api_reply *reply, const char *const *headers);

void weir_exchange_free(struct weir_exchange *x);

/* MHD_OPTION_EXTERNAL_LOGGER: into weir's log, at debug. */
void weir_exchange_log(void *cls, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

#endif
