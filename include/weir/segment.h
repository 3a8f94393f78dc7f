/* SPDX-License-Identifier: MIT */
/*
 * The segment: the memory that all weir processes of one user share, $RUNTIME/state.1.
 *
 * This header is the layout (an ABI, described byte by byte in docs/segment.md) and the operations on it. Rules that hold
 * throughout:
 *
 *  - The file is filled completely before it gets its name; whoever finds the name finds a whole segment.
 *  - Geometry (counts and offsets) is read from the header once, checked against the file's size and kept in the process's own
 * handle. Nothing read later from the segment is used as an index or a length without a bounds check. A hostile segment can cause
 * wrong limits, never a crash.
 *  - There is no lock on the way of a request. Every change is one compare-and-swap, or is published by one store.
 *  - Zeroed memory is a valid empty state of everything but the header.
 */
#ifndef WEIR_SEGMENT_H
#define WEIR_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/account.h"
#include "weir/breaker.h"
#include "weir/bucket.h"
#include "weir/cause.h"
#include "weir/concurrency.h"
#include "weir/degrade.h"
#include "weir/histogram.h"
#include "weir/hold.h"
#include "weir/meaning.h"
#include "weir/outcomes.h"
#include "weir/quota_share.h"
#include "weir/rate.h"
#include "weir/refusal.h"
#include "weir/retry.h"
#include "weir/rule.h"
#include "weir/window.h"

#define WEIR_SEGMENT_MAGIC   UINT64_C(0x0031474553524557) /* "WERSEG1\0", little endian */
#define WEIR_SEGMENT_VERSION 1U                           /* major: the .1 of the file's name */

#define WEIR_ENTRIES_DEFAULT 1024U
#define WEIR_ENTRIES_MIN     16U
#define WEIR_ENTRIES_MAX     65536U
#define WEIR_LEASES_DEFAULT  4096U
#define WEIR_EVENTS_DEFAULT  1024U
#define WEIR_RULES_DEFAULT   256U
#define WEIR_SOURCES         16
#define WEIR_SOURCE_PATH_MAX 240
#define WEIR_KEY_MAX         264        /* of an entry, NUL included */
#define WEIR_NONE            UINT32_MAX /* no entry, no lease */

/* ---- layout
 * ------------------------------------------------------------------------------------------------------------------------ */

struct weir_segment_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes; /* offset of the policy area */
	uint64_t total_bytes;  /* size of the file */
	uint32_t entries;      /* slots of the host table, a power of two; slot `entries` itself is `_other` */
	uint32_t leases;
	uint32_t events; /* a power of two */
	uint32_t rules;  /* rules in one half of the policy area, the defaults included */
	uint64_t policy_offset, index_offset, lease_offset, event_offset, entry_offset, block_offset, spare_offset;
	uint8_t boot_id[16];      /* CLOCK_MONOTONIC starts anew at boot, and so must the segment; zero: unknown */
	uint64_t created_wall_ns; /* CLOCK_REALTIME */
	uint64_t pad0[1];
	/* written while in use */
	_Atomic uint64_t policy_generation; /* 0: nothing compiled yet; bit 0 selects the half in force */
	_Atomic uint32_t policy_changes;    /* futex word: moves with every publication */
	_Atomic uint32_t compile_requests;  /* futex word: a process asks the agent to look at the files now */
	_Atomic uint64_t agent_pid;         /* pid of the live agent, 0 = none */
	_Atomic uint64_t agent_seen_ns;     /* CLOCK_MONOTONIC heartbeat of the agent, at least every second */
	_Atomic uint64_t agent_spawn_ns;    /* when a process last tried to start one */
	_Atomic uint64_t event_head;        /* events ever begun */
	_Atomic uint64_t leases_lost;       /* requests that went on without a lease because none was free */
	_Atomic uint64_t leases_reaped;     /* leases taken from dead owners */
	_Atomic uint64_t lease_top;         /* leases with this number and above were never claimed: scans stop here */
	_Atomic uint64_t audits_asked;      /* moves when an entry's audit_due does */
	_Atomic uint64_t audits_done;       /* the value of audits_asked up to which all due audits were made */
	_Atomic uint64_t waiters_reaped;    /* ms of the last time that a waiter looked for the dead:40 | its pid namespace:24 */
	uint64_t salt[2];                   /* of the digests of weir_quota_share: random, and written once, by the maker */
	_Atomic uint64_t agent_version; /* weir_version_number of the agent; 0 with an agent: from before there was this word */
	_Atomic uint64_t entries_lost;  /* requests that found the host table full: second of the last:32 | how many:32 */
};
_Static_assert(sizeof(struct weir_segment_header) == 256, "ABI");
_Static_assert(offsetof(struct weir_segment_header, policy_generation) == 128, "ABI");

