/* SPDX-License-Identifier: MIT */
/*
 * A scenario: a server, clients, what happens when, and what weir must reach. Plain tables (scenarios_*.c); every field that is
 * left out is zero and means "none" or the default named here.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "dialect.h"

/* What comes back. */
enum sim_status {
	SIM_OK,
	SIM_TOO_MANY,    /* 429 */
	SIM_UNAVAILABLE, /* 503 */
	SIM_ERROR,       /* 500 */
	SIM_FORBIDDEN,   /* 403 */
	SIM_REFUSED,     /* connection refused */
	SIM_SILENCE,     /* no answer ever: the client's time-out ends it */
};

enum sim_limit_kind {
	SIM_NO_LIMIT,
	SIM_BUCKET,
	SIM_WINDOW,
	SIM_LOG,    /* a sliding log: so many in any window_s */
	SIM_DELAY,  /* nginx's limit_req with delay: queues up to burst requests, refuses beyond */
	SIM_BUDGET, /* the server has no limit; the client's own rule is a fixed rate */
};

/* One quota of the server; a request must pass all of them. */
struct sim_limit {
	enum sim_limit_kind kind;
	double rate;     /* bucket, delay, budget: per second */
	double burst;    /* bucket, budget: its depth; delay: the length of the queue */
	double limit;    /* window, log: requests per window */
	double window_s; /* window, log: its length; the phase of a window is drawn per seed */
	double swing;    /* bucket: the rate goes up and down by this share of it, as a sine */
	double period_s; /* ... in so long; the phase is drawn per seed */
};

/* A pool of equal servers behind one FIFO queue. */
struct sim_slots {
	unsigned count;
	double service_ms; /* mean; exponential */
	double tail;       /* share of requests that take 50 times as long (a heavy tail without overload) */
	bool refuses;      /* no queue: refused at once when all are busy */
};

/* Answers that have nothing to do with the pace. */
struct sim_noise {
	enum sim_status status;
	double share;        /* of all requests, at random */
	unsigned run, every; /* or: the first `run` of `every` requests, in order of arrival */
};

enum sim_change_kind {
	SIM_KEEP,
	SIM_SET_RATE,     /* value: tokens per second of limit[0] */
	SIM_SET_SLOWDOWN, /* value: factor on service times */
	SIM_SET_ERRORS,   /* value: share of 503 */
	SIM_SET_OUTAGE,   /* value: enum sim_outage */
};

enum sim_outage { SIM_UP, SIM_RST, SIM_BLACK_HOLE, SIM_HANG };

struct sim_change {
	double at_s;
	enum sim_change_kind kind;
	double value;
	double until_s; /* with at_s: drawn uniformly between the two, 0 = exactly at_s */
};

/* A client that hammers: how long it waits, and how soon it asks again when it is refused. */
#define SIM_HAMMER_PATIENCE_NS 50000000
#define SIM_HAMMER_PAUSE_NS    10000000

/* What is measured. Every metric is one number per run. */
enum sim_metric {
	SIM_NO_METRIC,
	SIM_UTILISATION,       /* accepted / capacity of the measured span */
	SIM_THROTTLED,         /* share of throttled answers in the measured span, start-up excluded */
	SIM_STARTUP_THROTTLED, /* throttled answers in the first 30 s */
	SIM_REACHES_90_S,      /* seconds until a second with 90 % of the capacity that stays so on average */
	SIM_WINDOW_REJECTS,    /* throttled answers per window in the measured span */
	SIM_DROP_THROTTLED,    /* throttled answers in the 10 s after the first fall of the rate */
	SIM_DROP_S,            /* seconds from the fall until the last of them */
	SIM_RISE_S,            /* seconds from the rise until 90 % of the new rate (over a second) */
	SIM_INSIDE_HOLD,       /* requests sent inside a hold, those in flight aside */
	SIM_RESUMES_LATE,      /* delay of the first request after a hold, as a share of the hold: over all holds */
	SIM_GOODPUT,           /* good answers / capacity of the slots */
	SIM_P99_RATIO,         /* 99th percentile of the latency / that of the unloaded server */
	SIM_DRIFT,             /* mean in flight of the last third / that of the second third */
	SIM_RECOVERY_S,    /* seconds from the end of trouble until 95 % of the capacity (slots) or the first success (outage) */
	SIM_DEAD_REQUESTS, /* requests that reached the dead host */
	SIM_JAIN,          /* fairness over threads of equal processes */
	SIM_LEAKED,        /* permits still out when everybody has gone */
	SIM_FALSE_TRIPS,   /* requests refused by a healthy host's breaker */
	SIM_SILENCE_S,     /* the longest time without a request */
	SIM_POLITE,        /* what the least served of those who wait got / an equal share of all threads */
	SIM_REFUSED_60,    /* share of throttled answers after the first minute */
	SIM_SAID_NO,       /* throttled answers, all of them */
	SIM_OF_BARE,       /* good answers / those that the clients would get without any control */
	SIM_TRIPS,         /* how often a breaker opened */
	SIM_HELD_OFF,      /* requests refused by the controller */
	SIM_PACED,         /* 1: the rate controller has a limit at the end of the run */
	SIM_BANS,          /* bans that refused requests began */
	SIM_P99_MS,        /* 99th percentile of the latency */
	SIM_HELD,          /* requests that were kept for more than 0.1 s and then refused, or timed out */
	SIM_LOST,          /* of the batch: items that got no good answer */
	SIM_LOST_EARLY,    /* ... in the first 30 s of the outage */
	SIM_HALF_OUTAGE_S,
	SIM_COST,         /* requests to the dead host x recovery / (outage / 2); its mean is that of the three means */
	SIM_FAILED_SHARE, /* of the requests that are over: those whose last attempt failed, or was refused */
	SIM_ATTEMPTS,     /* attempts / requests, six a minute aside */
	SIM_TOTAL_OFF,    /* |accepted / what the client's rule grants - 1| */
	SIM_SHARES_OFF,   /* by how much of its guarantee a class is off it, at most */
	SIM_JAIN_CLASS,   /* Jain within a class, the least */
	SIM_LAST_UNITS,   /* how long the last process's first request waited, in units of the rule's rate */
	SIM_CLIENTS_OFF,  /* by how much of its share a client is off it, at most */
	SIM_QUOTA_BEYOND, /* requests that were sent beyond the quota of their window */
	SIM_QUOTA_USED,   /* requests sent / what the windows grant */
	SIM_DEATHS,       /* requests, and passes of the agent, that died in the middle */
	SIM_METRICS
};

