/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <curl/curl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MAX 256

static struct {
	_Atomic uint64_t begun;
	uint64_t requests;
	bool tail;
	const char *url;
} work;

void client_tail_path(unsigned *random, char out[32])
{
	double u = (rand_r(random) + 1.0) / (RAND_MAX + 1.0);

	if (rand_r(random) % 10 == 0)
		snprintf(out, 32, "/delay/%d", (int)fmin(5 * pow(u, -1 / 1.2), 3000));
	else
		snprintf(out, 32, "/");
}

static size_t swallow(char *data, size_t size, size_t n, void *to)
{
	(void)data;
	(void)to;
	return size * n;
}

static void *ask(void *number)
{
	unsigned random = (unsigned)(uintptr_t)number + (unsigned)getpid();
	CURL *curl = curl_easy_init();
	char url[512], path[32] = "";

	if (curl == NULL)
		exit(2);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	while (work.requests == 0 || atomic_fetch_add(&work.begun, 1) < work.requests) {
		if (work.tail)
			client_tail_path(&random, path);
		snprintf(url, sizeof url, "%s%s", work.url, path);
		curl_easy_setopt(curl, CURLOPT_URL, url);
		if (curl_easy_perform(curl) != CURLE_OK)
			usleep(100000); /* a refusal must not make it spin */
	}
	curl_easy_cleanup(curl);
	return NULL;
}

int client_run(unsigned threads, uint64_t requests, bool tail, const char *url)
{
	pthread_t thread[THREADS_MAX];

	if (threads == 0 || threads > THREADS_MAX || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 2;
	work.requests = requests;
	work.tail = tail;
	work.url = url;
	for (uintptr_t i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, ask, (void *)i) != 0)
			return 2;
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
