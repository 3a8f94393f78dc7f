/* SPDX-License-Identifier: MIT */
/*
 * The gate: may this request go, when, and what did we learn from it.
 *
 * A request passes the entries (scopes) that apply to it: its host's or group's, its run's, everybody's total. The gate takes a
 * unit in each bucket, one when the one before is ready, looks at hold and breaker, takes a permit in each scope, and lets go.
 * Afterwards the result is settled: counters, breaker, controllers, leases.
 *
 * weir_gate_begin / look / settle / cancel take the time and never block: tests and the simulator drive them with a virtual
 * clock. weir_gate_admit is begin and look in a loop with real sleeping, and is what the hooks call.
 */
#ifndef WEIR_GATE_H
#define WEIR_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/segment.h"

/* The run that this process belongs to (`weir run -r -c`): a limit per host on top of the host's. id empty = none. */
struct weir_run {
	char id[40];
	uint64_t rate; /* nano/s, 0 = none */
	uint32_t burst;
	uint32_t concurrency; /* 0 = none */
};

/* A process's gate. Everything is the caller's; the gate keeps pointers only. */
struct weir_request;
struct weir_summary;
struct weir_gate {
	const struct weir_segment *segment;
	struct weir_owner owner;
	struct weir_run run;
	uint32_t priority; /* what the process says of its requests: enum weir_class + 1, 0 = nothing */
	uint32_t attempts; /* of each request, in place of the rule's: 1 = nothing is asked again; 0 = the rule's number */
	char client[WEIR_CLIENT_MAX]; /* whose share of a host it uses: letters, digits, '.', '_', '-' */
	bool dry_run;                 /* decide and count, never delay or refuse */
	uint64_t wait_max_ns;         /* bound on every wait beside the rule's, 0 = the rule's alone */
	/* Told once of a request that weir_gate_admit is about to let wait for more than WEIR_LONG_WAIT_NS, or, where the end is
	 * not known, has let wait so long. NULL = nobody is. */
	void (*long_wait)(const struct weir_request *r, const char *host_port, uint64_t now_ns);
	struct weir_summary *summary; /* of the run that the process belongs to; NULL: none is asked for */
};
#define WEIR_LONG_WAIT_NS UINT64_C(2000000000)

enum weir_phase {
	WEIR_PHASE_IDLE = 0,
	WEIR_PHASE_WAITING,
	WEIR_PHASE_ADMITTED,
	WEIR_PHASE_REFUSED,
	WEIR_PHASE_EXEMPT,
	WEIR_PHASE_OVER
};

struct weir_scope {
	uint32_t slot;              /* entry, WEIR_NONE = not in use */
	uint64_t word;              /* of the index while the entry is this request's; 0 = not known */
	uint64_t unit[WEIR_RATES];  /* taken units, 0 = none */
	uint64_t place[WEIR_RATES]; /* in the order of a bucket that several classes use, 0 = none */
	uint32_t numbering[WEIR_RATES];
	uint64_t name;                    /* in the ledger; 0: not asked for yet */
	uint32_t window[WEIR_ALLOWANCES]; /* of configured quotas: in which one it is counted, 0 = in none */
};

/* The limit of requests in flight of a key that has no entry. */
struct weir_spare_permits {
	uint32_t tag;   /* of the key, in the leases */
	uint32_t limit; /* 0 = none */
};

/* A request on its way. Caller-owned, a few hundred bytes, no pointers into the heap; zeroed = idle. Not to be shared between
 * threads at the same time. */
