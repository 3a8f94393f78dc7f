/* SPDX-License-Identifier: MIT */
/*
 * What identifies a client to a server, and the beginning of the path that it asks for, as digests: enough to tell whether two
 * requests share a quota, and nothing else. The digests stay in the process; what is shared is salted (weir/quota_share.h).
 */
#include "weir/http.h"

#include <string.h>

#include "src/http/ascii.h"
#include "src/http/digest.h"

/* Headers whose value names the client. Not Cookie, of which a session's part changes from answer to answer and the rest names
 * nobody; not Proxy-Authorization, which names the client to somebody else; and no other header by what its name is like: most
 * with "token" or "key" in them change with each request (X-CSRF-Token, Idempotency-Key), and each value would pass for a client
 * of its own, whom no spent quota stops. */
static const char *const names[] = {
	"authorization",
	"x-api-key",
	"api-key",
	"apikey",
	"x-api-token",
	"x-auth-token",
	"x-auth-key",
	"x-access-token",
	"private-token",             /* https://docs.gitlab.com/api/rest/authentication/ */
	"job-token",                 /* the same */
	"x-shopify-access-token",    /* https://shopify.dev/docs/api/usage/authentication */
	"x-goog-api-key",            /* https://cloud.google.com/docs/authentication/api-keys-use */
	"ocp-apim-subscription-key", /* https://learn.microsoft.com/en-us/azure/api-management/api-management-subscriptions */
	"x-rapidapi-key",            /* https://docs.rapidapi.com/docs/keys */
	"dd-api-key",                /* https://docs.datadoghq.com/api/latest/authentication/ */
	"x-vault-token",             /* https://developer.hashicorp.com/vault/api-docs */
	"x-figma-token",             /* https://developers.figma.com/docs/rest-api/authentication/ */
	"circle-token",              /* https://circleci.com/docs/api-developers-guide/ */
	"x-redmine-api-key",         /* https://www.redmine.org/projects/redmine/wiki/Rest_api */
	"x-algolia-api-key",         /* https://www.algolia.com/doc/rest-api/search/ */
	"xi-api-key",                /* https://elevenlabs.io/docs/api-reference/authentication */
};

/* Whether one of them begins so: nearly every line of a head is passed over by its first letter. */
static bool may_name_client(char first)
{
	switch (ascii_lower(first)) {
	case 'a':
	case 'c':
	case 'd':
	case 'j':
	case 'o':
	case 'p':
	case 'x':
		return true;
	default:
		return false;
	}
}

/* Names of a query's parts that do the same. Not "key" and "token", which mean as many other things: each of those would pass for
 * a client of its own. */
static const char *const parameters[] = {"api_key", "apikey", "api-key", "access_token", "private_token", "appid"};

/* Schemes that sign each request: only this part of the value is the client's, up to a slash, a comma or the quote's end. */
static const struct {
	const char *scheme, *part;
} signing[] = {
	{"aws4-hmac-sha256", "credential="}, {"digest", "username="}, {"oauth", "oauth_token="},
	{"oauth", "oauth_consumer_key="},    {"hawk", "id="},         {"signature", "keyid="},
};

uint64_t weir_secret_digest(const char *text)
{
	return text && *text != '\0' ? weir_digest(0, text, strlen(text)) : 0;
}

static size_t blanks_at(const char *text, size_t n)
{
	size_t i = 0;

	while (i < n && ascii_blank(text[i]))
		i++;
	return i;
}

/* How much of text comes before the first of these characters. */
static size_t before(const char *text, size_t n, const char *ends)
{
	size_t i = 0;

	while (i < n && text[i] != '\0' && !strchr(ends, text[i]))
		i++;
	return i;
}

/* Where in text a part ends that is in lower case; n when it is not there. */
static size_t behind_part(const char *text, size_t n, const char *part)
{
	size_t length = strlen(part);

	for (size_t i = 0; i + length <= n; i++) {
		if (ascii_same(text + i, length, part))
			return i + length;
	}
	return n;
}

static int base64_digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* RFC 7617: "user:password" in base64, as the options and the URLs that have it in the clear. */
static uint64_t basic_digest(const char *text, size_t n)
{
	char clear[256];
	size_t length = 0;
	uint32_t bits = 0;

	for (size_t i = 0; i < n && text[i] != '='; i++) {
		int digit = base64_digit(text[i]);

		if (digit < 0 || length == sizeof clear)
			return weir_digest(0, text, n);
		bits = bits << 6 | (uint32_t)digit;
		if (i % 4 != 0)
			clear[length++] = (char)(bits >> (6 - 2 * (i % 4)) & 0xff);
	}
	return weir_digest(0, clear, length);
}

