/* SPDX-License-Identifier: MIT */
/* Leases: whoever dies, is killed, execs or stalls, his permits come back, once. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../src/segment/lease_word.h"
#include "segment_memory.h"

static struct weir_segment segment;
static struct weir_owner self;
static uint64_t now;
static uint32_t host, run, total;

static int open_segment(void **state)
{
	(void)state;
	segment_make(&segment, 16, 64, 256, 4);
	weir_owner_self(&self);
	now = 1000 * SECOND;
	host = weir_entry_acquire(&segment, "a:80", now);
	run = weir_entry_acquire(&segment, "@1.1/a:80", now);
	total = weir_entry_acquire(&segment, "_total", now);
	return 0;
}

static int close_segment(void **state)
{
	(void)state;
	weir_segment_close(&segment);
	return 0;
}

static uint32_t count(uint32_t slot)
{
	return weir_concurrency_count(&segment.entry[slot].concurrency);
}

static uint32_t claim(const struct weir_owner *o, uint32_t thread, uint64_t deadline, uint32_t *tag)
{
	uint32_t scopes[WEIR_SCOPES] = {host, WEIR_NONE, total, WEIR_NONE, WEIR_NONE};

	return weir_lease_claim(&segment, o, thread, WEIR_NONE, scopes, deadline, now, tag);
}

/* A request as the gate makes it, up to the given state. */
static uint32_t request(const struct weir_owner *o, uint32_t thread, uint64_t deadline, enum weir_lease_state until,
			uint32_t *tag)
{
	uint32_t lease = claim(o, thread, deadline, tag);

	if (lease == WEIR_NONE || until == WEIR_LEASE_WAITING)
		return lease;
	weir_lease_set(&segment, lease, *tag, o->pid, WEIR_LEASE_MOVING, 0);
	weir_concurrency_take(&segment.entry[host].concurrency, UINT32_MAX);
	weir_concurrency_take(&segment.entry[total].concurrency, UINT32_MAX);
	if (until == WEIR_LEASE_MOVING)
		return lease;
	weir_lease_set(&segment, lease, *tag, o->pid, WEIR_LEASE_IN_FLIGHT, 5);
	if (until == WEIR_LEASE_SETTLING)
		weir_lease_set(&segment, lease, *tag, o->pid, WEIR_LEASE_SETTLING, 5);
	return lease;
}

static void end(uint32_t lease, uint32_t tag, const struct weir_owner *o)
{
	if (!weir_lease_set(&segment, lease, tag, o->pid, WEIR_LEASE_SETTLING, 5))
		return;
	weir_concurrency_give(&segment.entry[host].concurrency);
	weir_concurrency_give(&segment.entry[total].concurrency);
	weir_lease_free(&segment, lease, tag, o->pid);
}

