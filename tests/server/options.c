#include "tests/server/options.h"

#include <arpa/inet.h>
#include <string.h>

#include "tests/server/clock.h"
#include "tests/server/number.h"

#define DEFAULT_MAX_SECONDS 600
#define MAX_DELAY_MS        3600000.0
#define MAX_SKEW_S          1e6
#define MAX_RETRY_S         1e9

void options_init(struct options *o)
{
	memset(o, 0, sizeof *o);
	o->max_seconds = DEFAULT_MAX_SECONDS;
	o->quota.throttle_status = 429;
	o->quota.seed = 1;
	o->quota.dialect.spoken = 0;
}

static bool copy_path(char out[PATH_MAX], const char *value)
{
	if (*value == '\0' || strlen(value) >= PATH_MAX)
		return false;
	strcpy(out, value);
	return true;
}

static bool parse_port(const char *value, uint16_t *out)
{
	int64_t port;

	if (!number_parse_whole(value, 0, 65535, &port))
		return false;
	*out = (uint16_t)port;
	return true;
}

static bool parse_delay_ms(const char *value, int64_t *out_ns)
{
	double ms;

	if (!number_parse(value, 0, MAX_DELAY_MS, &ms))
		return false;
	*out_ns = (int64_t)(ms * (double)NS_PER_MS);
	return true;
}

/* Start-up options. */

/* The server has no defences: it is never to be reached from another machine. */
static bool start_listen(struct options *o, const char *value)
{
	(void)o;
	return strcmp(value, "127.0.0.1") == 0;
}

static bool start_port(struct options *o, const char *value)
{
	return parse_port(value, &o->port);
}

static bool start_tls(struct options *o, const char *value)
{
	(void)value;
	o->tls = true;
	return true;
}

static bool start_tls_port(struct options *o, const char *value)
{
	o->tls = true;
	return parse_port(value, &o->tls_port);
}

static bool start_cert_file(struct options *o, const char *value)
{
	return copy_path(o->cert_file, value);
}

static bool start_control_port(struct options *o, const char *value)
{
	return parse_port(value, &o->control_port);
}

static bool start_ready_file(struct options *o, const char *value)
{
	return copy_path(o->ready_file, value);
}

static bool start_die_with_parent(struct options *o, const char *value)
{
	(void)value;
	o->die_with_parent = true;
	return true;
}

static bool start_max_seconds(struct options *o, const char *value)
{
	return number_parse(value, 0.001, 1e6, &o->max_seconds);
}

static bool start_help(struct options *o, const char *value)
{
	(void)value;
	o->help = true;
	return true;
}

/* Options of the quota. An empty value puts the default back. */

static bool set_bucket(struct quota_settings *q, const char *value)
{
	struct bucket_settings bucket = {.on = true, .burst = 1};
	const char *colon = strchr(value, ':');
	size_t length = colon == NULL ? strlen(value) : (size_t)(colon - value);
	char rate[64];
	double count;
	int64_t period_ns;

	if (*value == '\0') {
		q->bucket = (struct bucket_settings){0};
		return true;
	}
	if (length >= sizeof rate)
		return false;
	memcpy(rate, value, length);
	rate[length] = '\0';
	if (!number_parse_rate(rate, &count, &period_ns))
		return false;
	if (colon != NULL && !number_parse(colon + 1, 1, 1e9, &bucket.burst))
		return false;
	bucket.rate_per_s = count / ns_to_s(period_ns);
	q->bucket = bucket;
	return true;
}

static bool set_window(struct quota_settings *q, const char *value)
{
	double count;
	int64_t period_ns;

	if (*value == '\0') {
		q->window.on = false;
		return true;
	}
	if (!number_parse_rate(value, &count, &period_ns) || count != (double)(int64_t)count || count < 1)
		return false;
	q->window.on = true;
	q->window.limit = (int64_t)count;
	q->window.period_ns = period_ns;
	return true;
}

static bool set_apart(struct quota_settings *q, const char *value)
{
	q->named = strcmp(value, "named") == 0;
	q->apart = q->named || strcmp(value, "unnamed") == 0;
	return q->apart || *value == '\0';
}

static bool set_age(struct quota_settings *q, const char *value)
{
	return number_parse_whole(*value == '\0' ? "0" : value, 0, 1000000000, &q->dialect.age_s);
}

static bool set_window_phase(struct quota_settings *q, const char *value)
{
	double s = 0;

	if (*value != '\0' && !number_parse(value, -1e6, 1e6, &s))
		return false;
	q->window.wall_aligned = *value != '\0';
	q->window.phase_ns = (int64_t)(s * (double)NS_PER_S);
	return true;
}

static bool set_slots(struct quota_settings *q, const char *value)
{
	if (*value == '\0') {
		q->slots.count = 0;
		return true;
	}
	return number_parse_whole(value, 1, SLOTS_MAX, &q->slots.count);
}

