/* SPDX-License-Identifier: MIT */
#include "src/preload/process/agent_start.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "src/preload/core/environment.h"
#include "src/preload/core/find_real.h"
#include "weir/gate.h"
#include "weir/kernel.h"
#include "weir/log.h"
#include "weir/runtime.h"

#define SECOND_NS      UINT64_C(1000000000)
#define SEEN_WITHIN_NS (5 * SECOND_NS) /* an agent that is well says so every second */
#define PATIENCE_NS    (SECOND_NS / 4) /* what a process's first request may cost for the policy's sake */
#define RETRY_START_NS SECOND_NS       /* all processes together try to start the agent this often */

static bool agent_lives(const struct weir_segment_header *h, uint64_t now_ns)
{
	uint64_t pid = atomic_load_explicit(&h->agent_pid, memory_order_acquire);
	uint64_t seen = atomic_load_explicit(&h->agent_seen_ns, memory_order_relaxed);

	if (pid == 0 || pid > INT_MAX || (seen < now_ns ? now_ns - seen : seen - now_ns) > SEEN_WITHIN_NS)
		return false;
	return weir_kill((pid_t)pid, 0) == 0 || errno == EPERM;
}

/* One of an older version gives its place to the one that this library starts. */
static bool agent_is_older(const struct weir_segment_header *h)
{
	uint64_t version = atomic_load_explicit(&h->agent_version, memory_order_relaxed);

	return weir_version_newer(weir_version_number(weir_version()), version);
}

/* Nobody compiles the configuration then: limits are not those that it has, and the operator hears of it. */
__attribute__((noinline)) static void tell_not_started(const char *program, const char *why, int err)
{
	struct weir_environment e;

	weir_log(WEIR_LOG_WARN, "the agent is not started: %s%s%s (errno %d)", program, program[0] ? ": " : "", why, err);
	weir_environment_read(&e);
	weir_notice(&e, program[0] ? program : "the weir program", why, err);
}

static bool start_agent(void)
{
	static const char here;
	char program[WEIR_PATH_MAX];
	struct weir_object self;
	char **environment;
	size_t count;
	const char *why = "this library's place is not known";
	int err;

	program[0] = '\0';
	if (weir_object_of(&here, &self))
		why = weir_program_find(((const struct link_map *)self.link_map)->l_name, program);
	if (why) {
		tell_not_started(program, why, 0);
		return false;
	}
	count = weir_environment_merge(environ, NULL, 0);
	environment = mmap(NULL, count * sizeof *environment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (environment == MAP_FAILED) {
		tell_not_started(program, "no memory", errno);
		return false;
	}
	weir_environment_merge(environ, environment, count);
	err = weir_agent_spawn(program, environment);
	munmap(environment, count * sizeof *environment);
	if (err != 0)
		tell_not_started(program, "the agent cannot be started; the configuration may not be in force", err);
	return err == 0;
}

/* Starts the agent unless somebody has just tried. Returns when the latest attempt was made, 0 = none that is worth waiting for.
 */
static uint64_t start_agent_in_turn(struct weir_segment_header *h, uint64_t now_ns)
{
	uint64_t last = atomic_load_explicit(&h->agent_spawn_ns, memory_order_acquire), mine = now_ns;

	if (last != 0 && last <= now_ns && now_ns - last < RETRY_START_NS)
		return last;
	/* In the future: an agent has put it off. */
	if (last > now_ns && last - now_ns <= WEIR_AGENT_PUT_OFF_NS)
		return 0;
	if (!atomic_compare_exchange_strong(&h->agent_spawn_ns, &last, now_ns))
		return last;
	if (start_agent())
		return now_ns;
	/* So that nobody waits for it, and the next try is not put off for long. */
	atomic_compare_exchange_strong(&h->agent_spawn_ns, &mine, now_ns > PATIENCE_NS ? now_ns - PATIENCE_NS : 0);
	return 0;
}

static bool is_fresh(const struct weir_segment *s)
{
	struct weir_policy_view view = weir_policy_in_force(s);

	return view.rules && weir_policy_fresh(&view);
}

static void ask_to_compile(struct weir_segment_header *h)
{
	atomic_fetch_add_explicit(&h->compile_requests, 1, memory_order_seq_cst);
	weir_syscall(SYS_futex, &h->compile_requests, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Until a policy is published, or `until_ns`. */
static void sleep_on(struct weir_segment_header *h, uint32_t seen, uint64_t until_ns)
{
	struct timespec t = {.tv_sec = (time_t)(until_ns / SECOND_NS), .tv_nsec = (long)(until_ns % SECOND_NS)};

	weir_syscall(SYS_futex, &h->policy_changes, FUTEX_WAIT_BITSET, seen, &t, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void await_policy(const struct weir_segment *s)
{
	struct weir_segment_header *h = s->header;
	uint32_t before = atomic_load_explicit(&h->policy_changes, memory_order_acquire), seen = before;
	uint64_t now = weir_now_ns(), until = now + PATIENCE_NS;
	bool fresh = is_fresh(s);

	if (!fresh)
		ask_to_compile(h);
	if (!agent_lives(h, now)) {
		uint64_t started = weir_agent_off() ? 0 : start_agent_in_turn(h, now);

		/* An agent that somebody started a while ago and that is not there by now will not come. */
		until = started == 0 ? now : started + PATIENCE_NS;
	} else if (agent_is_older(h) && !weir_agent_off()) {
		start_agent_in_turn(h, now);
	}
	/* A policy that came after the question and is not fresh either is as fresh as it gets: this process sees other files
	 * than the agent does (a chroot, a mount namespace), or they change all the time. */
	while (!fresh && seen == before && now < until) {
		sleep_on(h, seen, until);
		seen = atomic_load_explicit(&h->policy_changes, memory_order_acquire);
		fresh = is_fresh(s);
		now = weir_now_ns();
	}
	if (!fresh)
		weir_log(weir_agent_off() ? WEIR_LOG_DEBUG : WEIR_LOG_WARN, "going on without a fresh policy");
}

static void repair(void)
{
	if (!weir_agent_off())
		start_agent();
}

const struct weir_room weir_agent_room = {.mapped = await_policy, .damaged = repair};