/* A file that a policy was compiled from, as it was then. */
struct weir_source {
	char path[WEIR_SOURCE_PATH_MAX]; /* empty: not in use. A directory stands for the list of files in it. */
	uint64_t size_bytes;
	uint64_t ctime_ns; /* CLOCK_REALTIME. Any write changes it, and nobody can set it back, as one can mtime. */
	uint64_t inode;    /* 0: the file was absent */
};
_Static_assert(sizeof(struct weir_source) == 264, "ABI");

/* One half of the policy area; `rules` of the header follow it. */
struct weir_policy_half {
	uint32_t rule_count; /* 1..rules; the last is the defaults ("*") */
	uint32_t source_count;
	uint64_t compiled_wall_ns;
	uint32_t rejected; /* 1: the files as they are now were refused and the rules of the generation before stay in force */
	uint32_t total_in_use; /* 1: `total` limits all hosts together */
	uint32_t narrows;      /* 1: what a request asks for matters: some rule names paths or methods */
	uint32_t pad;
	struct weir_source source[WEIR_SOURCES];
	struct weir_rule total; /* rate, fixed, concurrency and wait_max_ns are used */
	struct weir_rule rule[];
};

/* Index word of an entry: state:2 | since_s:30 | hash:32. since_s = seconds of CLOCK_MONOTONIC when the state was entered. */
enum weir_slot_state { WEIR_SLOT_FREE = 0, WEIR_SLOT_CLAIMED = 1, WEIR_SLOT_READY = 2, WEIR_SLOT_CLEARING = 3 };

/* Counters of one entry. Each admitted request is counted once when it is over: as ignored here, or as accepted, throttled or
 * failed in the entry's weir_rate, which has to count these anyway. */
struct weir_counters {
	_Atomic uint64_t admitted;
	_Atomic uint64_t delayed; /* admitted or refused after a wait */
	_Atomic uint64_t refused; /* by weir */
	uint64_t reserved[3];
	_Atomic uint64_t ignored; /* ended by the client, or its result was never known */
	_Atomic uint64_t connections;
	_Atomic uint64_t cancelled;         /* left while waiting: its process died or gave up */
	_Atomic uint64_t would_delay;       /* dry run */
	_Atomic uint64_t would_refuse;      /* dry run */
	_Atomic uint64_t interrupted_holds; /* requests admitted inside a hold: in flight when it was set */
	uint64_t pad[4];
};
_Static_assert(sizeof(struct weir_counters) == 128, "ABI");

/* The durations that are kept of each entry. */
enum weir_durations {
	WEIR_DURATIONS_WAIT = 0,    /* of delayed requests */
	WEIR_DURATIONS_LATENCY = 1, /* of admitted requests, from admission to result */
	WEIR_DURATIONS
};

/* A rate of a host for which the table has no room: when its next unit may go (CLOCK_MONOTONIC, GCRA's theoretical arrival time).
 * A spare is free for another once its time is past. */
struct weir_spare {
	_Atomic uint64_t tag;  /* hash of the key and of which rate it is, never 0; 0: free */
	_Atomic uint64_t next; /* time in units of 64 ns:52 | low bits of the tag that the time belongs to:12 */
};
_Static_assert(sizeof(struct weir_spare) == 16, "ABI");

/* How much was seen of what counts as one request. */
enum weir_seen {
	WEIR_SEEN_REQUEST = 0, /* a request and its answer, or a connect: not counted here */
	WEIR_SEEN_RECORD,      /* a request of a program with a TLS of its own: one by one, and nothing of their answers */
	WEIR_SEEN_HTTP2,       /* a connection that speaks HTTP/2 */
	WEIR_SEEN_TLS,         /* a connection inside which, for all that is known, HTTP/2 may be spoken */
	WEIR_SEEN_OPAQUE,      /* a connection that speaks no HTTP */
	WEIR_SEEN_KINDS = 6
};

