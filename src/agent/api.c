/* SPDX-License-Identifier: MIT */
#include "src/agent/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void weir_api_fail(struct weir_api_reply *reply, unsigned status, const char *why, ...)
{
	char *body = NULL;
	va_list arguments;
	va_start(arguments, why);
	if (vasprintf(&body, why, arguments) < 0)
		body = NULL;
	va_end(arguments);
	memset(reply, 0, sizeof *reply);
	reply->status = status;
	reply->content_type = "text/plain";
	reply->body = body;
	reply->length = body ? strlen(body) : 0;
}

void weir_api_answer(const struct weir_api *api, const struct weir_api_request *request, struct weir_api_reply *reply)
{
	(void)api;
	(void)request;
	weir_api_fail(reply, 404, "no such resource");
}
