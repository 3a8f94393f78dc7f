/* SPDX-License-Identifier: MIT */
/*
 * What identifies a client to a server, and the beginning of the path that it asks for, as digests: enough to tell whether two
 * requests share a quota, and nothing else. The digests stay in the process; what is shared is salted (weir/quota_share.h).
 */
#include "weir/http.h"

#include <string.h>

#include "src/http/ascii.h"
#include "src/http/digest.h"

/* Headers whose value names the client. Not Cookie: a session's changes from answer to answer. */
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
};

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

/* Where in text a part begins that is in lower case; NULL when it is not there. */
static const char *find_part(const char *text, const char *part)
{
	size_t length = strlen(part);

	for (; *text != '\0'; text++) {
		if (strnlen(text, length) == length && ascii_same(text, length, part))
			return text + length;
	}
	return NULL;
}

static uint64_t authorization_digest(const char *value)
{
	size_t scheme = strcspn(value, " \t");
	bool signs = false;

	for (size_t i = 0; i < sizeof signing / sizeof signing[0]; i++) {
		const char *part;

		if (!ascii_same(value, scheme, signing[i].scheme))
			continue;
		signs = true;
		part = find_part(value + scheme, signing[i].part);
		if (part) {
			part += *part == '"' ? 1 : 0;
			return weir_digest(0, part, strcspn(part, "/,\" "));
		}
	}
	if (signs)
		return weir_digest(0, value, scheme);
	/* As the options that take the token alone. */
	if (ascii_same(value, scheme, "bearer"))
		value = ascii_skip_blanks(value + scheme);
	return weir_secret_digest(value);
}

uint64_t weir_header_credential(const char *line)
{
	size_t length = strcspn(line, ":");
	const char *value;

	if (line[length] != ':')
		return 0;
	value = ascii_skip_blanks(line + length + 1);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (ascii_same(line, length, names[i]))
			return i == 0 ? authorization_digest(value) : weir_secret_digest(value);
	}
	return 0;
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