/* A host:port, a rule's group, what a narrowed rule says of one of these ("KEY#METHODS/PATH", all of it the rule's own words), a
 * run's or a client's share of one ("@PID.START/KEY", "@client.NAME/KEY"), all hosts together ("_total") or the overflow
 * ("_other").
 */
struct weir_entry {
	/* line 0: read on every decision */
	_Atomic uint64_t used_ns; /* last use, CLOCK_MONOTONIC */
	_Atomic uint64_t rule;    /* policy generation:32 (low bits) | rule index + 1:32; 0: look it up */
	struct weir_hold hold;
	struct weir_breaker breaker; /* 32 bytes */
	_Atomic uint32_t changes;    /* futex word: moves when waiters should look again */
	_Atomic uint32_t waiting;    /* hint: somebody may be waiting; the leases tell who */
	/* line 1: override by `weir set` or by the run's flags, and the update lock */
	_Atomic uint64_t set_rate;        /* nano/s, 0 = not set */
	_Atomic uint64_t set_until_ns;    /* CLOCK_MONOTONIC end of the override; 0 = until reset */
	_Atomic uint32_t set_concurrency; /* 0 = not set */
	_Atomic uint32_t set_burst;       /* with set_rate; 0 reads as 1 */
	_Atomic uint64_t update_lock;     /* weir_trylock over rate, concurrency and the paces of the buckets */
	_Atomic uint64_t applied;         /* what the paces were last set from: a hash of policy generation and override */
	_Atomic uint64_t hold_cause;      /* enum weir_cause of the hold */
	_Atomic uint64_t audit_due;       /* not 0: a holder died and the permit count must be re-derived from the leases */
	uint64_t pad1[1];
	struct weir_bucket bucket[WEIR_RATES]; /* 1,024 bytes: [0] is the rate controller's, the rest fixed */
	struct weir_concurrency concurrency;   /* 512 bytes */
	struct weir_rate rate;                 /* 768 bytes */
	struct weir_window window;             /* 160 bytes */
	char key[WEIR_KEY_MAX];
	_Atomic uint32_t seen[WEIR_SEEN_KINDS]; /* by enum weir_seen: what was no single request */
	struct weir_counters counters;
	/* by enum weir_durations: what found no block, and finds none any more */
	struct weir_histogram_rest durations[WEIR_DURATIONS];
	struct weir_quota_share quota;            /* 256 bytes: who shares what the server says is left */
	struct weir_meaning meaning;              /* 64 bytes: whether it is down, and how long it takes */
	struct weir_refusal refusal;              /* 160 bytes: what its refusals depend on */
	struct weir_entry_queue queue;            /* 128 bytes: who waits, by class */
	struct weir_meter meter[WEIR_ALLOWANCES]; /* 128 bytes: of configured quotas, where there is no ledger */
	/* room, zero: of narrowed rules, of degradation */
	struct weir_retry_budget retry;
	uint64_t reserved_narrow[8];
	struct weir_degrade degrade;   /* 128 bytes: what is given up, and the calls that tell */
	struct weir_outcomes outcomes; /* 192 bytes: of the last calls, where a breaker's window is so many */
};
_Static_assert(offsetof(struct weir_entry, set_rate) == 64, "ABI");
_Static_assert(offsetof(struct weir_entry, bucket) == 128, "ABI");
_Static_assert(offsetof(struct weir_entry, concurrency) == 1152, "ABI");
_Static_assert(offsetof(struct weir_entry, rate) == 1664, "ABI");
_Static_assert(offsetof(struct weir_entry, window) == 2432, "ABI");
_Static_assert(offsetof(struct weir_entry, counters) == 2880, "ABI");
_Static_assert(sizeof(struct weir_entry) % 64 == 0, "whole cache lines");

/* State of a lease: FREE; WAITING for its turn; MOVING: permits are changing hands; IN_FLIGHT; SETTLING: about to be freed by its
 * owner; CLAIMED: its fields are being filled in; REAPING: about to be freed by a reaper, whose pid the word carries. The last
 * two last for microseconds, and nothing beside the word is believed to decide on them: the word's `held` bits are then the
 * second (CLOCK_MONOTONIC, modulo 256) in which the state was entered, and two seconds later anyone may take the lease over. */