static bool set_service_ms(struct quota_settings *q, const char *value)
{
	return parse_delay_ms(*value == '\0' ? "0" : value, &q->slots.service_ns);
}

static bool set_service_dist(struct quota_settings *q, const char *value)
{
	if (*value != '\0' && strcmp(value, "fixed") != 0 && strcmp(value, "exp") != 0)
		return false;
	q->slots.exponential = strcmp(value, "exp") == 0;
	return true;
}

static bool set_slots_reject(struct quota_settings *q, const char *value)
{
	int64_t status = 0;

	if (*value != '\0' && !number_parse_whole(value, 400, 599, &status))
		return false;
	q->slots.reject_status = (int)status;
	return true;
}

static bool set_latency_ms(struct quota_settings *q, const char *value)
{
	return parse_delay_ms(*value == '\0' ? "0" : value, &q->latency_ns);
}

static bool set_error_mix(struct quota_settings *q, const char *value)
{
	if (*value == '\0') {
		q->errors.count = 0;
		return true;
	}
	return error_mix_parse(value, &q->errors);
}

static bool set_seed(struct quota_settings *q, const char *value)
{
	return number_parse_whole(*value == '\0' ? "1" : value, 0, INT64_MAX, &q->seed);
}

static bool set_throttle_status(struct quota_settings *q, const char *value)
{
	int64_t status = 429;

	if (*value != '\0' && !number_parse_whole(value, 400, 599, &status))
		return false;
	q->throttle_status = (int)status;
	return true;
}

static bool set_throttle_next(struct quota_settings *q, const char *value)
{
	return number_parse_whole(*value == '\0' ? "0" : value, 0, 1000000000, &q->throttle_next);
}

static bool set_dialect(struct quota_settings *q, const char *value)
{
	return dialect_parse(*value == '\0' ? "none" : value, &q->dialect.spoken);
}

static bool set_date_skew(struct quota_settings *q, const char *value)
{
	return number_parse(*value == '\0' ? "0" : value, -MAX_SKEW_S, MAX_SKEW_S, &q->dialect.date_skew_s);
}

static bool set_retry_after(struct quota_settings *q, const char *value)
{
	if (*value != '\0' && !number_parse(value, 0, MAX_RETRY_S, &q->dialect.retry_after_s))
		return false;
	q->dialect.retry_fixed = *value != '\0';
	return true;
}

struct option {
	const char *name;
	const char *value;                                  /* what it takes; NULL = nothing */
	bool (*start)(struct options *, const char *value); /* one of the two */
	bool (*set)(struct quota_settings *, const char *value);
	const char *help;
};

static const struct option table[] = {
	{"listen", "127.0.0.1", start_listen, NULL, "the address; no other than 127.0.0.1"},
	{"port", "PORT", start_port, NULL, "HTTP port, 0 = any free one (default)"},
	{"tls", NULL, start_tls, NULL, "serve HTTPS too, with a self-signed certificate for localhost and 127.0.0.1"},
	{"tls-port", "PORT", start_tls_port, NULL, "HTTPS port, 0 = any free one; implies --tls"},
	{"cert-file", "FILE", start_cert_file, NULL, "write the certificate (PEM) there, for curl --cacert"},
	{"control-port", "PORT", start_control_port, NULL, "port of the control interface, 0 = any free one (default)"},
	{"ready-file", "FILE", start_ready_file, NULL, "write http=, https=, control= and pid= there once all ports listen"},
	{"die-with-parent", NULL, start_die_with_parent, NULL, "exit when the parent process dies"},
	{"max-seconds", "SECONDS", start_max_seconds, NULL, "exit by itself after so long (default 600)"},
	{"help", NULL, start_help, NULL, "this text"},
	{"bucket", "RATE[:BURST]", NULL, set_bucket, "token bucket: 10/s:10, 60/h, 100/6h:100 (burst >= 1, default 1)"},
	{"window", "N/PERIOD", NULL, set_window, "fixed window: 60/60s, 5000/h (N whole, >= 1)"},
	{"apart", "named|unnamed", NULL, set_apart,
	 "a window for each Authorization and first part of a path; named: X-RateLimit-Resource tells the latter"},
	{"window-phase", "SECONDS", NULL, set_window_phase,
	 "align windows to the wall clock, shifted by so much (default: to the start)"},
	{"slots", "N", NULL, set_slots, "concurrency slots, 1-1024; requests over N queue first in, first out"},
	{"service-ms", "MS", NULL, set_service_ms, "service time of a request in its slot, 0-3600000"},
	{"service-dist", "fixed|exp", NULL, set_service_dist, "its distribution (default fixed)"},
	{"slots-reject", "STATUS", NULL, set_slots_reject, "reject requests over N with this status (400-599) instead"},
	{"latency-ms", "MS", NULL, set_latency_ms, "latency of every answer, 0-3600000"},
	{"error-mix", "STATUS:SHARE,...", NULL, set_error_mix,
	 "random errors among accepted requests: 503:0.3,500:0.01 (statuses 400-599, shares up to 1 in all)"},
	{"seed", "N", NULL, set_seed, "seed of the error mix and of exponential service times (default 1)"},
	{"throttle-status", "STATUS", NULL, set_throttle_status, "status of a rejection, 400-599 (default 429)"},
	{"throttle-next", "N", NULL, set_throttle_next, "reject the next N requests, whatever the limits say"},
	{"dialect", "NAME,...", NULL, set_dialect,
	 "headers: none, retry-after, retry-after-float, retry-after-date, ratelimit-draft, x-ratelimit-epoch, "
	 "x-ratelimit-epoch-ms, x-ratelimit-delta, docker, reddit, openai, anthropic, azure, retry-after-iso, "
	 "two-lines, malformed, absurd (default none)"},
	{"age", "SECONDS", NULL, set_age, "tell that a cache has kept the answers for so long (Age)"},
	{"date-skew", "SECONDS", NULL, set_date_skew, "the server's wall clock is so much fast: dates, epochs and Date"},
	{"retry-after", "SECONDS", NULL, set_retry_after,
	 "announce this time (default: until the limits would accept, rounded up)"},
};

