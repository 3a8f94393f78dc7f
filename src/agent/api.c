/* SPDX-License-Identifier: MIT */
#include "src/agent/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/agent/api_call.h"
#include "src/agent/host_name.h"
#include "src/stats/render.h"
#include "weir/gate.h"

static const struct route {
	const char *method, *path; /* "*" stands for the host */
	weir_answer *answer;
} routes[] = {
	{"GET", "/healthz", weir_answer_health},
	{"GET", "/metrics", weir_answer_metrics},
	{"GET", "/v1/stats", weir_answer_stats},
	{"GET", "/v1/status", weir_answer_status},
	{"GET", "/v1/explain", weir_answer_explain},
	{"GET", "/v1/policy", weir_answer_policy},
	{"GET", "/v1/events", weir_answer_events},
	{"GET", "/v1/processes", weir_answer_processes},
	{"GET", "/v1/quotas", weir_answer_quotas},
	{"GET", "/v1/hosts/*", weir_answer_host},
	{"POST", "/v1/hosts/*/reset", weir_answer_reset},
	{"POST", "/v1/hosts/*/breaker", weir_answer_breaker},
	{"POST", "/v1/hosts/*/rate", weir_answer_rate},
	{"POST", "/v1/hosts/*/quota", weir_answer_quota},
	{"GET", "/v1/alerts", weir_answer_alerts},
	{"POST", "/v1/alerts/test", weir_answer_alert_test},
	{"POST", "/v1/hosts/*/silence", weir_answer_silence},
	{"POST", "/v1/hosts/*/ack", weir_answer_acknowledge},
};

void weir_reply_json(struct weir_api_reply *reply, json_t *document)
{
	memset(reply, 0, sizeof *reply);
	reply->status = 200;
	reply->content_type = "application/json";
	char *text = document ? json_dumps(document, WEIR_JSON_FLAGS) : NULL;
	json_decref(document);
	size_t n = text ? strlen(text) : 0;
	reply->body = text ? malloc(n + 2) : NULL;
	if (reply->body) {
		memcpy(reply->body, text, n);
		memcpy(reply->body + n, "\n", 2);
		reply->length = n + 1;
	}
	free(text);
}

void weir_api_fail(struct weir_api_reply *reply, unsigned status, const char *why, ...)
{
	char text[1024];
	va_list arguments;
	va_start(arguments, why);
	vsnprintf(text, sizeof text, why, arguments);
	va_end(arguments);
	/* What is quoted from a request may not be UTF-8, which JSON cannot say. */
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
			*c = '?';
	json_t *document = json_object();
	json_object_set_new(document, "error", json_string(text));
	weir_reply_json(reply, document);
	reply->status = status;
}

FILE *weir_reply_open(struct weir_api_reply *reply, const char *content_type)
{
	memset(reply, 0, sizeof *reply);
	FILE *out = open_memstream(&reply->body, &reply->length);
	reply->status = 200;
	reply->content_type = content_type;
	if (!out)
		weir_api_fail(reply, 500, "out of memory");
	return out;
}

void weir_reply_close(struct weir_api_reply *reply, FILE *out)
{
	if (fclose(out) == 0)
		return;
	free(reply->body);
	weir_api_fail(reply, 500, "out of memory");
}

bool weir_call_wants_text(const struct weir_call *call)
{
	return call->request->accept && strncmp(call->request->accept, "text/plain", 10) == 0;
}

/* Compares a path with a route's; the "*" takes one component, which is copied still encoded. */
static bool fits(const char *pattern, const char *path, char *host, size_t size)
{
	const char *star = strchr(pattern, '*');
	if (!star)
		return strcmp(pattern, path) == 0;
	size_t before = (size_t)(star - pattern);
	if (strncmp(pattern, path, before) != 0)
		return false;
	size_t length = strcspn(path + before, "/");
	if (length == 0 || length >= size || strcmp(path + before + length, star + 1) != 0)
		return false;
	memcpy(host, path + before, length);
	host[length] = '\0';
	return true;
}

