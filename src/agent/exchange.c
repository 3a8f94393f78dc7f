/* SPDX-License-Identifier: MIT */
#include "src/agent/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/log.h"

#define DRAIN_BYTES (1U << 20) /* of a body that is too large, before the client is cut off */

void *weir_exchange_begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
	(void)cls;
	(void)connection;
	struct weir_exchange *x = calloc(1, sizeof *x);
	if (x)
		x->uri = strdup(uri);
	return x;
}

enum MHD_Result weir_exchange_take(struct weir_exchange *x, const char *data, size_t *size)
{
	if (x->received + *size > DRAIN_BYTES)
		return MHD_NO;
	x->received += *size;
	if (x->received <= WEIR_API_BODY_MAX) {
		char *body = realloc(x->body, x->received + 1);
		if (!body)
			return MHD_NO;
		memcpy(body + x->length, data, *size);
		x->length = x->received;
		body[x->length] = '\0';
		x->body = body;
	}
	*size = 0;
	return MHD_YES;
}

struct weir_api_request weir_exchange_request(const struct weir_exchange *x, struct MHD_Connection *connection,
					      const char *method)
{
	return (struct weir_api_request){
		.method = method,
		.uri = x->uri,
		.accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT),
		.content_type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE),
		.body = x->body,
		.length = x->length,
	};
}

void weir_exchange_answer(const struct weir_api *api, const struct weir_exchange *x, const struct weir_api_request *request,
			  struct weir_api_reply *reply)
{
	if (x->received > WEIR_API_BODY_MAX)
		weir_api_fail(reply, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than %d bytes", WEIR_API_BODY_MAX);
	else
		weir_api_answer(api, request, reply);
}

enum MHD_Result weir_exchange_reply(struct MHD_Connection *connection, struct weir_api_reply *reply, const char *const *headers)
{
	struct MHD_Response *response = NULL;
	if (reply->body)
		response = MHD_create_response_from_buffer(reply->length, reply->body, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(reply->body);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (reply->allow)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
	if (reply->health)
		MHD_add_response_header(response, "Weir-Health", reply->health);
	for (; headers && headers[0]; headers += 2)
		MHD_add_response_header(response, headers[0], headers[1]);
	enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

void weir_exchange_free(struct weir_exchange *x)
{
	if (!x)
		return;
	free(x->uri);
	free(x->body);
	free(x);
}

void weir_exchange_log(void *cls, const char *format, va_list arguments)
{
	char line[256];
	(void)cls;
	if (!weir_log_on(WEIR_LOG_DEBUG))
		return;
	vsnprintf(line, sizeof line, format, arguments);
	line[strcspn(line, "\n")] = '\0';
	weir_log(WEIR_LOG_DEBUG, "socket: %s", line);
}
