/* SPDX-License-Identifier: MIT */
#include "calendar.h"

#include <stdio.h>
#include <stdlib.h>

static bool earlier(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void sim_calendar_add(struct sim_calendar *c, uint64_t at_ns, uint32_t kind, uint32_t worker, uint64_t stamp)
{
	struct sim_event e = {.at_ns = at_ns, .order = c->order++, .kind = kind, .worker = worker, .stamp = stamp};
	size_t i;

	if (c->count == c->room) {
		c->room = c->room ? 2 * c->room : 256;
		c->event = realloc(c->event, c->room * sizeof(*c->event));
		if (c->event == NULL) {
			perror("simulate");
			exit(1);
		}
	}
	for (i = c->count++; i > 0 && earlier(&e, &c->event[(i - 1) / 2]); i = (i - 1) / 2)
		c->event[i] = c->event[(i - 1) / 2];
	c->event[i] = e;
}

bool sim_calendar_next(struct sim_calendar *c, struct sim_event *out)
{
	struct sim_event last;
	size_t i = 0, child;

	if (c->count == 0)
		return false;
	*out = c->event[0];
	last = c->event[--c->count];
	while ((child = 2 * i + 1) < c->count) {
		if (child + 1 < c->count && earlier(&c->event[child + 1], &c->event[child]))
			child++;
		if (!earlier(&c->event[child], &last))
			break;
		c->event[i] = c->event[child];
		i = child;
	}
	c->event[i] = last;
	return true;
}

void sim_calendar_free(struct sim_calendar *c)
{
	free(c->event);
	*c = (struct sim_calendar){0};
}