struct weir_request {
	enum weir_phase phase;
	enum weir_cause cause; /* why it waits or was refused */
	uint64_t until_ns;     /* when that ends, 0 = unknown, WEIR_NEVER = not by itself */
	uint64_t begun_ns, admitted_ns;
	uint64_t latest_ns; /* it must go by then */
	uint32_t lease, lease_tag;
	uint32_t owner_pid;
	uint32_t wait_slot;             /* entry whose futex word tells of a change; valid while it waits */
	uint64_t retake_ns;             /* its units are void: when it takes new ones, 0 = they are not */
	uint32_t ripe;                  /* bits of scope and rate: units that were ready before others were, and are kept */
	uint32_t held;                  /* scopes whose permit it holds */
	uint32_t beside;                /* requests of its host in flight when it was let go, itself included */
	bool delayed, timed_out;        /* timed_out: refused because the wait would be too long, not because of the breaker */
	bool would_delay, would_refuse; /* dry run */
	bool paid;                      /* takes no units */
	bool unit_taken;                /* struct weir_wish */
	bool tentative;                 /* counted as admitted when it is settled: see struct weir_wish */
	bool hurried;                   /* the program has a time-out of its own */
	bool in_loop;                   /* struct weir_wish */
	bool asker_later;               /* the same */
	bool unpaced;                   /* takes none of the host's controlled bucket: see look.c */
	bool promised;                  /* what is left of the quota has been counted down for it */
	bool has_units;                 /* it has taken some */
	bool ahead;                     /* struct weir_wish */
	bool kept;                      /* on its way, after it had had its turn: weir_gate_depart */
	bool delay_counted;
	bool turns;            /* its turn has come in a bucket of several classes, where it has yet to take the unit */
	bool counted;          /* among those who wait at its host */
	uint32_t class;        /* enum weir_class */
	uint32_t permit_scope; /* whose permit it waits for, with a place in the order there: */
	uint64_t permit_place; /* 0 = none */
	uint32_t wake_bits;    /* with wait_slot: of which changes it wants to hear, 0 = of all */
	bool retries;          /* it may be asked again: weir_gate_retry */
	bool watched;          /* its rule says what is given up as the host gets worse */
	bool let_in;           /* and it was not of the share that is */
	uint32_t summary_row;  /* in the run's summary, 0 = none is asked for */
	struct weir_asker asker;
	uint64_t not_before_ns; /* by the rates for which the table had no entry */
	struct weir_breaker_ticket ticket;
	struct weir_scope scope[WEIR_SCOPES];
	struct weir_spare_permits spare[WEIR_SCOPES];
};

enum weir_verdict { WEIR_GO, WEIR_WAIT, WEIR_REFUSE };

#define WEIR_NOBODY UINT64_C(1) /* the digest of no credential */

/* What a caller wants of one request. */
struct weir_wish {
	const char *host_port; /* lower case "host:port" */
	uint64_t patience_ns;  /* the program's own time-out, 0 = none: a longer wait is refused */
	uint64_t lease_ns;     /* how long the request may stay in flight before its lease is void, 0 = an hour */
	uint32_t thread;       /* tid that performs it, 0 = may be ended by any thread */
	uint32_t lease_hint;   /* the thread's last lease number */
	bool paid;             /* goes on a unit taken a moment ago, for another address of the same host */
	bool unit_taken;       /* its connection has taken one of each limit but a narrowed rule's, which was not known then */
	bool tentative;        /* may leave as if it had never come (weir_gate_leave): counted when it is over */
	bool ahead;            /* what goes first is not the request yet but a handshake: weir_gate_depart follows */
	bool in_loop;          /* nobody sleeps for it: it is looked at when an event loop comes by, a little late */
	bool asker_later;      /* whose it is will be known when it is sent (weir_gate_known): quotas are asked then */
	/* Digests of what identifies the client to the server, and of the path's beginning (weir/http.h). Only salted ones are
	 * kept. 0: not seen; a request without any credential has one of its own (WEIR_NOBODY). */
	uint64_t credential, path;
	/* What it asks for, for rules that are narrowed by it (weir_gate_narrows): nothing of it is kept. */
	struct weir_asks asks;
};

enum weir_outcome { WEIR_SUCCEEDED, WEIR_THROTTLED, WEIR_FAILED, WEIR_IGNORED };

