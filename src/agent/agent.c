/* SPDX-License-Identifier: MIT */
#include "src/agent/agent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "src/agent/alerts.h"
#include "src/agent/compiler.h"
#include "src/agent/handover.h"
#include "src/agent/instance.h"
#include "src/agent/listener.h"
#include "src/agent/ledger.h"
#include "src/agent/requests.h"
#include "src/agent/server.h"
#include "src/agent/upkeep.h"
#include "src/agent/watch.h"
#include "src/agent/worlds.h"
#include "src/stats/run_summary.h"
#include "weir/gate.h"
#include "weir/log.h"

#define MS UINT64_C(1000000)

/* An editor's save is several events; they are taken as one when they follow each other this closely. */
#define SETTLE_NS (20 * MS)
/* Never publish twice within this time: below the 250 ms that a process waits for its policy. */
#define PUBLISH_EVERY_NS (200 * MS)
/* How often the files are compared by stat, for changes that inotify does not tell. */
#define STAT_EVERY_NS (1000 * MS)

/* How often worlds that nobody uses are looked for: first when there is nothing more urgent. */
#define TIDY_FIRST_NS (2000 * MS)
#define TIDY_EVERY_NS (600000 * MS)

struct agent {
	const struct weir_environment *environment;
	struct weir_world world;
	struct weir_instance instance;
	struct weir_segment segment;
	struct weir_compiler compiler;
	struct weir_watch watch;
	struct weir_requests requests;
	struct weir_upkeep upkeep;
	struct weir_alerts *alerts; /* NULL: no memory for it */
	struct weir_server server;
	struct weir_listener *listener; /* NULL: not asked for */
	struct weir_own_file own_file;
	bool replaced; /* another build stands where this one stood: it is to go on */
	int signals;
	uint64_t idle_exit_ns;
	uint64_t compile_at_ns; /* when to look at the files, 0 = no reason to */
	uint64_t upkeep_at_ns;
	uint64_t stat_at_ns;
	uint64_t tidy_at_ns;
};

/* What is written there can be read by others than this user: systemd names the journal's stream by device and inode. */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat st;
	if (!stream || fstat(fd, &st) != 0)
		return false;
	snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	return strcmp(stream, own) == 0;
}

static int complain(const char *what, const char *why, int err)
{
	fprintf(stderr, "weir: agent: %s: %s%s%s\n", what, why, err ? ": " : "", err ? strerror(err) : "");
	weir_log(WEIR_LOG_ERROR, "agent: %s: %s%s%s", what, why, err ? ": " : "", err ? strerror(err) : "");
	return 1;
}

/* Maps the segment; whatever stands in its place and is not one is replaced, because the lock says that no other agent will. */
static const char *map_segment(struct agent *a, int *err)
{
	const char *why = NULL;
	struct weir_geometry g;
	memset(&g, 0, sizeof g);
	g.entries = a->compiler.compiled ? a->compiler.policy.entries : 0;
	enum weir_segment_result result = weir_segment_open(&a->segment, a->world.segment, true, &g, &why, err);
	/* Worlds that nobody uses, and that will be removed anyway, shall not keep this one from its limits. */
	if (result != WEIR_SEGMENT_OK && (*err == ENOSPC || *err == EDQUOT) && weir_worlds_tidy(&a->world, 0) > 0)
		result = weir_segment_open(&a->segment, a->world.segment, true, &g, &why, err);
	if (result == WEIR_SEGMENT_INVALID || result == WEIR_SEGMENT_STALE) {
		weir_log(WEIR_LOG_WARN, "agent: %s: %s; it is replaced", a->world.segment, why ? why : "not usable");
		result = weir_segment_replace(&a->segment, a->world.segment, &g, &why, err);
	}
	return result == WEIR_SEGMENT_OK ? NULL : why ? why : "the segment cannot be mapped";
}

static int take_place(struct agent *a)
{
	const char *why = weir_world_of(a->environment, &a->world);
	int err = 0;
	if (why)
		return complain("runtime directory", why, 0);
	why = weir_world_prepare(&a->world, a->environment->uid, &err);
	if (why)
		return complain(a->world.dir, why, err);
	uint32_t other = 0;
	why = weir_handover_take(&a->instance, &a->world, &other, &err);
	if (why && other) {
		fprintf(stderr, "weir: agent: already running as pid %u\n", other);
		return 1;
	}
	if (why)
		return complain(a->world.lock, why, err);
	err = weir_instance_write_pid(&a->world, (uint32_t)getpid());
	if (err)
		weir_log(WEIR_LOG_WARN, "agent: %s: %s", a->world.pid, strerror(err));
	return 0;
}