enum weir_lease_state {
	WEIR_LEASE_FREE = 0,
	WEIR_LEASE_WAITING = 1,
	WEIR_LEASE_MOVING = 2,
	WEIR_LEASE_IN_FLIGHT = 3,
	WEIR_LEASE_SETTLING = 4,
	WEIR_LEASE_CLAIMED = 5,
	WEIR_LEASE_REAPING = 6,
};
#define WEIR_SCOPES       5 /* host or group, run, total, narrowed rule, client */
#define WEIR_SCOPES_FIRST 3 /* those that a lease has in its first cache line */
#define WEIR_LEASE_SPARE  UINT32_C(0x80000000)

/* word = pid:32 | tag:20 | held:8 (one bit per scope whose permit it holds; in flight also WEIR_LEASE_UNCOUNTED) | state:4 (high
 * to low). */
#define WEIR_LEASE_UNCOUNTED 128U /* it is not among the admitted yet: who settles it counts it */
struct weir_lease {
	_Atomic uint64_t word;
	_Atomic uint64_t start;         /* start time of the owner, clock ticks since boot; 0 = unknown */
	_Atomic uint64_t deadline_ns;   /* a lease past it is reaped, whoever owns it; 0 = none */
	_Atomic uint32_t thread;        /* tid whose death frees it, 0 = any thread may end it */
	_Atomic uint32_t pid_namespace; /* inode of the owner's pid namespace; where it differs, see reaper.c */
	/* of the first scopes: WEIR_NONE = scope not in use; WEIR_LEASE_SPARE | hash = it has no entry */
	_Atomic uint32_t entry[WEIR_SCOPES_FIRST];
	_Atomic uint32_t breaker_generation; /* the breaker ticket, so that a reaper can forgo it; of `_other`: that tag */
	_Atomic uint32_t breaker_probe;
	_Atomic uint32_t
		admitted_s; /* second of CLOCK_MONOTONIC, modulo 2^32, in which the request began, or later was admitted */
	_Atomic uint64_t begun_ns;
	struct weir_lease_queue queue;
	_Atomic uint32_t narrow[WEIR_SCOPES - WEIR_SCOPES_FIRST]; /* of the others, in the same way */
	uint32_t reserved_narrow[2];
	/* of who waits, as of the last look */
	_Atomic uint64_t waits_until_ns; /* when that ends, 0 = unknown, WEIR_NEVER = not by itself */
	_Atomic uint64_t waits_cause;    /* enum weir_cause */
	uint64_t reserved[2];
};
_Static_assert(sizeof(struct weir_lease) == 128, "two cache lines");

/* Where a lease has the entry of a scope. */
static inline const _Atomic uint32_t *weir_lease_entry(const struct weir_lease *l, unsigned scope)
{
	return scope < WEIR_SCOPES_FIRST ? &l->entry[scope] : &l->narrow[scope - WEIR_SCOPES_FIRST];
}

enum weir_event_kind {
	WEIR_EVENT_NONE = 0,
	WEIR_EVENT_BREAKER_OPENED,
	WEIR_EVENT_BREAKER_HALF_OPEN,
	WEIR_EVENT_BREAKER_CLOSED,
	WEIR_EVENT_HOLD_SET,
	WEIR_EVENT_HOLD_CLEARED,
	WEIR_EVENT_RATE_CHANGED,        /* before, after: nano/s */
	WEIR_EVENT_CONCURRENCY_CHANGED, /* before, after: permits */
	WEIR_EVENT_OVERRIDE_SET,
	WEIR_EVENT_RESET,
	WEIR_EVENT_POLICY_PUBLISHED, /* after: generation */
	WEIR_EVENT_POLICY_REJECTED,
	WEIR_EVENT_LEASE_REAPED, /* before: pid */
	WEIR_EVENT_AGENT_STARTED,
	WEIR_EVENT_AGENT_STOPPED,
	WEIR_EVENT_TABLE_FULL,      /* a host found no entry; after: how many requests so far. Once a minute at most */
	WEIR_EVENT_MEANING_CHANGED, /* what its refusals depend on; before: status, after: permits or per mille */
	WEIR_EVENT_QUOTA_LOW,       /* a fifth of a configured quota is left; before: used, after: limit */
	WEIR_EVENT_QUOTA_SPENT,     /* nothing is */
	WEIR_EVENT_QUOTA_SET,       /* by the operator; after: used */
	WEIR_EVENT_LEDGER_LOST,     /* what was used is not known any more: nothing is left until the next window */
	WEIR_EVENT_ALERT_FIRED,     /* before: enum weir_alert_kind:8 | threshold:56; after: value */
	WEIR_EVENT_ALERT_RESOLVED,
	WEIR_EVENT_DEGRADE_CHANGED, /* what is given up; before, after: enum weir_degrade_state */
	WEIR_EVENT_SHED_CHANGED,    /* a share is refused, or none any more; before, after: per mille */
	WEIR_EVENT_COUNT
};