/* What came back. */
struct weir_result {
	enum weir_outcome outcome;
	uint64_t latency_ns;        /* 0 = from admission to now */
	uint64_t retry_after_ns;    /* hold asked for, from now; 0 = none */
	enum weir_cause hold_cause; /* with retry_after_ns */
	struct weir_quota quota[WEIR_QUOTAS];
	uint32_t quotas;
	uint64_t resource;    /* with quotas: a digest of what they are for (struct weir_said), 0 = not known */
	bool named;           /* the server said that name, and it is not made of its limits */
	uint32_t connections; /* connections that it opened */
	uint32_t status;      /* HTTP status, 0 = none was heard */
	enum weir_seen seen;
	bool timed_out; /* with WEIR_FAILED: a time-out */
	bool here;      /* with WEIR_FAILED: this very machine was asked (a loopback address) */
};

/* Begins a request: finds its entries and rules, takes units and a lease, and looks once. The verdict and what it rests on are in
 * *r; with WEIR_WAIT, *wake_ns is when to look again. Never blocks. A host that a rule exempts, or a gate without a segment, goes
 * at once (phase EXEMPT) and needs no settling (but may be settled). */
enum weir_verdict weir_gate_begin(const struct weir_gate *g, struct weir_request *r, const struct weir_wish *wish,
				  uint64_t now_ns, uint64_t *wake_ns);

/* Whether what a request asks for (struct weir_wish, asks) may matter at all: one look. */
bool weir_gate_narrows(const struct weir_gate *g);

/* Whether a request for host_port that asks for this meets a narrowed rule. For what was let go before that was known. */
bool weir_gate_is_narrowed(const struct weir_gate *g, const char *host_port, const struct weir_asks *asks);

/* Looks again. */
enum weir_verdict weir_gate_look(const struct weir_gate *g, struct weir_request *r, uint64_t now_ns, uint64_t *wake_ns);

/* For a request that waits where nobody may be made to wait: it goes now, on the units that it has taken and takes, ready or
 * not, and those behind it wait the longer. Only the breaker still refuses it. Never blocks. */
enum weir_verdict weir_gate_go_now(const struct weir_gate *g, struct weir_request *r, uint64_t now_ns);

/* It is known now whose an admitted request is that was begun with asker_later: credential and path as struct weir_wish has them.
 * False when nothing is left for it of the quota that it shares; it stays admitted, but should not be sent. */
bool weir_gate_known(const struct weir_gate *g, struct weir_request *r, uint64_t credential, uint64_t path, uint64_t now_ns);

/* A request that was admitted for what goes ahead of it (struct weir_wish) leaves now, on the same units: WEIR_GO, or, where
 * others have left too short a time ago, it waits once more, and *wake_ns is when to look again. Does nothing the second time.
 * Never blocks. */
enum weir_verdict weir_gate_depart(const struct weir_gate *g, struct weir_request *r, uint64_t now_ns, uint64_t *wake_ns);

/* Gives an admitted request's permits back before its result is known; lease, units and the breaker's ticket stay with it until
 * it is settled. For what nobody promises to end soon. */
void weir_gate_release_permits(const struct weir_gate *g, struct weir_request *r);

/* Ends a tentative request, or one that waits, as if it had never come: units, permits and lease go back. False, and nothing
 * done, for a probe, whose place nobody can take. */
bool weir_gate_leave(const struct weir_gate *g, struct weir_request *r);

/* Ends an admitted request. Does nothing on a request that is refused or exempt. */
void weir_gate_settle(const struct weir_gate *g, struct weir_request *r, const struct weir_result *result, uint64_t now_ns);

/* Ends a request that will not be made: gives back units and permits where it can. */
void weir_gate_cancel(const struct weir_gate *g, struct weir_request *r, uint64_t now_ns);

/* What holds for asking again after this request, whether or not it has been settled. False, and *out untouched, when nothing is
 * asked again. */