struct sim_target {
	enum sim_metric metric;
	char bound; /* '>' at least, '<' at most (the median over the seeds); 'm' at most, on average; 'w' at most in the worst
		       seed */
	double value;
};

/* What the usual shares guarantee: high takes what the others leave. */
#define SIM_SHARE_NORMAL .20
#define SIM_SHARE_LOW    .05

/* A quota of the client's own rule, and the windows by which a run is judged: times since 1970. */
#define SIM_DAYS 6
struct sim_quota {
	uint32_t limit; /* a day */
	bool spread;
	uint64_t begin_s;               /* of the run */
	uint64_t midnight_s[SIM_DAYS];  /* in the zone; the run ends with the last that is not 0 */
	uint64_t change_s[2];           /* the zone's next changes, */
	int16_t before, between, after; /* minutes east of UTC around them */
};

#define SIM_TIMEOUT_S 30
#define SIM_LIMITS    3
#define SIM_NOISES    2
#define SIM_CHANGES   6
#define SIM_TARGETS   6

struct sim_scenario {
	const char *name;
	unsigned row;      /* of the evaluation */
	unsigned seeds;    /* runs, 0 = SIM_SEEDS; more where a mean is asked for */
	const char *text;  /* what the server is, for the report */
	double duration_s; /* or: */
	unsigned windows;  /* so many windows of limit[0] */
	double from_s;     /* the measured span begins, 0 = at once; or: */
	unsigned from_window;
	unsigned processes;  /* 0 = 16 */
	unsigned threads;    /* of each, 0 = 1 */
	unsigned big;        /* one more process with so many threads */
	double rtt_ms;       /* mean of the network's share of the latency, 0 = 45; drawn from two thirds to four thirds of it */
	double think_ms;     /* mean pause of a thread between answer and next request, exponential, 0 = 0.2 */
	double offered;      /* > 0: open loop instead, so many requests per second in total */
	double timeout_s;    /* of the client, 0 = SIM_TIMEOUT_S */
	double patience_s;   /* weir's wait.max, 0 = a day */
	double hold_max_s;   /* weir's hold.max, 0 = the default */
	unsigned hammers;    /* the last so many processes wait for 50 ms at most and ask again 10 ms after a refusal */
	double kill_every_s; /* one process is killed (and started again) so often, the next one stopped for as long */
	double kill_probe;   /* share of requests to a dead host whose process is killed */
	double deaths;       /* share of calls of the gate, and of the agent's passes, in which their process dies */
	unsigned low, high;  /* the first so many processes are of low priority, the last so many of high, the rest of normal */
	double last_at_s;    /* > 0: when the last process begins; the others begin at once */
	bool once;           /* each thread makes one request */
	double per_client;   /* > 0: each process is a client of its own, with so many a second */
	struct sim_quota quota;
	struct sim_limit limit[SIM_LIMITS];
	struct sim_slots slots;
	double errors; /* share of 500 */
	struct sim_noise noise[SIM_NOISES];
	enum sim_status refusal; /* how the limits say no; 0 = 429 */
	double ban_s;            /* so long everything is refused after a refusal, anew with each request meanwhile */
	double give_up_s;        /* a client's own time-out, which its waiting counts towards; it asks again at once; 0 = none */
	unsigned attempts;       /* weir's `retry`: of each request in all; 0 = one */
	unsigned items;          /* a batch: so many requests, each made once; 0 = no end */
	enum sim_dialect dialect;
	struct sim_change change[SIM_CHANGES];
	struct sim_target target[SIM_TARGETS]; /* what weir must reach; each is a column of the report */
	unsigned families;                     /* which baselines run: bits of enum sim_family */
	bool alone;                            /* neither none nor the oracle either: what it asks nobody else offers */
	bool loopback;                         /* has a loopback confirmation too */
};

enum sim_family { SIM_RATE_BASELINES = 1, SIM_CONCURRENCY_BASELINES = 2, SIM_BREAKER_BASELINES = 4 };

extern const struct sim_scenario sim_scenarios[];
extern const unsigned sim_scenario_count;

const char *sim_metric_name(enum sim_metric m);

#endif