/* sequence = number of the event + 1 once it is whole; readers skip a slot whose sequence is not the one they look for. */
struct weir_event {
	_Atomic uint64_t sequence;
	uint64_t at_ns;    /* CLOCK_MONOTONIC */
	uint64_t until_ns; /* when what began ends, 0 = unknown */
	uint64_t before, after;
	uint32_t kind;  /* enum weir_event_kind */
	uint32_t cause; /* enum weir_cause */
	uint32_t pid;
	char key[72];   /* of the entry, cut if longer */
	uint32_t check; /* over all of the above: shows when a writer that was stopped for a round scribbled over another's event
			 */
};
_Static_assert(sizeof(struct weir_event) == 128, "ABI");

/* ---- a process's view of the segment
 * ----------------------------------------------------------------------------------------------- */

struct weir_ledger;

/* Handle: the mapping and the checked geometry, in the process's own memory. Zeroed = not mapped. */
struct weir_segment {
	void *base;
	size_t bytes;
	uint32_t entries, leases, events, rules;
	struct weir_segment_header *header;
	struct weir_policy_half *policy[2];
	_Atomic uint64_t *index; /* entries words */
	struct weir_lease *lease;
	struct weir_event *event;
	struct weir_entry *entry; /* entries + 1 of them: the last is `_other` */
	/* what durations are counted in: a word for each block says whose it is */
	uint32_t blocks, spares; /* follow from entries */
	_Atomic uint64_t *block_owner;
	struct weir_histogram_block *block;
	struct weir_spare *spare;
	/* The ledger, NULL: there is none now. May map it, and block for that. NULL: quotas are counted in the entries alone. */
	const struct weir_ledger *(*ledger)(void);
	uint64_t device, inode; /* of the file that weir_segment_open mapped, to tell it from one that takes its place */
};

struct weir_geometry {
	uint32_t entries, leases, events, rules; /* 0 = default */
};

/* Bytes that a segment of this geometry takes; 0 when the geometry is out of range. */
size_t weir_segment_bytes(const struct weir_geometry *g);

/* Formats zeroed memory of at least weir_segment_bytes() as an empty segment and fills the handle (tests, simulator). Returns
 * false when it does not fit. boot_id may be NULL. */
bool weir_segment_format(struct weir_segment *s, void *memory, size_t bytes, const struct weir_geometry *g,
			 const uint8_t boot_id[16], uint64_t wall_ns);

/* Checks memory as a segment and fills the handle. Returns NULL, or what is wrong with it (a static text). */
const char *weir_segment_attach(struct weir_segment *s, void *memory, size_t bytes);

enum weir_segment_result {
	WEIR_SEGMENT_OK = 0,
	WEIR_SEGMENT_ABSENT,  /* no such file, and creating was not asked for */
	WEIR_SEGMENT_DENIED,  /* directory or file: missing, not ours, wrong mode, not a regular file */
	WEIR_SEGMENT_FULL,    /* no space to create it */
	WEIR_SEGMENT_INVALID, /* not a segment of this version, or damaged */
	WEIR_SEGMENT_STALE,   /* from before the last boot */
	WEIR_SEGMENT_FAILED,  /* another system error */
};

/* Maps the segment at `path`; with `create`, makes it (whole, put in place atomically; the loser of a race maps the winner's). A
 * stale one is replaced when `create`. No descriptor stays open. *why is set to a static text on failure, *err to errno or 0.
 * Blocks for file operations only. */
enum weir_segment_result weir_segment_open(struct weir_segment *s, const char *path, bool create, const struct weir_geometry *g,
					   const char **why, int *err);

/* Puts a new empty segment in place of whatever regular file of ours is at `path`. For the agent, when weir_segment_open said
 * INVALID. */
enum weir_segment_result weir_segment_replace(struct weir_segment *s, const char *path, const struct weir_geometry *g,
					      const char **why, int *err);