bool weir_gate_retry(const struct weir_gate *g, const struct weir_request *r, struct weir_retry_params *out);

/* Whether the host has said when the next request may go: a hold. A pace that has just been learned is no more than a guess. */
bool weir_gate_retry_is_held(const struct weir_gate *g, const struct weir_request *r, uint64_t now_ns);

/* A first attempt pays into its host's retry budget. */
void weir_gate_retry_earn(const struct weir_gate *g, const struct weir_request *r, uint64_t now_ns);

/* Takes a retry out of the budget and counts it. False: there is none, which is counted as well. */
bool weir_gate_retry_spend(const struct weir_gate *g, const struct weir_request *r, uint64_t now_ns);

/* How it ended: a retry has brought a good answer, or the last attempt allowed has failed, too. */
void weir_gate_retry_saved(const struct weir_gate *g, const struct weir_request *r);
void weir_gate_retry_gave_up(const struct weir_gate *g, const struct weir_request *r);

/* Accounts for an exchange that has already happened on another hop (a redirect): takes its unit, counts it as admitted, and
 * settles it. */
void weir_gate_hop(const struct weir_gate *g, const char *host_port, const struct weir_result *result, uint64_t now_ns);

/* Begins and waits, sleeping in this thread, until the request goes or is refused. Blocks for at most the rule's wait.max.
 * Returns WEIR_GO or WEIR_REFUSE. Uses CLOCK_MONOTONIC and futex; signals handled meanwhile do not end the wait. errno may
 * change. */
enum weir_verdict weir_gate_admit(const struct weir_gate *g, struct weir_request *r, const struct weir_wish *wish);

/* The second half of weir_gate_admit: waits with a request that weir_gate_begin has told to wait. */
enum weir_verdict weir_gate_await(const struct weir_gate *g, struct weir_request *r, const char *host_port);

/* Sleeps until that time (CLOCK_MONOTONIC), with no request in hand; pthread_cancel ends it. For a pause between two requests. */
void weir_gate_sleep(uint64_t until_ns);

/* A jump, or the thread's end, has left weir_gate_await: nobody waits there any more. Does nothing where it was not left. */
void weir_gate_await_left(void);

/* CLOCK_MONOTONIC in nanoseconds: the one clock. Read past whatever replaces the C library's (libfaketime). */
uint64_t weir_now_ns(void);

/* The same as of the clock's last tick, some milliseconds ago at most; a fraction of the cost. For what is done now and then. */
uint64_t weir_tick_ns(void);

/* CLOCK_REALTIME in the same way, for the dates that servers send. */
uint64_t weir_wall_ns(void);

/* The same as it was at the kernel's last tick, up to 10 ms ago, at a fifth of the price. */
uint64_t weir_wall_tick_ns(void);

/* What a status means under the rule of this request: throttled, failed (5xx), else succeeded. says_when: the answer has a
 * Retry-After, or a quota with nothing left; then 403, 413, 418, 420, 425, 430, 503 and 529 are throttled as well. */
enum weir_outcome weir_gate_classify(const struct weir_gate *g, const struct weir_request *r, int http_status, bool says_when);

/* Makes the queues of the entries as long as there are requests waiting, where processes that died while they waited have left
 * units that nobody will use: those who wait take new ones, in the order of the old. Only where it is worth a second or more.
 * `room`: s->entries + 1 of them, for what is counted meanwhile. `clock_ns`: weir_now_ns, or a virtual clock. For the agent, now
 * and then: a pass over the entries, and one over the leases for each whose queue is long. Returns how many queues were
 * shortened. */
uint32_t weir_gate_requeue(const struct weir_segment *s, struct weir_occupancy *room, uint64_t (*clock_ns)(void));

/* Whose limit it is: the host's (or a narrowed rule's that stands apart from it), a run's, that of all hosts together, a narrowed
 * rule's beside the host's, the client's share. */
