/* SPDX-License-Identifier: MIT */
#include "src/cli/launch.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "src/agent/agent.h"
#include "src/agent/instance.h"
#include "src/cli/environment.h"
#include "weir/gate.h"
#include "weir/segment.h"

#define PATIENCE_NS UINT64_C(2000000000)

const char *weir_launch_agent(const struct weir_world *w)
{
	if (weir_instance_pid(w) != 0)
		return NULL;
	char self[WEIR_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0 || n >= (ssize_t)sizeof self - 1)
		return "this program's own path is not known";
	self[n] = '\0';
	int err = weir_agent_spawn(self, environ);
	return err ? strerror(err) : NULL;
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

const char *weir_launch_await_policy(const struct weir_environment *e, const struct weir_world *w)
{
	uint64_t until_ns = weir_now_ns() + PATIENCE_NS;
	bool launched = false;
	const char *why = NULL;
	do {
		struct weir_segment s;
		int err = 0;
		bool mapped = weir_segment_open(&s, w->segment, false, NULL, &why, &err) == WEIR_SEGMENT_OK;
		uint32_t seen = mapped ? atomic_load(&s.header->policy_changes) : 0;
		if (mapped && fresh(&s)) {
			weir_segment_close(&s);
			return NULL;
		}
		if (weir_environment_agent_off()) {
			if (mapped)
				weir_segment_close(&s);
			return weir_agent_compile_once(e);
		}
		if (!launched) {
			const char *failed = weir_launch_agent(w);
			launched = true;
			if (!failed && mapped)
				ask(&s);
			if (failed) {
				if (mapped)
					weir_segment_close(&s);
				return failed;
			}
		}
		if (mapped) {
			sleep_on(&s, seen);
			weir_segment_close(&s);
		} else {
			const struct timespec wait = {0, 5000000};
			nanosleep(&wait, NULL);
		}
	} while (weir_now_ns() < until_ns);
	return "the agent has not published a policy within 2 s";
}
