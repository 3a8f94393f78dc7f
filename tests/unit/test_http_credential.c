/* SPDX-License-Identifier: MIT */
/* Who asks, and for what: what must be told apart is, and what is the same is the same. */
#include "weir/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void headers_that_name_the_client_are_known(void **state)
{
	static const char *const lines[] = {"Authorization: Bearer a",
					    "authorization:token a",
					    "X-API-Key: a",
					    "Api-Key: a",
					    "apikey: a",
					    "X-API-Token: a",
					    "x-auth-token: a",
					    "x-auth-key: a",
					    "x-access-token: a",
					    "PRIVATE-TOKEN: a",
					    "JOB-TOKEN: a",
					    "x-shopify-access-token: a",
					    "x-goog-api-key: a",
					    "Ocp-Apim-Subscription-Key: a",
					    "X-RapidAPI-Key: a",
					    "DD-API-KEY: a",
					    "dd-api-key: a",
					    "X-Vault-Token: a",
					    "X-Figma-Token: a",
					    "Circle-Token: a",
					    "circle-token: a",
					    "X-Redmine-API-Key: a",
					    "X-Algolia-API-Key: a",
					    "xi-api-key: a"};
	static const char *const others[] = {"Accept: a", "Cookie: a", "X-Api-Key;", "X-Api-Key:", "Authorization", "", ":"};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		assert_int_not_equal(weir_header_credential(lines[i]), 0);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_int_equal(weir_header_credential(others[i]), 0);
	assert_int_not_equal(weir_header_credential("X-API-Key: a"), weir_header_credential("X-API-Key: b"));
	assert_int_equal(weir_header_credential("x-api-key:a"), weir_header_credential("X-API-Key: a"));
	assert_int_equal(weir_header_credential("Authorization: Bearer a"), weir_secret_digest("a"));
}

static void of_a_signed_request_what_stays_counts(void **state)
{
	(void)state;
	assert_int_equal(weir_header_credential(
				 "Authorization: AWS4-HMAC-SHA256 Credential=AKIA1/20261122/x, SignedHeaders=host, Signature=1"),
			 weir_header_credential(
				 "Authorization: AWS4-HMAC-SHA256 Credential=AKIA1/20261123/x, SignedHeaders=host, Signature=2"));
	assert_int_not_equal(weir_header_credential("Authorization: AWS4-HMAC-SHA256 Credential=AKIA1/20261122/x, Signature=1"),
			     weir_header_credential("Authorization: AWS4-HMAC-SHA256 Credential=AKIA2/20261122/x, Signature=1"));
	assert_int_equal(weir_header_credential("Authorization: Digest username=\"me\", nc=00000001, response=\"1\""),
			 weir_header_credential("Authorization: Digest username=\"me\", nc=00000002, response=\"2\""));
	assert_int_equal(weir_header_credential("Authorization: OAuth oauth_nonce=\"1\", oauth_token=\"t\""),
			 weir_header_credential("Authorization: OAuth oauth_nonce=\"2\", oauth_token=\"t\""));
}

static void urls_name_the_client_by_user_or_by_key(void **state)
{
	(void)state;
	assert_int_equal(weir_url_credential("https://api.example.org/a?page=2#api_key=x"), 0);
	assert_int_equal(weir_url_credential("https://api.example.org/a@b"), 0);
	assert_int_equal(weir_url_credential("https://api.example.org/a?key=object&token=2"), 0);
	assert_int_equal(weir_url_credential("https://api.example.org/a?api_key"), 0);
	assert_int_not_equal(weir_url_credential("https://me:secret@api.example.org/"), 0);
	assert_int_not_equal(weir_url_credential("https://me:secret@api.example.org/"),
			     weir_url_credential("https://you:secret@api.example.org/"));
	assert_int_equal(weir_url_credential("api.example.org?page=2&api_key=x"),
			 weir_url_credential("https://api.example.org/b?API_KEY=x&page=3"));
	assert_int_not_equal(weir_url_credential("https://api.example.org/b?access_token=x"),
			     weir_url_credential("https://api.example.org/b?access_token=y"));
}

static void paths_are_told_apart_by_their_beginning(void **state)
{
	(void)state;
	assert_int_equal(weir_url_path("https://api.example.org/search/code?q=1"),
			 weir_url_path("https://api.example.org/search#x"));
	assert_int_not_equal(weir_url_path("https://api.example.org/search"), weir_url_path("https://api.example.org/repos"));
	assert_int_not_equal(weir_url_path("https://ghe.example.org/api/v3/search"),
			     weir_url_path("https://ghe.example.org/api/v3/repos"));
	assert_int_equal(weir_url_path("https://api.example.org/1.1/search"), weir_url_path("https://api.example.org/2/search"));
	assert_int_equal(weir_url_path("api.example.org"), weir_url_path("http://api.example.org/"));
	assert_int_equal(weir_url_path("http://api.example.org/?q=a/b"), weir_url_path("http://api.example.org/v1/"));
}

static uint64_t head(const char *text)
{
	return weir_head_credential(text, strlen(text));
}

static void a_head_on_the_wire_names_whom_the_options_of_a_library_name(void **state)
{
	(void)state;
	assert_int_equal(head("Host: a\r\nAuthorization: Bearer t\r\nAccept: x\r\n\r\nX-Api-Key: of the body\r\n"),
			 weir_credential_and(0, weir_secret_digest("t")));
	assert_int_equal(head("authorization:  basic bWU6c2VjcmV0 \r\n\r\n"),
			 weir_credential_and(0, weir_secret_digest("me:secret")));
	assert_int_equal(head("Authorization: Basic bWU6c2VjcmV0MQ==\n\n"),
			 weir_credential_and(0, weir_url_credential("http://me:secret1@host/")));
	assert_int_equal(head("X-Api-Key: k\r\nAuthorization: token t\r\n\r\n"),
			 head("Authorization: token t\r\nX-Api-Key: k\r\n\r\n"));
	assert_int_not_equal(head("Authorization: token t\r\n\r\n"), head("Authorization: token u\r\n\r\n"));
	assert_int_equal(head("Host: a\r\nAccept: b\r\n\r\n"), 0);
	/* A value that may go on behind what is at hand says nothing. */
	assert_int_equal(head("Host: a\r\nAuthorization: Bearer t"), 0);
	assert_int_equal(head(""), 0);
}

static void what_is_no_base64_is_digested_as_it_is(void **state)
{
	char line[700];

	(void)state;
	assert_int_not_equal(weir_header_credential("Authorization: Basic ***"), 0);
	assert_int_not_equal(weir_header_credential("Authorization: Basic ***"),
			     weir_header_credential("Authorization: Basic **!"));
	memset(line, 'A', sizeof line);
	memcpy(line, "Authorization: Basic ", 21);
	line[sizeof line - 1] = '\0';
	assert_int_not_equal(weir_header_credential(line), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_that_name_the_client_are_known),
		cmocka_unit_test(of_a_signed_request_what_stays_counts),
		cmocka_unit_test(urls_name_the_client_by_user_or_by_key),
		cmocka_unit_test(paths_are_told_apart_by_their_beginning),
		cmocka_unit_test(a_head_on_the_wire_names_whom_the_options_of_a_library_name),
		cmocka_unit_test(what_is_no_base64_is_digested_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
