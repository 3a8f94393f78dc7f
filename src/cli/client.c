/* SPDX-License-Identifier: MIT */
#include "src/cli/client.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/agent/api.h"
#include "src/agent/compiler.h"
#include "src/cli/environment.h"
#include "src/cli/launch.h"
#include "src/cli/usage.h"
#include "weir/gate.h"

#define ANSWER_MS     10000L
#define SILENCE_S     1L                   /* an agent that says nothing for so long is stopped, or out of places */
#define START_NS      UINT64_C(2000000000) /* an agent that has to be started is there by then, or will not be */
#define LOOK_EVERY_NS 10000000L
#define REPLY_MAX     ((size_t)256 << 20) /* 65,536 hosts make some 60 MB */

static size_t take_body(char *data, size_t size, size_t count, void *cls)
{
	struct weir_reply *reply = cls;
	size_t n = size * count;
	char *body = reply->length + n < REPLY_MAX ? realloc(reply->body, reply->length + n + 1) : NULL;
	if (!body)
		return 0;
	memcpy(body + reply->length, data, n);
	reply->body = body;
	reply->length += n;
	body[reply->length] = '\0';
	return n;
}

static size_t take_header(char *data, size_t size, size_t count, void *cls)
{
	static const char name[] = "Weir-Health: ";
	struct weir_reply *reply = cls;
	size_t n = size * count, skip = sizeof name - 1;
	if (n > skip && strncasecmp(data, name, skip) == 0) {
		size_t length = strcspn(data + skip, "\r\n");
		if (length < sizeof reply->health) {
			memcpy(reply->health, data + skip, length);
			reply->health[length] = '\0';
		}
	}
	return n;
}

/* One attempt. CURLE_COULDNT_CONNECT: nobody is listening. */
static CURLcode attempt(const char *socket, const struct weir_question *q, struct weir_reply *reply)
{
	char url[WEIR_API_URI_MAX + 16];
	struct curl_slist *headers = NULL;
	struct weir_socket_name name;
	long status = 0;
	/* The same as nobody listening: no directory, no /proc. */
	if (!weir_socket_name(socket, &name))
		return CURLE_COULDNT_CONNECT;
	CURL *curl = curl_easy_init();
	if (!curl) {
		weir_socket_name_end(&name);
		return CURLE_OUT_OF_MEMORY;
	}
	snprintf(url, sizeof url, "http://weir%s", q->path);
	if (q->accept) {
		char accept[64];
		snprintf(accept, sizeof accept, "Accept: %s", q->accept);
		headers = curl_slist_append(headers, accept);
	}
	if (q->body)
		headers = curl_slist_append(headers, "Content-Type: application/json");
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, name.path);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ANSWER_MS);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, reply);
	if (strcmp(q->method, "POST") == 0)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, q->body ? q->body : "");
	CURLcode code = curl_easy_perform(curl);
	if (code == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	reply->status = (unsigned)status;
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	weir_socket_name_end(&name);
	return code;
}

/* What changes something is not sent to an agent that does not answer: it would do it whenever it goes on. */
static CURLcode attempt_if_awake(const char *socket, const struct weir_question *q, struct weir_reply *reply)
{
	if (strcmp(q->method, "POST") == 0) {
		struct weir_question health = {.method = "GET", .path = "/healthz"};
		CURLcode code = attempt(socket, &health, reply);
		weir_reply_free(reply);
		if (code != CURLE_OK)
			return code;
	}
	return attempt(socket, q, reply);
}

/* Answers from the segment, without an agent. */
static bool answer_here(const struct weir_environment *e, const struct weir_world *w, const struct weir_question *q,
			struct weir_reply *reply)
{
	struct weir_segment s;
	const char *why = NULL;
	int err = 0;
	/* What an operator sets is set before the first request as well, which would make the segment. */
	bool make = strcmp(q->method, "POST") == 0;
	if (weir_segment_open(&s, w->segment, make, NULL, &why, &err) != WEIR_SEGMENT_OK) {
		weir_complain(w->segment, "%s%s%s", why ? why : "cannot be mapped", err ? ": " : "", err ? strerror(err) : "");
		return false;
	}
	struct weir_compiler *compiler = calloc(1, sizeof *compiler);
	if (compiler) {
		weir_compiler_init(compiler, e);
		weir_compiler_read(compiler);
	}
	struct weir_api api = {.segment = &s, .world = w, .compiler = compiler};
	struct weir_api_reply answer;
	struct weir_api_request request = {
		.method = q->method,
		.uri = q->path,
		.accept = q->accept,
		.content_type = "application/json",
		.body = q->body,
		.length = q->body ? strlen(q->body) : 0,
	};
	weir_api_answer(&api, &request, &answer);
	reply->status = answer.status;
	reply->body = answer.body;
	reply->length = answer.length;
	snprintf(reply->health, sizeof reply->health, "%s", answer.health ? answer.health : "");
	if (compiler)
		weir_compiler_free(compiler);
	free(compiler);
	weir_segment_close(&s);
	return answer.body != NULL;
}

