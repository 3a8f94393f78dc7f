/* SPDX-License-Identifier: MIT */
#include "src/cli/launch.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "src/agent/agent.h"
#include "src/agent/handover.h"
#include "src/agent/instance.h"
#include "src/cli/environment.h"
#include "weir/gate.h"
#include "weir/segment.h"

#define PATIENCE_NS UINT64_C(2000000000)
#define STARTED_NS  UINT64_C(500000000) /* a program that is started has come as far as its lock by then */

const char *weir_launch_agent(const struct weir_world *w)
{
	uint64_t version;
	if (weir_handover_agent(w, &version) != 0 && !weir_version_newer(weir_version_number(weir_version()), version))
		return NULL;
	char self[WEIR_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0 || n >= (ssize_t)sizeof self - 1)
		return "this program's own path is not known";
	self[n] = '\0';
	int err = weir_agent_spawn(self, environ);
	return err ? strerror(err) : NULL;
}

void weir_launch_newer(const struct weir_world *w)
{
	const struct timespec moment = {0, 10000000};
	uint64_t version;
	uint32_t old = weir_handover_agent(w, &version);
	if (old == 0 || !weir_version_newer(weir_version_number(weir_version()), version) || weir_launch_agent(w))
		return;
	for (uint64_t until_ns = weir_now_ns() + PATIENCE_NS; weir_now_ns() < until_ns;) {
		uint32_t now = weir_handover_agent(w, &version);
		/* UINT64_MAX: it has the lock, and nothing more yet. */
		if (now != 0 && now != old && version != UINT64_MAX)
			return;
		nanosleep(&moment, NULL);
	}
}

static void ask(const struct weir_segment *s)
{
	atomic_fetch_add(&s->header->compile_requests, 1);
	syscall(SYS_futex, &s->header->compile_requests, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Until a policy is published, 50 ms at most: an agent that dies meanwhile must not be waited for. */
static void sleep_on(const struct weir_segment *s, uint32_t seen)
{
	const struct timespec wait = {0, 50000000};
	syscall(SYS_futex, &s->header->policy_changes, FUTEX_WAIT, seen, &wait, NULL, 0);
}

static bool fresh(const struct weir_segment *s)
{
	struct weir_policy_view view = weir_policy_in_force(s);
	return view.rules && weir_policy_fresh(&view);
}

/* Whether the agent has been asked, and what policy_changes was then. */
struct question {
	bool asked;
	uint32_t before;
};

/* One look at the segment: whether the policy that is wanted is there; asks a running agent for it, and sleeps for a moment, when
 * it is not. One that came after the question and is not fresh either is as fresh as it gets: this process sees other files than
 * the agent does (a chroot, a mount namespace). */
static bool look(const struct weir_world *w, struct question *q)
{
	const struct timespec moment = {0, 5000000};
	struct weir_segment s;
	const char *why;
	int err;
	if (weir_segment_open(&s, w->segment, false, NULL, &why, &err) != WEIR_SEGMENT_OK) {
		nanosleep(&moment, NULL);
		return false;
	}
	uint32_t seen = atomic_load(&s.header->policy_changes);
	bool any = weir_policy_in_force(&s).rules != NULL, there = fresh(&s) || (any && q->asked && seen != q->before);
	if (!there && !q->asked) {
		ask(&s);
		q->asked = any;
		q->before = seen;
	}
	if (!there)
		sleep_on(&s, seen);
	weir_segment_close(&s);
	return there;
}

static bool there_already(const struct weir_world *w)
{
	struct weir_segment s;
	const char *why;
	int err;
	if (weir_segment_open(&s, w->segment, false, NULL, &why, &err) != WEIR_SEGMENT_OK)
		return false;
	bool there = fresh(&s);
	weir_segment_close(&s);
	return there;
}

const char *weir_launch_await_policy(const struct weir_environment *e, struct weir_world *w)
{
	uint64_t begun_ns = weir_now_ns(), now_ns = begun_ns;
	int err = 0;
	const char *why = weir_world_prepare(w, e->uid, &err);
	if (why)
		return why;
	/* Also where the policy is there already: it is the agent that keeps it so, and cleans up during the command. */
	if (weir_environment_agent_off() || weir_launch_agent(w) != NULL)
		return there_already(w) ? NULL : weir_agent_compile_once(e);
	for (struct question q = {false, 0}; now_ns - begun_ns < PATIENCE_NS;) {
		if (look(w, &q))
			return NULL;
		now_ns = weir_now_ns();
		/* An agent that cannot start, or may not stay, says so in its log; its place stays empty. */
		if (now_ns - begun_ns > STARTED_NS && weir_instance_pid(w) == 0)
			return weir_agent_compile_once(e);
	}
	return "the agent has not published a policy within 2 s";
}