void weir_segment_close(struct weir_segment *s);

/* ---- entries
 * ------------------------------------------------------------------------------------------------------------------------ */

/* Finds the entry of `key` (NUL-terminated, < WEIR_KEY_MAX). Returns its slot or WEIR_NONE. Lock-free. */
uint32_t weir_entry_find(const struct weir_segment *s, const char *key);

/* The same, with the slot's index word (weir_entry_word) as it was found; 0 for none and for the overflow. */
uint32_t weir_entry_find_word(const struct weir_segment *s, const char *key, uint64_t *word);

/* Finds or makes it; evicts an idle one where the table is full; the overflow slot s->entries (`_other`) when nothing can be.
 * Never fails. May spin for at most a millisecond on another process that is making the same entry. */
uint32_t weir_entry_acquire(const struct weir_segment *s, const char *key, uint64_t now_ns);

/* The index word of the slot while it belongs to `key`; 0 when it does not, or for the overflow. As long as index[slot] is this
 * word the entry is that key's. */
uint64_t weir_entry_word(const struct weir_segment *s, uint32_t slot, const char *key);

/* Whether `slot` still belongs to `key` (it may have been evicted since). Cheap: compares hashes, then keys. The overflow slot is
 * never evicted and belongs to every key. */
bool weir_entry_is(const struct weir_segment *s, uint32_t slot, const char *key);

/* Whether `slot` is in use, and its key copied into key[WEIR_KEY_MAX], NUL-terminated whatever the segment holds. For listings.
 */
bool weir_entry_key(const struct weir_segment *s, uint32_t slot, char key[WEIR_KEY_MAX]);

/* Frees entries that nobody has used for idle_ns and that have nothing to remember (no hold, breaker closed). Run entries whose
 * run is over go first. Returns how many. For the agent. */
uint32_t weir_entry_sweep(const struct weir_segment *s, uint64_t idle_ns, uint64_t now_ns);

/* Whether any entry was used within idle_ns, is in use, or remembers something that must outlive its users. */
bool weir_entry_any_remembers(const struct weir_segment *s, uint64_t idle_ns, uint64_t now_ns);

/* Tells those who wait at this entry to look again (futex wake, only when somebody may be waiting). */
void weir_entry_wake(const struct weir_segment *s, uint32_t slot);

/* The same, but only those who sleep with one of these bits (FUTEX_WAIT_BITSET). */
void weir_entry_wake_some(const struct weir_segment *s, uint32_t slot, uint32_t bits);

/* ---- durations
 * ---------------------------------------------------------------------------------------------------------------------- */

/* Counts a duration of the entry. Lock-free, never fails: where all blocks are taken it is counted by powers of two. */
void weir_durations_add(const struct weir_segment *s, uint32_t slot, enum weir_durations which, uint64_t ns);

/* Everything that was counted of the entry. */
void weir_durations_copy(const struct weir_segment *s, uint32_t slot, enum weir_durations which, struct weir_histogram_copy *out);

/* The duration (ns) below which a share of permille/1000 of the counts lies, without a copy: for small stacks. 0 when empty. */
uint64_t weir_durations_bound_ns(const struct weir_segment *s, uint32_t slot, enum weir_durations which, uint32_t permille);

/* ---- leases
 * ------------------------------------------------------------------------------------------------------------------------- */

/* Who takes leases: one per process, renewed by its owner after fork. */
struct weir_owner {
	uint32_t pid;
	uint32_t pid_namespace;
	uint64_t start;
};

/* Fills *o for the calling process: reads /proc where it can, leaves 0 where it cannot. Opens and closes files. */
void weir_owner_self(struct weir_owner *o);

/* Claims a free lease in state WAITING. `hint`: where to look first (a thread's last lease). Returns its number and sets *tag;
 * WEIR_NONE when all are taken (counted in leases_lost). Lock-free. */
uint32_t weir_lease_claim(const struct weir_segment *s, const struct weir_owner *o, uint32_t thread, uint32_t hint,
			  const uint32_t entry[WEIR_SCOPES], uint64_t deadline_ns, uint64_t now_ns, uint32_t *tag);

/* Changes state and held mask of a lease that is still the caller's; false when it has been reaped. */
bool weir_lease_set(const struct weir_segment *s, uint32_t lease, uint32_t tag, uint32_t pid, enum weir_lease_state state,
		    unsigned held);