enum weir_forecast_at { WEIR_AT_HOST, WEIR_AT_RUN, WEIR_AT_TOTAL, WEIR_AT_NARROWED, WEIR_AT_CLIENT };

/* What would happen to a request for host_port now, without making it. */
struct weir_forecast {
	enum weir_verdict verdict;
	enum weir_cause cause;
	uint64_t until_ns;    /* when it could go */
	uint64_t wait_max_ns; /* how long it may wait: the shortest of all that the rules it meets say */
	bool timed_out;
	bool exempt;              /* the rule, or the narrowed one, lets it pass untouched */
	enum weir_forecast_at at; /* whose limit the cause is */
	uint32_t slot;            /* entry of the host, WEIR_NONE when the host is unknown yet */
	uint32_t rule;            /* index in the policy in force, WEIR_NONE = built-in defaults */
	uint32_t narrowed;        /* of the narrowed rule that it meets, WEIR_NONE = none; one that stands apart is `rule`, too */
	char key[WEIR_KEY_MAX];   /* of the entry */
};
void weir_gate_forecast(const struct weir_gate *g, const char *host_port, uint64_t now_ns, struct weir_forecast *out);

/* The same for one that asks for this; NULL: nothing of it is seen. */
void weir_gate_forecast_asked(const struct weir_gate *g, const char *host_port, const struct weir_asks *asks, uint64_t now_ns,
			      struct weir_forecast *out);

/* The operator's hand. Each returns false when the host is not known (and `make` is false). rate in nano/s, 0 = remove; for_ns 0
 * = until reset. */
bool weir_gate_set(const struct weir_segment *s, const char *host_port, uint64_t rate, uint32_t burst, uint32_t concurrency,
		   uint64_t for_ns, bool make, uint64_t now_ns);
bool weir_gate_reset(const struct weir_segment *s, const char *host_port, uint64_t now_ns);
/* What was used of the quotas of an entry's rule, from the ledger or the entry. Returns how many there are. *wall_ms: by which
 * clock. May map the ledger. */
unsigned weir_gate_quotas(const struct weir_segment *s, uint32_t slot, struct weir_account_view out[WEIR_ALLOWANCES],
			  uint64_t *wall_ms);

/* As many have gone in the window of quota `which` (WEIR_ALLOWANCES: of all). May block for the disk. */
bool weir_gate_quota_set(const struct weir_segment *s, const char *host_port, unsigned which, uint32_t used, uint64_t now_ns);
bool weir_gate_breaker(const struct weir_segment *s, const char *host_port, enum weir_breaker_state state, bool make,
		       uint64_t now_ns);

/* Brings the paces of all entries in line with the policy in force and with overrides that have ended, as the next request of
 * each would: after a publication, and before anything is shown. Does not block; a pass over the entries in use. */
void weir_gate_refresh(const struct weir_segment *s, uint64_t now_ns);

/* Looks at the hosts for which rules say what is given up as they get worse: as their next request would. For the agent, so that
 * a host gets back to normal that nobody asks any more. Does not block but for the ledger; a pass over the entries in use. */
void weir_gate_tend(const struct weir_segment *s, uint64_t now_ns);

/* Whether what stands in the entry's set_rate, set_burst and set_concurrency, where it is not 0, is in force. */
bool weir_gate_overridden(const struct weir_entry *e, uint64_t now_ns);

/* The text that a program is given for a refusal, e.g. "weir: api.example.org:443: the breaker is open after 5 failures in a row;
 * next try in 12.3 s". Returns its length. */
size_t weir_gate_describe(const struct weir_gate *g, const struct weir_request *r, const char *host_port, uint64_t now_ns,
			  char *out, size_t size);

/* The key of the entry that host_port has under the policy in force: its rule's group, else itself. Sets *rule (WEIR_NONE =
 * none). */
void weir_gate_key(const struct weir_segment *s, const char *host_port, char key[WEIR_KEY_MAX], uint32_t *rule);

#endif