static bool same_method(const char *route, const char *method)
{
	return strcmp(route, method) == 0 || (strcmp(route, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* The route of a path; NULL, and *reply says why, when there is none or the method is another. */
static const struct route *find_route(const char *method, const char *path, char *host, size_t size, struct weir_api_reply *reply)
{
	const char *allowed = NULL;
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		if (!fits(routes[i].path, path, host, size))
			continue;
		if (same_method(routes[i].method, method))
			return &routes[i];
		allowed = strcmp(routes[i].method, "GET") == 0 ? "GET, HEAD" : routes[i].method;
	}
	if (allowed) {
		weir_api_fail(reply, 405, "%s is not allowed here, only %s", method, allowed);
		reply->allow = allowed;
	} else {
		weir_api_fail(reply, 404, "there is nothing at this path");
	}
	return NULL;
}

static const char *read_body(const struct weir_api_request *r, struct weir_fields *body)
{
	if (!r->body || r->length == 0)
		return NULL;
	if (strlen(r->body) != r->length)
		return "the body holds a NUL";
	if (r->content_type && strncmp(r->content_type, "application/x-www-form-urlencoded", 33) == 0 && r->body[0] != '{')
		return weir_fields_form(body, r->body);
	/* curl -d says that it sends a form, whatever it is; a form cannot begin with a brace. */
	return weir_fields_json(body, r->body, r->length);
}

static void answer_route(const struct route *route, struct weir_call *call, char *host, const char *query,
			 struct weir_api_reply *reply)
{
	if (host[0]) {
		const char *why = weir_percent_decode(host) ? weir_host_name(host, call->host) : "malformed percent-encoding";
		if (why) {
			weir_api_fail(reply, 400, "host: %s", why);
			return;
		}
	}
	const char *why = weir_fields_form(&call->query, query);
	if (why) {
		weir_api_fail(reply, 400, "query: %s", why);
		return;
	}
	why = strcmp(route->method, "POST") == 0 ? read_body(call->request, &call->body) : NULL;
	if (why) {
		weir_api_fail(reply, 400, "body: %s", why);
		return;
	}
	route->answer(call, reply);
}

void weir_api_answer(const struct weir_api *api, const struct weir_api_request *request, struct weir_api_reply *reply)
{
	char path[WEIR_API_URI_MAX], host[WEIR_API_URI_MAX] = "";
	struct weir_call call;
	struct timespec wall;
	memset(reply, 0, sizeof *reply);
	size_t length = strcspn(request->uri, "?");
	if (strlen(request->uri) >= sizeof path) {
		weir_api_fail(reply, 414, "the URI is longer than %d bytes", WEIR_API_URI_MAX - 1);
		return;
	}
	memcpy(path, request->uri, length);
	path[length] = '\0';
	const struct route *route = find_route(request->method, path, host, sizeof host, reply);
	if (!route)
		return;
	memset(&call, 0, sizeof call);
	call.api = api;
	call.request = request;
	call.now_ns = weir_now_ns();
	clock_gettime(CLOCK_REALTIME, &wall);
	call.wall_ns = (uint64_t)wall.tv_sec * 1000000000U + (uint64_t)wall.tv_nsec;
	answer_route(route, &call, host, request->uri[length] ? request->uri + length + 1 : "", reply);
	weir_fields_free(&call.query);
	weir_fields_free(&call.body);
}

bool weir_call_entry(const struct weir_call *call, bool make, char key[WEIR_KEY_MAX], struct weir_api_reply *reply)
{
	char found[2 * WEIR_KEY_MAX + 2];
	switch (weir_host_find(call->api->segment, call->host, found)) {
	case WEIR_HOST_FOUND:
		memcpy(key, found, WEIR_KEY_MAX);
		return true;
	case WEIR_HOST_SEVERAL:
		weir_api_fail(reply, 409, "several ports of %s are known (%s): name one", call->host, found);
		return false;
	default:
		if (make && strchr(call->host, ':') && !strchr(call->host, '#')) {
			memcpy(key, call->host, WEIR_KEY_MAX);
			return true;
		}
		weir_api_fail(reply, 404, "%s: nothing is known of this host%s", call->host,
			      make ? "; to set it up beforehand, name its port as well" : "");
		return false;
	}
}
