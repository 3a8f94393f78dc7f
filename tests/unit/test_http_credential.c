/* SPDX-License-Identifier: MIT */
/* Who asks, and for what: what must be told apart is, and what is the same is the same. */
#include "weir/http.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void headers_that_name_the_client_are_known(void **state)
{
	static const char *const lines[] = {"Authorization: Bearer a", "authorization:token a", "X-API-Key: a",
					    "PRIVATE-TOKEN: a", "x-shopify-access-token: a"};
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_that_name_the_client_are_known),
		cmocka_unit_test(of_a_signed_request_what_stays_counts),
		cmocka_unit_test(urls_name_the_client_by_user_or_by_key),
		cmocka_unit_test(paths_are_told_apart_by_their_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
