/* Handles of libcurl for programs that want an answer, and nothing of it. */
#ifndef CURL_HANDLE_H
#define CURL_HANDLE_H

#include <curl/curl.h>
#include <stddef.h>

static inline size_t drop(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)user;
	return size * count;
}

static inline CURL *handle_for(const char *url)
{
	CURL *h = curl_easy_init();

	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, drop);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	return h;
}

#endif