#define TABLE_COUNT (sizeof table / sizeof table[0])

static const struct option *find(const char *name, size_t length)
{
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0)
			return &table[i];
	}
	return NULL;
}

static bool refuse(char error[OPTIONS_ERROR_BYTES], const struct option *option, const char *value)
{
	snprintf(error, OPTIONS_ERROR_BYTES, "%s: \"%.80s\" is not %s (%s)", option->name, value, option->value, option->help);
	return false;
}

bool options_parse(struct options *o, int argc, char **argv, char error[OPTIONS_ERROR_BYTES])
{
	for (int i = 1; i < argc; i++) {
		const char *name = argv[i] + 2;
		const char *value = "";
		const char *equals = strchr(argv[i], '=');
		const struct option *option = NULL;

		if (strncmp(argv[i], "--", 2) == 0)
			option = find(name, equals == NULL ? strlen(name) : (size_t)(equals - name));
		if (option == NULL) {
			snprintf(error, OPTIONS_ERROR_BYTES, "unknown option \"%.80s\"; see --help", argv[i]);
			return false;
		}
		if (option->value == NULL && equals != NULL) {
			snprintf(error, OPTIONS_ERROR_BYTES, "--%s takes no value", option->name);
			return false;
		}
		if (option->value != NULL && equals != NULL) {
			value = equals + 1;
		} else if (option->value != NULL) {
			if (++i == argc) {
				snprintf(error, OPTIONS_ERROR_BYTES, "--%s needs a value: %s", option->name, option->value);
				return false;
			}
			value = argv[i];
		}
		if (!(option->start != NULL ? option->start(o, value) : option->set(&o->quota, value)))
			return refuse(error, option, value);
	}
	return true;
}

bool options_set(struct quota_settings *q, const char *name, const char *value, char error[OPTIONS_ERROR_BYTES])
{
	const struct option *option = find(name, strlen(name));
	struct quota_settings changed = *q;

	if (option == NULL) {
		snprintf(error, OPTIONS_ERROR_BYTES, "unknown option \"%.80s\"", name);
		return false;
	}
	if (option->set == NULL) {
		snprintf(error, OPTIONS_ERROR_BYTES, "%s: can be given on the command line only", option->name);
		return false;
	}
	if (!option->set(&changed, value))
		return refuse(error, option, value);
	*q = changed;
	return true;
}

void options_help(FILE *out)
{
	fputs("usage: quotad [OPTION]...\n"
	      "An HTTP server on loopback that enforces quotas and misbehaves on request, to test weir with.\n"
	      "A request must pass every limit given. Options marked * can also be set while it runs:\n"
	      "POST /set?bucket=10/s:10&dialect=retry-after on the control port; an empty value puts the default back.\n\n",
	      out);
	for (size_t i = 0; i < TABLE_COUNT; i++)
		fprintf(out, "%s --%s%s%s\n        %s\n", table[i].set != NULL ? "*" : " ", table[i].name,
			table[i].value != NULL ? " " : "", table[i].value != NULL ? table[i].value : "", table[i].help);
	fputs("\nPaths: / /status/NNN /bytes/N /delay/MS /n/ID /echo /redirect/PORT/REST /redirect-https/REST\n"
	      "Control: GET /count /journal; POST /mark /reset /quit /set?OPTION=VALUE&...\n"
	      "         POST /outage?kind=none|refuse|hang|blackhole[&seconds=S]\n",
	      out);
}
