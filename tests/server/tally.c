#include "tests/server/tally.h"

#include <stdio.h>

#include "tests/server/clock.h"

static json_t *time_json(int64_t ns)
{
	return ns == 0 ? json_null() : json_real(ns_to_s(ns));
}

json_t *tally_json(const struct tally *t)
{
	json_t *by_status = json_object();
	char name[8];

	for (int status = 0; status < TALLY_STATUS_END; status++) {
		if (t->by_status[status] == 0)
			continue;
		snprintf(name, sizeof name, "%d", status);
		json_object_set_new(by_status, name, json_integer((json_int_t)t->by_status[status]));
	}
	return json_pack("{sI so sI sI sI sI sI sf sf sI sI sI sI sI so so}",     //
			 "requests", (json_int_t)t->requests,                     //
			 "by_status", by_status,                                  //
			 "accepted", (json_int_t)t->accepted,                     //
			 "throttled", (json_int_t)t->throttled,                   //
			 "hung", (json_int_t)t->hung,                             //
			 "in_hold", (json_int_t)t->in_hold,                       //
			 "holds", (json_int_t)t->holds,                           //
			 "in_hold_latest_s", ns_to_s(t->in_hold_latest_ns),       //
			 "resume_late_max_s", ns_to_s(t->resume_late_max_ns),     //
			 "connections", (json_int_t)t->connections,               //
			 "outage_connections", (json_int_t)t->outage_connections, //
			 "dropped_syns", (json_int_t)t->dropped_syns,             //
			 "netns_resets", (json_int_t)t->netns_resets,             //
			 "max_in_flight", (json_int_t)t->max_in_flight,           //
			 "first_s", time_json(t->first_ns),                       //
			 "last_s", time_json(t->last_ns));
}