static int open_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* ignored by who started us, it would take the commands' statuses away, and keep no number */
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void publish(struct agent *a, uint64_t now_ns)
{
	weir_compiler_publish(&a->compiler, &a->segment, now_ns);
	weir_watch_set(&a->watch, a->compiler.sources, a->compiler.source_count);
	/* A change between the reading and the new watches has no event; the next stat finds it soon. */
	a->stat_at_ns = now_ns + PUBLISH_EVERY_NS;
	if (a->compiler.unrested)
		a->compile_at_ns = now_ns + PUBLISH_EVERY_NS;
}

static int start(struct agent *a, const struct weir_agent_options *o)
{
	int err = 0;
	weir_compiler_init(&a->compiler, a->environment);
	weir_compiler_read(&a->compiler);
	const char *why = map_segment(a, &err);
	if (why)
		return complain(a->world.segment, why, err);
	weir_agent_ledger_begin(a->environment, &a->world, &a->segment);
	uint64_t now_ns = weir_now_ns();
	if (!weir_upkeep_init(&a->upkeep, &a->segment, a->world.segment, now_ns))
		return complain(a->world.segment, "vanished while it was mapped", 0);
	a->signals = open_signals();
	if (a->signals < 0)
		return complain("signals", "no descriptor for them", errno);

	/* The policy first: processes wait for it, and for nothing else of what follows. */
	publish(a, now_ns);
	atomic_store(&a->segment.header->agent_seen_ns, now_ns);
	atomic_store(&a->segment.header->agent_version, weir_version_number(weir_version()));
	atomic_store(&a->segment.header->agent_pid, (uint64_t)getpid());
	weir_event_write(&a->segment, WEIR_EVENT_AGENT_STARTED, WEIR_CAUSE_NONE, NULL, 0, (uint64_t)getpid(), 0, now_ns);

	weir_requests_start(&a->requests, &a->segment);
	a->alerts = weir_alerts_begin(a->environment, &a->world, &a->segment, &a->compiler, now_ns);
	const struct weir_api api = {.segment = &a->segment, .world = &a->world, .compiler = &a->compiler, .alerts = a->alerts};
	why = weir_server_start(&a->server, &api, &err);
	if (why) /* limits hold without the exports */
		weir_log(WEIR_LOG_ERROR, "agent: %s: %s%s%s", a->world.socket, why, err ? ": " : "", err ? strerror(err) : "");
	if (o->http) {
		why = weir_listener_start(&a->listener, o->http, &api, &err);
		if (why) /* asked for by hand: who did should hear of it */
			return complain(o->http, why, err);
		weir_log(WEIR_LOG_INFO, "agent: listens at %s", weir_listener_url(a->listener, false));
		printf("%s\n", weir_listener_url(a->listener, !is_journal(STDOUT_FILENO)));
		fflush(stdout);
	}
	a->tidy_at_ns = now_ns + TIDY_FIRST_NS;
	/* Who asked for a port wants it to be there. */
	a->idle_exit_ns = o->idle_exit_given     ? o->idle_exit_ns
			  : o->http              ? 0
			  : a->compiler.compiled ? a->compiler.policy.idle_exit_ns
						 : WEIR_IDLE_EXIT_DEFAULT_NS;
	weir_log(WEIR_LOG_INFO, "agent: started for %s", a->world.segment);
	return 0;
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return b && (!a || b < a) ? b : a;
}

static int poll_timeout_ms(const struct agent *a, uint64_t now_ns)
{
	uint64_t at = earliest(earliest(a->upkeep_at_ns, a->stat_at_ns), a->compile_at_ns);
	uint64_t server_ns;
	if (weir_server_timeout(&a->server, &server_ns))
		at = earliest(at, now_ns + server_ns + 1);
	if (weir_listener_timeout(a->listener, &server_ns))
		at = earliest(at, now_ns + server_ns + 1);
	return at <= now_ns ? 0 : (int)((at - now_ns + MS - 1) / MS);
}