/* A child that makes a request up to a state and then waits for its end. */
static pid_t child_with_request(enum weir_lease_state until)
{
	int ready[2];
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct weir_owner o;
		uint32_t tag;

		weir_owner_self(&o);
		request(&o, 0, 0, until, &tag);
		close(ready[0]);
		if (write(ready[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return child;
}

static void end_child(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static bool all_free(void)
{
	for (uint32_t i = 0; i < segment.leases; i++)
		if (lease_word_state(segment.lease[i].word) != WEIR_LEASE_FREE)
			return false;
	return true;
}

static void a_lease_says_who_waits_for_what(void **state)
{
	uint32_t tag, lease = request(&self, 7, now + SECOND, WEIR_LEASE_WAITING, &tag);
	const struct weir_lease *l = &segment.lease[lease];

	(void)state;
	assert_int_equal(lease, 0);
	assert_int_equal(lease_word_pid(l->word), getpid());
	assert_int_equal(lease_word_tag(l->word), tag);
	assert_int_equal(lease_word_held(l->word), 0);
	assert_int_equal(lease_word_state(l->word), WEIR_LEASE_WAITING);
	assert_int_equal(l->start, self.start);
	assert_int_equal(l->pid_namespace, self.pid_namespace);
	assert_int_equal(l->thread, 7);
	assert_int_equal(l->deadline_ns, now + SECOND);
	assert_int_equal(l->entry[0], host);
	assert_int_equal(l->entry[1], WEIR_NONE);
	assert_int_equal(l->entry[2], total);
	assert_int_equal(l->begun_ns, now);
	assert_int_equal(segment.header->lease_top, 1);
}

static void a_freed_lease_is_no_longer_its_old_owners(void **state)
{
	uint32_t old, tag, lease = request(&self, 0, 0, WEIR_LEASE_WAITING, &old);

	(void)state;
	assert_false(weir_lease_set(&segment, lease, old + 1, self.pid, WEIR_LEASE_MOVING, 0));
	assert_false(weir_lease_set(&segment, lease, old, self.pid + 1, WEIR_LEASE_MOVING, 0));
	assert_false(weir_lease_set(&segment, lease, old, self.pid, WEIR_LEASE_FREE, 0));
	assert_false(weir_lease_set(&segment, lease, old, self.pid, WEIR_LEASE_REAPING, 0));
	assert_false(weir_lease_set(&segment, segment.leases, old, self.pid, WEIR_LEASE_MOVING, 0));
	assert_false(weir_lease_set(&segment, WEIR_NONE, old, self.pid, WEIR_LEASE_MOVING, 0));
	assert_true(weir_lease_free(&segment, lease, old, self.pid));
	assert_false(weir_lease_free(&segment, lease, old, self.pid));
	assert_int_equal(weir_lease_claim(&segment, &self, 0, lease,
					  (uint32_t[]){host, WEIR_NONE, WEIR_NONE, WEIR_NONE, WEIR_NONE}, 0, now, &tag),
			 lease);
	assert_int_not_equal(tag, old);
	assert_false(weir_lease_set(&segment, lease, old, self.pid, WEIR_LEASE_MOVING, 0));
	assert_true(weir_lease_set(&segment, lease, tag, self.pid, WEIR_LEASE_MOVING, 0));
}

static void the_hint_is_looked_at_first(void **state)
{
	uint32_t tag, scopes[WEIR_SCOPES] = {host, WEIR_NONE, WEIR_NONE, WEIR_NONE, WEIR_NONE};

	(void)state;
	assert_int_equal(weir_lease_claim(&segment, &self, 0, 40, scopes, 0, now, &tag), 40);
	assert_int_equal(weir_lease_claim(&segment, &self, 0, 40, scopes, 0, now, &tag), 0);
	assert_int_equal(weir_lease_claim(&segment, &self, 0, 64, scopes, 0, now, &tag), 1);
	assert_int_equal(segment.header->lease_top, 41);
}

static void when_all_leases_are_taken_it_says_so_and_counts(void **state)
{
	uint32_t tag;

	(void)state;
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(claim(&self, 0, 0, &tag), i);
	assert_int_equal(claim(&self, 0, 0, &tag), WEIR_NONE);
	assert_int_equal(segment.header->leases_lost, 1);
}

static void the_living_are_left_alone(void **state)
{
	uint32_t tag, lease = request(&self, (uint32_t)syscall(SYS_gettid), now + 1, WEIR_LEASE_IN_FLIGHT, &tag);
	pid_t child = child_with_request(WEIR_LEASE_MOVING);

	(void)state;
	assert_int_equal(weir_lease_reap(&segment, &self, false, now), 0);
	assert_int_equal(weir_lease_reap(&segment, &self, true, now), 0);
	assert_int_equal(count(host), 2);
	end(lease, tag, &self);
	assert_int_equal(count(host), 1);
	end_child(child);
}

static void a_killed_owner_gives_its_permits_back(void **state)
{
	pid_t child = child_with_request(WEIR_LEASE_IN_FLIGHT);
	struct weir_event e[4];
	uint64_t next = 0;

	(void)state;
	segment.entry[host].waiting = 1;
	assert_int_equal(count(host), 1);
	assert_int_equal(count(total), 1);
	end_child(child);
	assert_int_equal(weir_lease_reap(&segment, &self, false, now), 1);
	assert_true(all_free());
	assert_int_equal(count(host), 0);
	assert_int_equal(count(total), 0);
	assert_int_equal(segment.entry[host].counters.ignored, 1);
	assert_int_equal(segment.entry[host].counters.cancelled, 0);
	assert_int_equal(segment.entry[total].counters.ignored, 0);
	assert_int_equal(segment.header->leases_reaped, 1);
	assert_true(segment.entry[host].changes > 0);
	assert_int_equal(segment.entry[host].audit_due, 0);
	assert_int_equal(weir_event_read(&segment, &next, e, 4), 1);
	assert_int_equal(e[0].kind, WEIR_EVENT_LEASE_REAPED);
	assert_int_equal(e[0].cause, WEIR_CAUSE_OWNER_DIED);
	assert_int_equal(e[0].before, child);
	assert_string_equal(e[0].key, "a:80");
	assert_int_equal(weir_lease_reap(&segment, &self, true, now), 0);
}

static void one_killed_while_waiting_is_counted_as_cancelled(void **state)
{
	(void)state;
	end_child(child_with_request(WEIR_LEASE_WAITING));
	assert_int_equal(weir_lease_reap(&segment, &self, false, now), 1);
	assert_int_equal(segment.entry[host].counters.cancelled, 1);
	assert_int_equal(segment.entry[host].counters.ignored, 0);
}

static void permits_of_one_killed_while_they_changed_hands_are_counted_anew(void **state)
{
	uint32_t tag, mine = request(&self, 0, 0, WEIR_LEASE_IN_FLIGHT, &tag);

	(void)state;
	end_child(child_with_request(WEIR_LEASE_MOVING));
	end_child(child_with_request(WEIR_LEASE_SETTLING));
	assert_int_equal(count(host), 3);
	assert_int_equal(weir_lease_reap(&segment, &self, false, now), 2);
	assert_int_equal(count(host), 1);
	assert_int_equal(count(total), 1);
	assert_int_equal(segment.entry[host].counters.cancelled, 1);
	end(mine, tag, &self);
	assert_int_equal(count(host), 0);
}

static void a_missed_audit_is_made_later(void **state)
{
	uint32_t tag, mine = request(&self, 0, 0, WEIR_LEASE_MOVING, &tag);

	(void)state;
	end_child(child_with_request(WEIR_LEASE_MOVING));
	assert_int_equal(weir_lease_reap(&segment, &self, false, now), 1);
	assert_int_equal(count(host), 2); /* we are moving, so nobody can tell */
	assert_int_not_equal(segment.entry[host].audit_due, 0);
	weir_lease_set(&segment, mine, tag, self.pid, WEIR_LEASE_IN_FLIGHT, 5);
	assert_int_equal(weir_lease_reap(&segment, &self, false, now), 0);
	assert_int_equal(count(host), 1);
	assert_int_equal(count(total), 1);
	assert_int_equal(segment.entry[host].audit_due, 0);
	assert_int_equal(segment.header->audits_done, segment.header->audits_asked);
}

static void a_zombie_is_found_by_the_thorough(void **state)
{
	pid_t child = child_with_request(WEIR_LEASE_IN_FLIGHT);
	siginfo_t info;

	(void)state;
	kill(child, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(weir_lease_reap(&segment, &self, false, now), 0);
	assert_int_equal(weir_lease_reap(&segment, &self, true, now), 1);
	assert_int_equal(count(host), 0);
	waitpid(child, NULL, 0);
}

static void *hold_on(void *argument)
{
	(void)argument;
	for (;;)
		pause();
	return NULL;
}

static char state_of(pid_t pid)
{
	char path[64], text[256], *parenthesis;
	FILE *f;
	size_t n;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	parenthesis = strrchr(text, ')');
	assert_non_null(parenthesis);
	return parenthesis[2];
}

static void a_process_whose_first_thread_ended_lives_on(void **state)
{
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		pthread_t thread;
		struct weir_owner o;
		uint32_t tag;

		weir_owner_self(&o);
		request(&o, 0, 0, WEIR_LEASE_IN_FLIGHT, &tag);
		pthread_create(&thread, NULL, hold_on, NULL);
		syscall(SYS_exit, 0); /* of this thread alone */
	}
	while (state_of(child) != 'Z')
		sched_yield();
	assert_int_equal(weir_lease_reap(&segment, &self, true, now), 0);
	end_child(child);
	assert_int_equal(weir_lease_reap(&segment, &self, true, now), 1);
}

static void a_process_that_got_a_dead_ones_number_is_found_out_by_the_thorough(void **state)
{
	struct weir_owner before = self;
	uint32_t tag;

	(void)state;
	before.start++;
	request(&before, 0, 0, WEIR_LEASE_IN_FLIGHT, &tag);
	assert_int_equal(weir_lease_reap(&segment, &self, false, now), 0);
	assert_int_equal(weir_lease_reap(&segment, &self, true, now), 1);
	assert_int_equal(count(host), 0);
}

static void *make_request(void *argument)
{
	uint32_t tag;

	(void)argument;
	request(&self, (uint32_t)syscall(SYS_gettid), 0, WEIR_LEASE_IN_FLIGHT, &tag);
	return NULL;
}

static void a_thread_that_ended_gives_its_permits_back(void **state)
{
	pthread_t thread;
	uint32_t tid;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, make_request, NULL), 0);
	pthread_join(thread, NULL);
	tid = segment.lease[0].thread;
	while (syscall(SYS_tgkill, getpid(), tid, 0) == 0) /* joined a moment before it is gone */
		sched_yield();
	assert_int_equal(weir_lease_reap(&segment, &self, false, now), 1);
	assert_int_equal(count(host), 0);
}

static void past_its_deadline_a_lease_is_reaped_and_its_owner_gives_nothing_back_twice(void **state)
{
	uint32_t tag, other_tag, lease = request(&self, 0, now + SECOND, WEIR_LEASE_IN_FLIGHT, &tag);

	(void)state;
	request(&self, 0, now + 100 * SECOND, WEIR_LEASE_IN_FLIGHT, &other_tag);
	assert_int_equal(count(host), 2);
	assert_int_equal(weir_lease_reap(&segment, &self, false, now + 2 * SECOND), 1);
	assert_int_equal(count(host), 1);
	end(lease, tag, &self);
	assert_int_equal(count(host), 1);
}

/* Nobody can ask after them; but requests to this host do not take that long. */
static void a_holder_that_nobody_can_ask_after_is_believed_for_as_long_as_requests_take(void **state)
{
	struct weir_owner foreign = {.pid = 99999999, .pid_namespace = self.pid_namespace + 1, .start = 1},
			  unknown = {.pid = 99999999};
	uint32_t tag;

	(void)state;
	request(&foreign, 0, now + 3600 * SECOND, WEIR_LEASE_IN_FLIGHT, &tag);
	request(&unknown, 0, now + 3600 * SECOND, WEIR_LEASE_IN_FLIGHT, &tag);
	assert_int_equal(weir_lease_reap(&segment, &self, false, now + 20 * SECOND), 0);
	assert_int_equal(weir_lease_reap(&segment, &self, false, now + 32 * SECOND), 2);
	assert_int_equal(count(host), 0);
}

static void where_requests_take_long_it_is_believed_for_longer(void **state)
{
	struct weir_owner foreign = {.pid = 99999999, .pid_namespace = self.pid_namespace + 1, .start = 1};
	uint32_t tag;

	(void)state;
	for (int i = 0; i < 200; i++)
		weir_durations_add(&segment, host, WEIR_DURATIONS_LATENCY, i < 100 ? SECOND : 60 * SECOND);
	request(&foreign, 0, now + 3600 * SECOND, WEIR_LEASE_IN_FLIGHT, &tag);
	assert_int_equal(weir_lease_reap(&segment, &self, true, now + 200 * SECOND), 0);
	assert_int_equal(weir_lease_reap(&segment, &self, true, now + 300 * SECOND), 1);
}

static void one_that_waits_in_another_namespace_holds_nothing_and_is_left_alone(void **state)
{
	struct weir_owner foreign = {.pid = 99999999, .pid_namespace = self.pid_namespace + 1, .start = 1};
	uint32_t tag;

	(void)state;
	request(&foreign, 0, now + 3600 * SECOND, WEIR_LEASE_WAITING, &tag);
	assert_int_equal(weir_lease_reap(&segment, &self, true, now + 300 * SECOND), 0);
	assert_int_equal(weir_lease_reap(&segment, &self, true, now + 3601 * SECOND), 1);
}

static void in_another_pid_namespace_the_deadline_counts(void **state)
{
	struct weir_owner foreign = {.pid = 99999999, .pid_namespace = self.pid_namespace + 1, .start = 1},
			  unknown = {.pid = 99999999};
	uint32_t tag;

	(void)state;
	request(&foreign, 0, now + SECOND, WEIR_LEASE_IN_FLIGHT, &tag);
	request(&unknown, 0, now + SECOND, WEIR_LEASE_IN_FLIGHT, &tag);
	assert_int_equal(weir_lease_reap(&segment, &self, true, now), 0);
	assert_int_equal(weir_lease_reap(&segment, &unknown, true, now), 0);
	assert_int_equal(weir_lease_reap(&segment, &self, true, now + 2 * SECOND), 2);
	assert_int_equal(count(host), 0);
}

static void a_former_image_of_the_process_is_cleaned_up_after(void **state)
{
	struct weir_owner foreign = self, unknown = {.pid = self.pid};
	uint32_t tag;

	(void)state;
	foreign.pid_namespace++;
	request(&self, 0, 0, WEIR_LEASE_IN_FLIGHT, &tag);
	request(&self, 0, 0, WEIR_LEASE_WAITING, &tag);
	request(&foreign, 0, 0, WEIR_LEASE_IN_FLIGHT, &tag);
	assert_int_equal(weir_lease_reap_own(&segment, &unknown, now), 0);
	assert_int_equal(weir_lease_reap_own(&segment, &self, now), 2);
	assert_int_equal(count(host), 1); /* the foreign one's */
	assert_int_equal(weir_lease_reap_own(&segment, &self, now), 0);
}

static int after_exec(int fd)
{
	struct weir_geometry g = {16, 64, 256, 4};
	size_t bytes = weir_segment_bytes(&g);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED || weir_segment_attach(&segment, memory, bytes) != NULL)
		return 1;
	weir_owner_self(&self);
	/* Everybody else sees a living process of the right start time. */
	if (weir_lease_reap(&segment, &self, true, 1000 * SECOND) != 0)
		return 2;
	return weir_lease_reap_own(&segment, &self, 1000 * SECOND) == 1 ? 0 : 3;
}

static void what_was_in_flight_at_an_exec_is_given_back_by_the_new_image(void **state)
{
	struct weir_geometry g = {16, 64, 256, 4};
	size_t bytes = weir_segment_bytes(&g);
	int fd = memfd_create("segment", 0), status;
	void *memory;
	pid_t child;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	weir_segment_close(&segment);
	assert_true(weir_segment_format(&segment, memory, bytes, &g, NULL, 0));
	host = weir_entry_acquire(&segment, "a:80", now);
	total = weir_entry_acquire(&segment, "_total", now);
	child = fork();
	if (child == 0) {
		char number[16];
		uint32_t tag;

		weir_owner_self(&self);
		request(&self, 0, 0, WEIR_LEASE_IN_FLIGHT, &tag);
		snprintf(number, sizeof number, "%d", fd);
		execl("/proc/self/exe", "test_segment_leases", "--after-exec", number, (char *)NULL);
		_exit(127);
	}
	waitpid(child, &status, 0);
	close(fd);
	assert_int_equal(status, 0);
	assert_int_equal(count(host), 0);
}

static void a_killed_probe_frees_the_half_open_state(void **state)
{
	const struct weir_breaker_params params = {.failures = 1,
						   .success_threshold = 1,
						   .open_time_ns = SECOND,
						   .open_time_max_ns = SECOND,
						   .probe_lease_ns = 100 * SECOND};
	struct weir_breaker *b = &segment.entry[host].breaker;
	struct weir_breaker_ticket ticket;
	uint64_t until;
	uint32_t tag, lease;
	struct weir_owner dead = {.pid = 99999999, .pid_namespace = self.pid_namespace, .start = 1};

	(void)state;
	b->word = (uint64_t)WEIR_BREAKER_OPEN << 62;
	assert_int_equal(weir_breaker_try(b, &params, now, &ticket, &until), WEIR_BREAKER_PROBE);
	assert_int_equal(weir_breaker_peek(b, &params, now, &until), WEIR_BREAKER_REFUSE);
	lease = request(&dead, 0, 0, WEIR_LEASE_IN_FLIGHT, &tag);
	segment.lease[lease].breaker_generation = ticket.generation;
	segment.lease[lease].breaker_probe = 1;
	assert_int_equal(weir_lease_reap(&segment, &self, false, now), 1);
	assert_int_equal(weir_breaker_peek(b, &params, now, &until), WEIR_BREAKER_PROBE);
}

static void who_dies_while_claiming_or_reaping_is_cleaned_up_after_two_seconds(void **state)
{
	(void)state;
	for (unsigned begin = 0; begin < 256; begin++) {
		uint64_t then = (1000 + begin) * SECOND;
		uint32_t tag;

		/* A claimer that filled nothing in: the entries are somebody else's of long ago. */
		segment.lease[0].word = lease_word(99999999, 9, lease_second(then), WEIR_LEASE_CLAIMED);
		segment.lease[0].deadline_ns = 1;
		segment.lease[0].entry[0] = host;
		segment.header->lease_top = 1;
		assert_int_equal(weir_lease_reap(&segment, &self, true, then), 0);
		assert_int_equal(weir_lease_reap(&segment, &self, true, then + SECOND), 0);
		assert_int_equal(weir_lease_reap(&segment, &self, true, then - SECOND / 100), 0);
		assert_int_equal(weir_lease_reap(&segment, &self, true, then + 2 * SECOND), 1);
		assert_true(all_free());
		assert_int_equal(segment.entry[host].counters.cancelled, 0);
		/* A reaper that has given nothing back yet. */
		request(&self, 0, 0, WEIR_LEASE_IN_FLIGHT, &tag);
		segment.lease[0].word = lease_word(99999999, tag + 1, lease_second(then), WEIR_LEASE_REAPING);
		assert_int_equal(weir_lease_reap(&segment, &self, true, then + SECOND), 0);
		assert_false(weir_lease_audit(&segment, host));
		assert_int_equal(count(host), 1);
		assert_int_equal(weir_lease_reap(&segment, &self, true, then + 2 * SECOND), 1);
		assert_int_equal(count(host), 0);
		assert_int_equal(count(total), 0);
	}
	assert_int_equal(segment.entry[host].counters.ignored, 0);
}

static void of_eight_reapers_each_lease_meets_one(void **state)
{
	struct weir_owner dead = {.pid = 99999999, .pid_namespace = self.pid_namespace, .start = 1};
	uint32_t tag;

	(void)state;
	for (unsigned round = 1; round <= 20; round++) {
		int start[2];
		pid_t child[8];

		for (int i = 0; i < 50; i++)
			assert_int_not_equal(request(&dead, 0, 0, WEIR_LEASE_IN_FLIGHT, &tag), WEIR_NONE);
		assert_int_equal(pipe(start), 0);
		for (int i = 0; i < 8; i++) {
			child[i] = fork();
			if (child[i] == 0) {
				struct weir_owner o;
				char byte;

				close(start[1]);
				weir_owner_self(&o);
				if (read(start[0], &byte, 1) == 0)
					weir_lease_reap(&segment, &o, false, now);
				_exit(0);
			}
		}
		close(start[0]);
		close(start[1]);
		for (int i = 0; i < 8; i++)
			waitpid(child[i], NULL, 0);
		weir_lease_reap(&segment, &self, false, now); /* audits that stood in each other's way */
		assert_true(all_free());
		assert_int_equal(count(host), 0);
		assert_int_equal(segment.entry[host].counters.ignored, 50 * round);
		assert_int_equal(segment.header->leases_reaped, 50 * round);
	}
}

/* Requests and reapers are killed at random moments while others go on. */
static void processes_killed_at_any_moment_leave_no_permit_held(void **state)
{
	uint64_t seed = 5, later;
	pid_t child[6];

	(void)state;
	memset(child, 0, sizeof child);
	for (int round = 0; round < 200; round++) {
		size_t victim = random_next(&seed) % 6;

		if (child[victim] != 0)
			end_child(child[victim]);
		child[victim] = fork();
		if (child[victim] == 0) {
			struct weir_owner o;

			weir_owner_self(&o);
			for (unsigned i = 0;; i++) {
				uint32_t tag, lease;

				now = monotonic_ns();
				lease = request(&o, 0, now + 3600 * SECOND, WEIR_LEASE_IN_FLIGHT, &tag);
				if (victim >= 4 || i % 64 == 0)
					weir_lease_reap(&segment, &o, false, now);
				if (lease != WEIR_NONE)
					end(lease, tag, &o);
			}
		}
		assert_true(child[victim] > 0);
		usleep((useconds_t)(random_next(&seed) % 2000));
	}
	for (int i = 0; i < 6; i++)
		if (child[i] != 0)
			end_child(child[i]);
	/* Two passes: what died while claiming or reaping is recognised by its age, modulo sixteen seconds. */
	later = monotonic_ns() + 3 * SECOND;
	weir_lease_reap(&segment, &self, true, later);
	weir_lease_reap(&segment, &self, true, later + 5 * SECOND);
	assert_true(all_free());
	assert_int_equal(count(host), 0);
	assert_int_equal(count(total), 0);
	assert_int_equal(segment.entry[host].audit_due, 0);
	assert_int_equal(segment.header->audits_done, segment.header->audits_asked);
}

static void *make_requests(void *argument)
{
	(void)argument;
	for (int i = 0; i < 2000; i++) {
		uint32_t tag, lease = request(&self, 0, 0, WEIR_LEASE_IN_FLIGHT, &tag);

		if (lease != WEIR_NONE)
			end(lease, tag, &self);
	}
	return NULL;
}

static void an_audit_under_traffic_loses_no_permit(void **state)
{
	pthread_t thread[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, make_requests, NULL), 0);
	for (int i = 0; i < 2000; i++) {
		/* Only a count that was never right may be corrected, and here it always is. */
		assert_false(weir_lease_audit(&segment, host));
		weir_lease_reap(&segment, &self, false, now);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	assert_true(all_free());
	assert_int_equal(count(host), 0);
	assert_int_equal(count(total), 0);
}

static void an_audit_puts_a_wrong_count_right(void **state)
{
	uint32_t tag, lease = request(&self, 0, 0, WEIR_LEASE_IN_FLIGHT, &tag);

	(void)state;
	weir_concurrency_take(&segment.entry[host].concurrency, UINT32_MAX);
	assert_true(weir_lease_audit(&segment, host));
	assert_false(weir_lease_audit(&segment, host));
	assert_int_equal(count(host), 1);
	weir_concurrency_give(&segment.entry[host].concurrency);
	assert_true(weir_lease_audit(&segment, host));
	assert_int_equal(count(host), 1);
	end(lease, tag, &self);
	assert_false(weir_lease_audit(&segment, 17));
	assert_false(weir_lease_audit(&segment, WEIR_NONE));
}

static void occupancy_tells_who_is_where(void **state)
{
	struct weir_occupancy at[17];
	struct weir_owner other = {.pid = self.pid + 1, .pid_namespace = 1};
	uint32_t tag, lease;

	(void)state;
	request(&self, 0, 0, WEIR_LEASE_IN_FLIGHT, &tag);
	request(&self, 0, 0, WEIR_LEASE_WAITING, &tag);
	request(&other, 0, 0, WEIR_LEASE_MOVING, &tag);
	request(&other, 0, 0, WEIR_LEASE_SETTLING, &tag);
	lease = request(&other, 0, 0, WEIR_LEASE_IN_FLIGHT, &tag);
	segment.lease[lease].entry[0] = 4711; /* damage */
	assert_int_equal(weir_lease_occupancy(&segment, at), 2);
	assert_int_equal(at[host].in_flight, 1);
	assert_int_equal(at[host].waiting, 2);
	assert_int_equal(at[total].in_flight, 2);
	assert_int_equal(at[total].waiting, 2);
	assert_int_equal(at[run].in_flight + at[run].waiting + at[16].in_flight, 0);
}

static void a_damaged_lease_is_freed(void **state)
{
	(void)state;
	segment.header->lease_top = UINT64_MAX;
	segment.lease[3].word = lease_word(self.pid, 1, 0xf, (enum weir_lease_state)0x77);
	segment.lease[5].word = lease_word(0, 1, 0xf, WEIR_LEASE_IN_FLIGHT);
	segment.lease[5].entry[0] = 123456;
	segment.lease[5].entry[1] = 16;
	assert_int_equal(weir_lease_reap(&segment, &self, false, now), 2);
	assert_true(all_free());
}

#define with_segment(test) cmocka_unit_test_setup_teardown(test, open_segment, close_segment)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		with_segment(a_lease_says_who_waits_for_what),
		with_segment(a_freed_lease_is_no_longer_its_old_owners),
		with_segment(the_hint_is_looked_at_first),
		with_segment(when_all_leases_are_taken_it_says_so_and_counts),
		with_segment(the_living_are_left_alone),
		with_segment(a_killed_owner_gives_its_permits_back),
		with_segment(one_killed_while_waiting_is_counted_as_cancelled),
		with_segment(permits_of_one_killed_while_they_changed_hands_are_counted_anew),
		with_segment(a_missed_audit_is_made_later),
		with_segment(a_zombie_is_found_by_the_thorough),
		with_segment(a_process_whose_first_thread_ended_lives_on),
		with_segment(a_process_that_got_a_dead_ones_number_is_found_out_by_the_thorough),
		with_segment(a_thread_that_ended_gives_its_permits_back),
		with_segment(past_its_deadline_a_lease_is_reaped_and_its_owner_gives_nothing_back_twice),
		with_segment(a_holder_that_nobody_can_ask_after_is_believed_for_as_long_as_requests_take),
		with_segment(where_requests_take_long_it_is_believed_for_longer),
		with_segment(one_that_waits_in_another_namespace_holds_nothing_and_is_left_alone),
		with_segment(in_another_pid_namespace_the_deadline_counts),
		with_segment(a_former_image_of_the_process_is_cleaned_up_after),
		with_segment(what_was_in_flight_at_an_exec_is_given_back_by_the_new_image),
		with_segment(a_killed_probe_frees_the_half_open_state),
		with_segment(who_dies_while_claiming_or_reaping_is_cleaned_up_after_two_seconds),
		with_segment(of_eight_reapers_each_lease_meets_one),
		with_segment(processes_killed_at_any_moment_leave_no_permit_held),
		with_segment(an_audit_under_traffic_loses_no_permit),
		with_segment(an_audit_puts_a_wrong_count_right),
		with_segment(occupancy_tells_who_is_where),
		with_segment(a_damaged_lease_is_freed),
	};

	if (argc == 3 && strcmp(argv[1], "--after-exec") == 0)
		return after_exec(atoi(argv[2]));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