static __attribute__((noinline)) uint64_t authorization_digest(const char *value, size_t n)
{
	size_t scheme = before(value, n, " \t");
	size_t blanks = blanks_at(value + scheme, n - scheme);
	bool signs = false;

	for (size_t i = 0; i < sizeof signing / sizeof signing[0]; i++) {
		size_t part;

		if (!ascii_same(value, scheme, signing[i].scheme))
			continue;
		signs = true;
		part = scheme + behind_part(value + scheme, n - scheme, signing[i].part);
		if (part < n) {
			part += value[part] == '"' ? 1 : 0;
			return weir_digest(0, value + part, before(value + part, n - part, "/,\" "));
		}
	}
	if (signs)
		return weir_digest(0, value, scheme);
	/* As the options that take the token, or user and password, alone. */
	if (ascii_same(value, scheme, "basic") && blanks > 0)
		return basic_digest(value + scheme + blanks, n - scheme - blanks);
	if (ascii_same(value, scheme, "bearer"))
		return n > scheme + blanks ? weir_digest(0, value + scheme + blanks, n - scheme - blanks) : 0;
	return n > 0 ? weir_digest(0, value, n) : 0;
}

/* Of a line of n bytes without its end. */
static uint64_t line_credential(const char *line, size_t n)
{
	const char *colon = n > 0 && may_name_client(line[0]) ? memchr(line, ':', n) : NULL;
	size_t length = colon ? (size_t)(colon - line) : n, from;

	if (!colon)
		return 0;
	while (n > length + 1 && ascii_blank(line[n - 1]))
		n--;
	from = length + 1 + blanks_at(line + length + 1, n - length - 1);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (!ascii_same(line, length, names[i]))
			continue;
		if (i == 0)
			return authorization_digest(line + from, n - from);
		return n > from ? weir_digest(0, line + from, n - from) : 0;
	}
	return 0;
}

uint64_t weir_header_credential(const char *line)
{
	return line_credential(line, strlen(line));
}

uint64_t weir_credential_and(uint64_t sum, uint64_t digest)
{
	digest ^= digest >> 29;
	return sum + digest * UINT64_C(0x9e3779b97f4a7c15);
}

uint64_t weir_head_credential(const char *head, size_t n)
{
	uint64_t sum = 0;

	while (n > 0) {
		const char *end = memchr(head, '\n', n);
		size_t length = end ? (size_t)(end - head) : 0;

		/* A line whose end is not there may go on. */
		if (!end || length == 0 || (length == 1 && *head == '\r'))
			return sum;
		sum = weir_credential_and(sum, line_credential(head, length));
		head += length + 1;
		n -= length + 1;
	}
	return sum;
}

/* Behind the scheme and its slashes. */
static const char *authority_of(const char *url)
{
	size_t scheme;

	url = ascii_skip_blanks(url);
	scheme = strcspn(url, ":/?#");
	return url[scheme] == ':' && url[scheme + 1] == '/' ? url + scheme + 1 + strspn(url + scheme + 1, "/") : url;
}

static uint64_t query_credential(const char *query)
{
	while (*query != '\0' && *query != '#') {
		size_t length = strcspn(query, "&#"), name = strcspn(query, "=&#");

		for (size_t i = 0; i < sizeof parameters / sizeof parameters[0] && name < length; i++) {
			if (ascii_same(query, name, parameters[i]))
				return weir_digest(0, query + name + 1, length - name - 1);
		}
		query += length + (query[length] == '&' ? 1 : 0);
	}
	return 0;
}

uint64_t weir_url_credential(const char *url)
{
	const char *authority = authority_of(url), *query;
	const char *at = memchr(authority, '@', strcspn(authority, "/?#"));

	if (at)
		return weir_digest(0, authority, (size_t)(at - authority));
	query = authority + strcspn(authority, "?#");
	return *query == '?' ? query_credential(query + 1) : 0;
}

/* "api", "v2", "1.1": every path of a service begins so. */
static bool is_common(const char *segment, size_t length)
{
	size_t i = length > 1 && ascii_lower(segment[0]) == 'v' ? 1 : 0;

	if (ascii_same(segment, length, "api") || ascii_same(segment, length, "rest"))
		return true;
	while (i < length && (ascii_digit(segment[i]) || segment[i] == '.'))
		i++;
	return i == length;
}

uint64_t weir_url_path(const char *url)
{
	const char *p = authority_of(url);

	p += strcspn(p, "/?#");
	while (*p == '/') {
		size_t length = strcspn(++p, "/?#");

		if (!is_common(p, length))
			return weir_digest(0, p, length);
		p += length;
	}
	return weir_digest(0, "/", 1);
}