static void look_soon(struct agent *a, uint64_t now_ns)
{
	uint64_t at = now_ns + SETTLE_NS;
	if (a->compiler.published_ns && at < a->compiler.published_ns + PUBLISH_EVERY_NS)
		at = a->compiler.published_ns + PUBLISH_EVERY_NS;
	a->compile_at_ns = at;
}

/* Compiles if the files are not what the policy in force was made from. */
static void look_at_files(struct agent *a, uint64_t now_ns)
{
	struct weir_policy_view view = weir_policy_in_force(&a->segment);
	a->stat_at_ns = now_ns + STAT_EVERY_NS;
	if (view.rules && weir_policy_fresh(&view) && !a->compiler.unrested && !weir_compiler_renew_zones(&a->compiler)) {
		if (a->watch.stale)
			weir_watch_set(&a->watch, a->compiler.sources, a->compiler.source_count);
		/* A process in another mount namespace sees other files than we do and would wait for a policy that never comes.
		 */
		weir_policy_confirm(&a->segment);
		return;
	}
	if (now_ns < a->compiler.published_ns + PUBLISH_EVERY_NS) {
		look_soon(a, now_ns);
		return;
	}
	uint64_t rests_in_ns = weir_compiler_rests_in_ns(&a->compiler, now_ns);
	if (rests_in_ns) { /* who waits for a policy waits for this one */
		a->compile_at_ns = now_ns + rests_in_ns;
		return;
	}
	weir_compiler_read(&a->compiler);
	publish(a, now_ns);
}

static bool idle(const struct agent *a, uint64_t now_ns)
{
	uint64_t active = a->upkeep.active_ns;
	uint64_t client = weir_server_client_ns(&a->server), browser = weir_listener_client_ns(a->listener);
	if (client > active)
		active = client;
	if (browser > active)
		active = browser;
	if (weir_alerts_busy(a->alerts))
		return false;
	return a->idle_exit_ns && now_ns > active && now_ns - active >= a->idle_exit_ns;
}

/* Until there is a reason to leave. */
static void serve(struct agent *a)
{
	for (;;) {
		struct pollfd fds[] = {
			{.fd = a->signals, .events = POLLIN},
			{.fd = a->requests.fd, .events = POLLIN},
			{.fd = a->watch.fd, .events = POLLIN},
			{.fd = weir_server_descriptor(&a->server), .events = POLLIN},
			{.fd = weir_listener_descriptor(a->listener), .events = POLLIN},
		};
		uint64_t now_ns = weir_now_ns();
		poll(fds, sizeof fds / sizeof *fds, poll_timeout_ms(a, now_ns));
		now_ns = weir_now_ns();
		if (fds[0].revents) {
			weir_log(WEIR_LOG_INFO, "agent: told to stop");
			return;
		}
		if (weir_requests_drain(&a->requests) && !a->compile_at_ns)
			look_soon(a, now_ns - SETTLE_NS); /* a process waits: nothing to settle */
		if (fds[2].revents && weir_watch_drain(&a->watch))
			look_soon(a, now_ns);
		if ((a->compile_at_ns && now_ns >= a->compile_at_ns) || now_ns >= a->stat_at_ns) {
			a->compile_at_ns = 0;
			look_at_files(a, now_ns);
		}
		weir_server_run(&a->server);
		weir_listener_run(a->listener);
		if (now_ns < a->upkeep_at_ns)
			continue;
		a->upkeep_at_ns = now_ns + WEIR_UPKEEP_NS;
		if (!weir_upkeep_turn(&a->upkeep, now_ns))
			return;
		weir_alerts_turn(a->alerts, now_ns);
		a->replaced = weir_own_file_replaced(&a->own_file);
		if (a->replaced) {
			weir_log(WEIR_LOG_INFO, "agent: %s was replaced", a->own_file.path);
			return;
		}
		if (now_ns >= a->tidy_at_ns) {
			a->tidy_at_ns = now_ns + TIDY_EVERY_NS;
			weir_worlds_tidy(&a->world, WEIR_WORLD_IDLE_NS);
			weir_run_summaries_tidy(a->world.dir);
		}
		if (idle(a, now_ns)) {
			weir_log(WEIR_LOG_INFO, "agent: idle");
			return;
		}
	}
}