/* Starts the agent and asks it. */
static CURLcode ask_new_agent(const struct weir_world *w, const struct weir_question *q, struct weir_reply *reply)
{
	const struct timespec rest = {0, LOOK_EVERY_NS};
	CURLcode code = CURLE_COULDNT_CONNECT;
	if (weir_environment_agent_off() || weir_launch_agent(w) != NULL)
		return code;
	for (uint64_t until_ns = weir_now_ns() + START_NS; weir_now_ns() < until_ns;) {
		nanosleep(&rest, NULL);
		code = attempt_if_awake(w->socket, q, reply);
		if (code != CURLE_COULDNT_CONNECT)
			break;
	}
	return code;
}

/* Whether a new agent could work in the world's directory, and the segment be read; complains when not. */
static bool directory_usable(const struct weir_environment *e, struct weir_world *w)
{
	int err = 0;
	const char *why = weir_world_prepare(w, e->uid, &err);
	if (why)
		weir_complain(w->dir, "%s%s%s", why, err ? ": " : "", err ? strerror(err) : "");
	return !why;
}

bool weir_client_ask(const struct weir_question *q, struct weir_reply *reply)
{
	struct weir_environment e;
	struct weir_world w;
	memset(reply, 0, sizeof *reply);
	if (strlen(q->path) >= WEIR_API_URI_MAX) {
		weir_complain("request", "the name is too long");
		return false;
	}
	if (!weir_environment_world(&e, &w))
		return false;
	/* This program may itself run under weir, in a shell that does; its own questions are no requests of anybody's. */
	setenv("WEIR_DISABLE", "1", 1);
	curl_global_init(CURL_GLOBAL_NOTHING);
	if (!weir_environment_agent_off())
		weir_launch_newer(&w);
	CURLcode code = attempt_if_awake(w.socket, q, reply);
	bool usable = code != CURLE_COULDNT_CONNECT || directory_usable(&e, &w);
	if (code == CURLE_COULDNT_CONNECT && usable)
		code = ask_new_agent(&w, q, reply);
	unsetenv("WEIR_DISABLE");
	if (code == CURLE_OK)
		return true;
	weir_reply_free(reply);
	if (!usable)
		return false;
	/* No agent, or one that is stopped, ended meanwhile, or has no place left: it is in nobody's way. */
	if (code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT || code == CURLE_GOT_NOTHING ||
	    code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_PARTIAL_FILE)
		return answer_here(&e, &w, q, reply);
	weir_complain(w.socket, "%s", curl_easy_strerror(code));
	return false;
}

void weir_reply_free(struct weir_reply *reply)
{
	free(reply->body);
	memset(reply, 0, sizeof *reply);
}

int weir_reply_failed(const char *what, const struct weir_reply *reply)
{
	return weir_reply_failed_hint(what, reply, "");
}

int weir_reply_failed_hint(const char *what, const struct weir_reply *reply, const char *hint)
{
	if (reply->status == 200)
		return 0;
	json_t *document = reply->body ? json_loadb(reply->body, reply->length, 0, NULL) : NULL;
	const char *why = json_string_value(json_object_get(document, "error"));
	if (why)
		weir_complain(what, "%s%s", why, reply->status == 404 ? hint : "");
	else
		weir_complain(what, "the agent answered with status %u", reply->status);
	json_decref(document);
	return reply->status == 400 || reply->status == 414 ? WEIR_EXIT_USAGE : WEIR_EXIT_FAILED;
}

int weir_client_print(const char *what, const char *path, bool json)
{
	struct weir_question q = {.method = "GET", .path = path, .accept = json ? NULL : "text/plain"};
	struct weir_reply reply;
	if (!weir_client_ask(&q, &reply))
		return WEIR_EXIT_FAILED;
	int status = weir_reply_failed(what, &reply);
	if (status == 0)
		fwrite(reply.body, 1, reply.length, stdout);
	weir_reply_free(&reply);
	return status;
}

static char *join(const char *before, const char *name, const char *value, const char *after)
{
	char *path = NULL, *escaped = curl_easy_escape(NULL, value, 0);
	if (!escaped || asprintf(&path, "%s%s%s%s%s", before, name, name[0] ? "=" : "", escaped, after) < 0)
		path = NULL;
	curl_free(escaped);
	return path;
}

char *weir_client_path(const char *path, const char *name, const char *value)
{
	char *before = NULL, *whole;
	if (asprintf(&before, "%s%c", path, strchr(path, '?') ? '&' : '?') < 0)
		return NULL;
	whole = join(before, name, value, "");
	free(before);
	return whole;
}

char *weir_client_host_path(const char *host, const char *after)
{
	return join("/v1/hosts/", "", host, after);
}
