/* SPDX-License-Identifier: MIT */
/*
 * What a request costs: keep-alive GETs of one libcurl handle against quotad, bare and under weir. Two children of this program
 * run at the same time of day, in alternating batches that the parent paces through pipes, so that a drift of the machine meets
 * both. Everybody shares one processor: else the scheduler puts now one, now the other client beside the server or away from it,
 * which is 20 or 45 us a GET. It is the faster of the two, so the one in which weir's share is largest. Bound: 1.02 times.
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "one_processor.h"
#include "samples.h"
#include "tests/harness/environment.h"
#include "tests/harness/harness.h"

#define BATCHES 400
#define BATCH   50
#define BOUND   1.02

static size_t swallow(char *data, size_t size, size_t n, void *to)
{
	(void)data;
	(void)to;
	return size * n;
}

/* Child: on each byte read from stdin performs a batch and writes the median time of one GET. */
static int perform_batches(const char *url)
{
	CURL *curl = curl_easy_init();
	uint64_t sample[BATCH], result;
	char go;

	if (curl == NULL)
		return 2;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
	while (read(STDIN_FILENO, &go, 1) == 1) {
		for (int i = 0; i < BATCH; i++) {
			uint64_t begun = clock_ns();

			if (curl_easy_perform(curl) != CURLE_OK)
				return 3;
			sample[i] = clock_ns() - begun;
		}
		result = median(sample, BATCH);
		if (write(STDOUT_FILENO, &result, sizeof result) != sizeof result)
			return 4;
	}
	return 0;
}

struct child {
	int to, from;
	pid_t pid;
};

static struct child start(const char *self, const char *url, const char *preload)
{
	int in[2], out[2];
	struct child c;

	/* Close-on-exec: the other client must not keep this one's pipe open. */
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || (c.pid = fork()) < 0)
		exit(2);
	if (c.pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		if (preload != NULL)
			setenv("LD_PRELOAD", preload, 1);
		else
			setenv("WEIR_DISABLE", "1", 1);
		execl(self, self, url, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	c.to = in[1];
	c.from = out[0];
	return c;
}

static uint64_t batch(struct child *c)
{
	uint64_t result = 0;

	if (write(c->to, "g", 1) != 1 || read(c->from, &result, sizeof result) != sizeof result) {
		fprintf(stderr, "bench_request: a client failed\n");
		exit(2);
	}
	return result;
}

static void stop(struct child *c)
{
	close(c->to);
	waitpid(c->pid, NULL, 0);
	close(c->from);
}

static void a_keep_alive_get_costs_two_percent_more_at_most(void **state)
{
	static uint64_t bare[BATCHES], weir[BATCHES];
	struct scene *scene = *state;
	struct quotad *q = quotad_start(scene->dir, NULL);
	char *library = build_path("libweir.so");
	const char *url = quotad_url(q, "/");
	struct child a, b;
	double ratio;

	setenv("WEIR_RUNTIME_DIR", scene->runtime, 1);
	a = start("/proc/self/exe", url, NULL);
	b = start("/proc/self/exe", url, library);
	batch(&a);
	batch(&b);
	for (int i = 0; i < BATCHES; i++) {
		/* Neither is always the one that comes second. */
		if (i % 2 == 0)
			bare[i] = batch(&a);
		weir[i] = batch(&b);
		if (i % 2 != 0)
			bare[i] = batch(&a);
	}
	stop(&a);
	stop(&b);
	ratio = (double)median(weir, BATCHES) / (double)median(bare, BATCHES);
	printf("request: bare %.1f us, under weir %.1f us, ratio %.3f (bound %.2f; medians of %d alternated batches of %d "
	       "keep-alive GETs)\n",
	       (double)median(bare, BATCHES) / 1e3, (double)median(weir, BATCHES) / 1e3, ratio, BOUND, BATCHES, BATCH);
	assert_true(ratio <= BOUND);
	free(library);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_keep_alive_get_costs_two_percent_more_at_most, scene_setup, scene_teardown),
	};

	if (argc == 2)
		return perform_batches(argv[1]);
	share_one_processor();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
