#include "tests/harness/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/harness/failure.h"

/* libcurl opens a header block per hop; only the last one is kept. */
static size_t take_header(char *data, size_t size, size_t count, void *to)
{
	if (strncmp(data, "HTTP/", 5) == 0)
		rewind(to);
	return fwrite(data, size, count, to);
}

static size_t take_body(char *data, size_t size, size_t count, void *to)
{
	return fwrite(data, size, count, to);
}

struct http_answer http_send(const struct http_request *request)
{
	struct http_answer answer = {0};
	double limit_s = request->limit_s > 0 ? request->limit_s : HTTP_LIMIT_S;
	size_t header_bytes = 0;
	FILE *headers = open_memstream(&answer.headers, &header_bytes);
	FILE *body = open_memstream(&answer.body, &answer.body_bytes);
	CURL *curl = curl_easy_init();
	curl_off_t total_us = 0;
	long status = 0;

	if (headers == NULL || body == NULL || curl == NULL)
		harness_fail("no memory");
	curl_easy_setopt(curl, CURLOPT_URL, request->url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(limit_s * 1000));
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, request->follow ? 1L : 0L);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	if (request->body != NULL)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
	if (request->method != NULL && strcmp(request->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else if (request->method != NULL)
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	if (request->ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, request->ca_file);
	answer.curl_code = (int)curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME_T, &total_us);
	curl_easy_cleanup(curl);
	answer.status = (int)status;
	answer.seconds = (double)total_us * 1e-6;
	fclose(headers);
	fclose(body);
	/* After a rewind, the rest of a longer earlier block may follow. */
	if (answer.headers != NULL) {
		char *end = strstr(answer.headers, "\r\n\r\n");

		if (end != NULL)
			end[4] = '\0';
	}
	return answer;
}

struct http_answer http_get(const char *url)
{
	return http_send(&(struct http_request){.url = url});
}

char *http_header(const struct http_answer *answer, const char *name, size_t n)
{
	size_t length = strlen(name);

	for (const char *line = answer->headers; line != NULL && *line != '\0';) {
		const char *end = strstr(line, "\r\n");

		if (end == NULL)
			break;
		if (strncasecmp(line, name, length) == 0 && line[length] == ':' && n-- == 0) {
			const char *value = line + length + 1;

			value += strspn(value, " \t");
			return strndup(value, (size_t)(end - value));
		}
		line = end + 2;
	}
	return NULL;
}

void http_answer_free(struct http_answer *answer)
{
	free(answer->headers);
	free(answer->body);
	answer->headers = NULL;
	answer->body = NULL;
}
