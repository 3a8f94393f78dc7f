/* What was counted, over a span of time. */
#ifndef QUOTAD_TALLY_H
#define QUOTAD_TALLY_H

#include <jansson.h>
#include <stdint.h>

#define TALLY_STATUS_END 600

struct tally {
	uint64_t requests;           /* accepted + throttled + hung */
	uint64_t accepted;           /* passed every limit, whatever the status (an error mix, a 404) */
	uint64_t throttled;          /* rejected by a limit */
	uint64_t hung;               /* arrived in an outage that never answers */
	uint64_t in_hold;            /* arrived before the end of an announced hold */
	uint64_t holds;              /* holds opened */
	int64_t in_hold_latest_ns;   /* the most that any of them came after the announcement */
	int64_t resume_late_max_ns;  /* the most that a first request after a hold came after its end */
	uint64_t connections;        /* accepted by the HTTP and HTTPS ports */
	uint64_t outage_connections; /* those of them accepted while hanging */
	uint64_t dropped_syns;       /* SYNs dropped by a black hole, the client's retransmissions included */
	uint64_t netns_resets;       /* RSTs sent while refusing, by this whole network namespace */
	uint64_t max_in_flight;
	int64_t first_ns; /* arrival of the first and the last request; 0 = none */
	int64_t last_ns;
	uint64_t by_status[TALLY_STATUS_END];
};

/* As a new JSON object; NULL without memory. */
json_t *tally_json(const struct tally *t);

#endif