/* In this order: nobody new finds the agent, nobody takes it for alive, then the next one may come. */
static void leave(struct agent *a)
{
	weir_listener_stop(a->listener);
	weir_server_stop(&a->server);
	weir_requests_stop(&a->requests);
	weir_watch_close(&a->watch);
	weir_upkeep_end(&a->upkeep);
	weir_alerts_end(a->alerts);
	if (a->segment.base) {
		uint64_t mine = (uint64_t)getpid();
		weir_event_write(&a->segment, WEIR_EVENT_AGENT_STOPPED, WEIR_CAUSE_NONE, NULL, mine, 0, 0, weir_now_ns());
		atomic_compare_exchange_strong(&a->segment.header->agent_pid, &mine, 0);
		weir_agent_ledger_end();
		weir_segment_close(&a->segment);
	}
	if (a->signals >= 0)
		close(a->signals);
	weir_compiler_free(&a->compiler);
	weir_instance_release(&a->instance, &a->world);
}

/* A program that adopts orphans waits for them all, perhaps until none is left: without weir there would be no agent to wait for.
 * The next try is put off, as each one is a dead child for that program to collect. */
static bool leave_it_to_others(const struct weir_environment *e)
{
	struct weir_world w;
	struct weir_segment s;
	const char *why;
	int err;
	if (!weir_process_preloaded(getppid()))
		return false;
	if (!weir_world_of(e, &w) && weir_segment_open(&s, w.segment, false, NULL, &why, &err) == WEIR_SEGMENT_OK) {
		atomic_store(&s.header->agent_spawn_ns, weir_now_ns() + WEIR_AGENT_PUT_OFF_NS);
		weir_segment_close(&s);
	}
	weir_log(WEIR_LOG_INFO, "agent: pid %d, which runs under weir, would have to wait for this process", (int)getppid());
	return true;
}

int weir_agent_run(const struct weir_environment *e, const struct weir_agent_options *o)
{
	if (o->spawned && leave_it_to_others(e))
		return 0;
	struct agent *a = calloc(1, sizeof *a);
	if (!a)
		return complain("start", "out of memory", 0);
	a->environment = e;
	a->signals = a->requests.fd = a->instance.lock = -1;
	weir_watch_init(&a->watch);
	weir_server_init(&a->server);
	weir_own_file_remember(&a->own_file);
	int status = take_place(a);
	if (status == 0) {
		status = start(a, o);
		if (status == 0)
			serve(a);
		leave(a);
		if (a->replaced)
			weir_own_file_become(&a->own_file, o);
	}
	free(a);
	return status;
}

const char *weir_agent_stop(const struct weir_world *w, uint32_t *pid)
{
	*pid = weir_instance_pid(w);
	if (*pid == 0)
		return NULL;
	if (kill((pid_t)*pid, SIGTERM) != 0)
		return strerror(errno);
	for (int i = 0; i < 500; i++) {
		const struct timespec rest = {0, 10000000};
		if (weir_instance_pid(w) != *pid)
			return NULL;
		nanosleep(&rest, NULL);
	}
	return "it did not stop within 5 s";
}

const char *weir_agent_compile_once(const struct weir_environment *e)
{
	struct agent *a = calloc(1, sizeof *a);
	if (!a)
		return "out of memory";
	a->environment = e;
	uint32_t other = 0;
	int err = 0;
	const char *why = weir_world_of(e, &a->world);
	if (!why)
		why = weir_world_prepare(&a->world, e->uid, &err);
	if (!why)
		why = weir_instance_take(&a->instance, &a->world, &other, &err);
	if (why) {
		free(a);
		return other ? NULL : why;
	}
	weir_compiler_init(&a->compiler, e);
	weir_compiler_read(&a->compiler);
	/* Nobody is here to look again later. */
	for (int i = 0; a->compiler.unrested && i < 12; i++) {
		const struct timespec rest = {0, 100000000};
		nanosleep(&rest, NULL);
		weir_compiler_read(&a->compiler);
	}
	why = map_segment(a, &err);
	if (!why) {
		weir_compiler_publish(&a->compiler, &a->segment, weir_now_ns());
		weir_segment_close(&a->segment);
	}
	weir_compiler_free(&a->compiler);
	weir_instance_release(&a->instance, &a->world);
	free(a);
	return why;
}