/* What this thread has stored is seen by others before what it loads next. gcc's ThreadSanitizer knows no fences; it gets a
 * locked add. */
static inline void weir_store_before_load(void)
{
#ifdef __SANITIZE_THREAD__
	static _Atomic uint32_t anything;

	atomic_fetch_add(&anything, 1);
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* Of a request whose host (scope 0) has no entry: whose it is, for weir_lease_spare_room. While the lease is WAITING. */
void weir_lease_mark_spare(const struct weir_segment *s, uint32_t lease, uint32_t tag);

/* Says of which class the request of a lease is, which has just been claimed. */
void weir_lease_mark_class(const struct weir_segment *s, uint32_t lease, unsigned class);

/* Whether the lease, if it is still the caller's, has been put among those who wait at its host's entry, or taken out. */
bool weir_lease_count(const struct weir_segment *s, uint32_t lease, uint32_t tag, uint32_t pid, bool waits);

/* Whether fewer than `limit` requests of the tag are in flight beside the caller's lease, which must be MOVING: at most `limit`
 * of those who ask at once are told so, and all of those who hold a permit count, the dead until they are reaped. Never blocks.
 */
bool weir_lease_spare_room(const struct weir_segment *s, uint32_t lease, unsigned scope, uint32_t tag, uint32_t limit);

/* Frees it. False when it had been reaped already. The permits must have been given back (state SETTLING meanwhile): permits are
 * taken and given only while the lease is MOVING or SETTLING, which is what the auditor relies on. */
bool weir_lease_free(const struct weir_segment *s, uint32_t lease, uint32_t tag, uint32_t pid);

/* Looks at every lease and frees those whose owner is dead (or exec'ed away from the thread, or is a zombie when `thorough`), or
 * whose deadline is over; returns their permits, forgoes their probes, counts them as cancelled or ignored, then audits the
 * permits of the entries concerned. thorough: read /proc as well (agent); else kill(pid, 0) only. Returns how many were freed.
 * Bounded by the size of the table; may be called by anyone at any time. */
uint32_t weir_lease_reap(const struct weir_segment *s, const struct weir_owner *self, bool thorough, uint64_t now_ns);

/* Frees what a former image of this very process (before exec) left. For the library when it maps the segment. */
uint32_t weir_lease_reap_own(const struct weir_segment *s, const struct weir_owner *self, uint64_t now_ns);

/* Re-derives the permit count of an entry from the leases. Returns whether it was corrected. */
bool weir_lease_audit(const struct weir_segment *s, uint32_t slot);

struct weir_occupancy {
	uint32_t in_flight, waiting;
	uint32_t waiting_in[WEIR_CLASSES]; /* by class */
};

/* A request in flight, as its lease tells. */
struct weir_holder {
	uint32_t pid, pid_namespace;
	uint64_t begun_ns; /* when it began, its wait included */
};

/* The requests in flight at an entry that began first, oldest first, at most `max`. Returns how many. For exports. */
size_t weir_lease_holders(const struct weir_segment *s, uint32_t slot, struct weir_holder *out, size_t max);

/* Tells others what the owner of a lease waits for, and until when. For exports: what it was told before, or by an owner before,
 * may be read for a moment. Nothing is done for a lease that is not the caller's any more. */
void weir_lease_tell(const struct weir_segment *s, uint32_t lease, uint32_t tag, uint32_t pid, enum weir_cause cause,
		     uint64_t until_ns);

/* A request under way, as its lease tells. */
struct weir_underway {
	uint32_t pid, pid_namespace;
	uint32_t slot;         /* of its host's entry, WEIR_NONE = it has none */
	bool waiting;          /* else it is in flight */
	uint64_t begun_ns;     /* when it began, its wait included */
	enum weir_cause cause; /* of the wait; in range whatever the segment holds */
	uint64_t until_ns;     /* when that ends, 0 = unknown, WEIR_NEVER = not by itself */
};

/* Copies the requests under way, from lease *next on, at most `max`, and sets *next behind the last one looked at. Returns how
 * many; 0: no more. For exports. */
size_t weir_lease_list(const struct weir_segment *s, uint32_t *next, struct weir_underway *out, size_t max);

/* Counts, from the leases but `except`, who is counted in the depth of the host's entry, by class, and who may be about to be:
 * never fewer than there are, but for one who is just between taking its mark away and taking itself off. */
void weir_lease_waiting(const struct weir_segment *s, uint32_t slot, uint32_t except, uint32_t out[WEIR_CLASSES]);

/* Counts, from the leases, who is in flight and who waits at each entry: out[s->entries + 1]. Returns the number of distinct
 * processes. For exports. */
uint32_t weir_lease_occupancy(const struct weir_segment *s, struct weir_occupancy *out);

/* ---- events
 * ------------------------------------------------------------------------------------------------------------------------- */

/* Writes an event. Lock-free, never fails. key may be NULL. */
void weir_event_write(const struct weir_segment *s, enum weir_event_kind kind, enum weir_cause cause, const char *key,
		      uint64_t before, uint64_t after, uint64_t until_ns, uint64_t now_ns);

/* Copies the events with numbers >= *next, oldest first, at most `max`; sets *next behind the last one looked at. Skips what is
 * unfinished or overwritten. Texts are NUL-terminated and kinds and causes in range whatever the segment holds. */
size_t weir_event_read(const struct weir_segment *s, uint64_t *next, struct weir_event *out, size_t max);

const char *weir_event_name(uint32_t kind);

/* ---- policy
 * ------------------------------------------------------------------------------------------------------------------------- */

/* The rules in force, as one generation: rule_count is checked against the geometry. rules = NULL when nothing is compiled yet.
 */
struct weir_policy_view {
	uint64_t generation;
	const struct weir_policy_half *half;
	const struct weir_rule *rules;
	uint32_t rule_count;
	const struct weir_rule *total; /* NULL when not in use */
};
/* The view in force. Here, because every request asks twice. */
static inline struct weir_policy_view weir_policy_in_force(const struct weir_segment *s)
{
	struct weir_policy_view v = {.generation = atomic_load_explicit(&s->header->policy_generation, memory_order_acquire)};
	const struct weir_policy_half *half = s->policy[v.generation & 1];
	uint32_t count = __atomic_load_n(&half->rule_count, __ATOMIC_RELAXED);

	if (v.generation == 0 || count == 0 || count > s->rules)
		return v; /* nothing compiled yet, or damaged: the built-in defaults */
	v.half = half;
	v.rules = half->rule;
	v.rule_count = count;
	if (__atomic_load_n(&half->total_in_use, __ATOMIC_RELAXED) != 0)
		v.total = &half->total;
	return v;
}

/* First exact match, then first glob in order, then the defaults: index into view->rules, WEIR_NONE when there are none.
 * host_port is lower case "host:port". Bounded work. */
uint32_t weir_policy_match(const struct weir_policy_view *view, const char *host_port);

/* The rule of an entry by its key: a host:port, the name of a group, or one of these with a narrowed rule's name behind '#'.
 * WEIR_NONE when there is none: no rules, a run's or a client's share, a narrowed rule that is gone. */
uint32_t weir_policy_of_key(const struct weir_policy_view *view, const char *key);

/* The first rule narrowed from a host's rule that is for what is asked for: index into view->rules, WEIR_NONE when there is none.
 * Looks at WEIR_NARROWED_MAX rules at most. */
uint32_t weir_policy_narrowed(const struct weir_policy_view *view, const struct weir_rule *host, const struct weir_asks *asks);

/* Publishes a policy: fills the half that is not in force and switches. For the agent (single writer). rule_count <= s->rules. */
void weir_policy_publish(const struct weir_segment *s, const struct weir_rule *rules, uint32_t rule_count,
			 const struct weir_rule *total, const struct weir_source *sources, uint32_t source_count, bool rejected,
			 uint64_t wall_ns);

/* Tells those who wait for a policy that the one in force is the answer: the agent has looked and found nothing new. */
void weir_policy_confirm(const struct weir_segment *s);

/* Whether the files that the policy in force was compiled from are still as they were (stat only, at most WEIR_SOURCES calls). */
bool weir_policy_fresh(const struct weir_policy_view *view);

/* Fills *out by stat of `path` (absent: inode 0). False when the path is too long. */
bool weir_source_stat(struct weir_source *out, const char *path);

/* The built-in defaults: what a rule says when nothing is configured. The one place where default values stand. */
extern const struct weir_rule weir_rule_builtin;
void weir_rule_defaults(struct weir_rule *r);

#endif
