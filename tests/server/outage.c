#include "tests/server/outage.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tests/server/clock.h"

static const char *const names[] = {"none", "refuse", "hang", "blackhole"};

void outage_init(struct outage *o, struct connections *connections, struct quota *quota)
{
	memset(o, 0, sizeof *o);
	pthread_mutex_init(&o->mutex, NULL);
	o->connections = connections;
	o->quota = quota;
}

void outage_destroy(struct outage *o)
{
	pthread_mutex_destroy(&o->mutex);
}

void outage_add_listener(struct outage *o, struct listener *listener)
{
	o->listener[o->listeners++] = listener;
}

bool outage_kind_parse(const char *name, enum outage_kind *out)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(names[i], name) == 0) {
			*out = (enum outage_kind)i;
			return true;
		}
	}
	return false;
}

const char *outage_kind_name(enum outage_kind kind)
{
	return names[kind];
}

/* RSTs that this network namespace has sent so far (Tcp: OutRsts): nothing else tells how many
 * connections were refused, since the kernel refuses them alone. 0 when it cannot be read. */
static uint64_t resets_sent(void)
{
	FILE *file = fopen("/proc/net/snmp", "re");
	char line[1024];
	uint64_t resets = 0;

	if (file == NULL)
		return 0;
	while (fgets(line, sizeof line, file) != NULL) {
		/* Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets
		 *      CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors */
		if (sscanf(line, "Tcp: %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %" SCNu64, &resets) == 1)
			break;
	}
	fclose(file);
	return resets;
}

static void count(struct outage *o)
{
	uint64_t dropped = 0;
	uint64_t resets = 0;

	if (o->kind == OUTAGE_BLACKHOLE) {
		for (size_t i = 0; i < o->listeners; i++)
			dropped += listener_take_drops(o->listener[i]);
	}
	if (o->kind == OUTAGE_REFUSE) {
		uint64_t now = resets_sent();

		resets = now - o->resets_at_start;
		o->resets_at_start = now;
	}
	if (dropped + resets > 0)
		quota_count_outage(o->quota, dropped, resets);
}

static int end(struct outage *o)
{
	enum outage_kind kind = o->kind;
	int result = 0;

	count(o);
	o->kind = OUTAGE_NONE;
	o->end_ns = 0;
	/* Requests that hang are waiting for their connections to be shut down. */
	if (kind == OUTAGE_HANG || kind == OUTAGE_BLACKHOLE)
		connections_shut_down(o->connections);
	if (kind == OUTAGE_REFUSE || kind == OUTAGE_BLACKHOLE) {
		for (size_t i = 0; i < o->listeners; i++) {
			if (listener_resume(o->listener[i]) != 0)
				result = -1;
		}
	}
	return result;
}

static int begin(struct outage *o, enum outage_kind kind)
{
	o->kind = kind;
	if (kind == OUTAGE_REFUSE || kind == OUTAGE_BLACKHOLE) {
		for (size_t i = 0; i < o->listeners; i++) {
			if ((kind == OUTAGE_REFUSE ? listener_refuse : listener_swallow)(o->listener[i]) != 0)
				return -1;
		}
	}
	if (kind == OUTAGE_REFUSE) {
		connections_shut_down(o->connections);
		o->resets_at_start = resets_sent();
	}
	return 0;
}

int outage_begin(struct outage *o, enum outage_kind kind, int64_t duration_ns)
{
	int result = -1;

	pthread_mutex_lock(&o->mutex);
	if (o->stopping) {
		errno = ESHUTDOWN;
	} else {
		result = end(o);
		if (result == 0 && kind != OUTAGE_NONE) {
			result = begin(o, kind);
			o->end_ns = duration_ns == 0 ? 0 : monotonic_ns() + duration_ns;
			if (result != 0) {
				int error = errno;

				end(o);
				errno = error;
			}
		}
	}
	pthread_mutex_unlock(&o->mutex);
	return result;
}

enum outage_kind outage_current(struct outage *o)
{
	enum outage_kind kind;

	pthread_mutex_lock(&o->mutex);
	kind = o->kind;
	pthread_mutex_unlock(&o->mutex);
	return kind;
}

int64_t outage_tick(struct outage *o, int64_t now_ns)
{
	int64_t end_ns;

	pthread_mutex_lock(&o->mutex);
	if (o->end_ns != 0 && now_ns >= o->end_ns)
		end(o);
	end_ns = o->end_ns;
	pthread_mutex_unlock(&o->mutex);
	return end_ns;
}

bool outage_hang(struct outage *o, int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLRDHUP};

	switch (outage_current(o)) {
	case OUTAGE_HANG:
	case OUTAGE_BLACKHOLE:
		break;
	default:
		return false;
	}
	/* If the outage ends right here, the connection is shut down already and poll returns at once. */
	while (poll(&poller, 1, -1) < 0 && errno == EINTR) {
	}
	return true;
}

void outage_count(struct outage *o)
{
	pthread_mutex_lock(&o->mutex);
	count(o);
	pthread_mutex_unlock(&o->mutex);
}

void outage_stop(struct outage *o)
{
	pthread_mutex_lock(&o->mutex);
	o->stopping = true;
	count(o);
	o->kind = OUTAGE_NONE;
	o->end_ns = 0;
	connections_shut_down(o->connections);
	pthread_mutex_unlock(&o->mutex);
}
