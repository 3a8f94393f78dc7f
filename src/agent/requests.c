/* SPDX-License-Identifier: MIT */
#include "src/agent/requests.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A hostile process that raises the word without end must not make the agent spin: after each request the thread rests this long,
 * an order of magnitude below the 250 ms that a process waits for its policy. */
static const struct timespec rest = {0, 20000000};

static void *listen_to_word(void *argument)
{
	struct weir_requests *r = argument;
	uint32_t seen = atomic_load(r->word);
	while (!atomic_load(&r->stop)) {
		/* The time-out is for a wake-up lost to weir_requests_stop, which changes no word. */
		const struct timespec wait = {1, 0};
		syscall(SYS_futex, r->word, FUTEX_WAIT, seen, &wait, NULL, 0);
		uint32_t now = atomic_load(r->word);
		if (now == seen)
			continue;
		seen = now;
		uint64_t one = 1;
		if (write(r->fd, &one, sizeof one) < 0) {
			/* the counter is full: it is readable already */
		}
		nanosleep(&rest, NULL);
	}
	return NULL;
}

bool weir_requests_start(struct weir_requests *r, const struct weir_segment *s)
{
	r->word = &s->header->compile_requests;
	r->running = false;
	atomic_init(&r->stop, false);
	r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->fd < 0)
		return false;
	r->running = pthread_create(&r->thread, NULL, listen_to_word, r) == 0;
	if (!r->running) {
		close(r->fd);
		r->fd = -1;
	}
	return r->running;
}

bool weir_requests_drain(struct weir_requests *r)
{
	uint64_t count;
	return r->fd >= 0 && read(r->fd, &count, sizeof count) == (ssize_t)sizeof count;
}

void weir_requests_stop(struct weir_requests *r)
{
	if (r->running) {
		atomic_store(&r->stop, true);
		syscall(SYS_futex, r->word, FUTEX_WAKE, 1, NULL, NULL, 0);
		pthread_join(r->thread, NULL);
	}
	r->running = false;
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}
