/* HTTP from inside the test, by libcurl, never under weir. */
#ifndef HARNESS_HTTP_H
#define HARNESS_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct http_answer {
	int curl_code; /* CURLcode; 0 = there is an answer */
	int status;
	char *headers; /* of the last hop, with the status line */
	char *body;    /* NUL-terminated, the NUL not counted */
	size_t body_bytes;
	double seconds;
};

#define HTTP_LIMIT_S 30.0

struct http_request {
	const char *method; /* NULL = GET */
	const char *url;
	const char *body;    /* NULL = none */
	const char *ca_file; /* for HTTPS; NULL = the system's */
	double limit_s;      /* 0 = HTTP_LIMIT_S */
	bool follow;         /* redirects */
};

/* One request on a fresh connection. An answer with any status is a success; failures are in
 * `curl_code`. To be freed with http_answer_free. */
struct http_answer http_send(const struct http_request *request);

/* GET url. */
struct http_answer http_get(const char *url);

/* The value of a header of the answer, or NULL; the n-th of that name (from 0) in any case. The text
 * is the caller's to free. */
char *http_header(const struct http_answer *answer, const char *name, size_t n);

void http_answer_free(struct http_answer *answer);

#endif
