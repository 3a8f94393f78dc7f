/* SPDX-License-Identifier: MIT */
/* The request that somebody asks about: /v1/explain?url=URL&method=METHOD&client=NAME. */
#ifndef WEIR_AGENT_EXPLAINED_H
#define WEIR_AGENT_EXPLAINED_H

#include "src/agent/fields.h"
#include "src/stats/explain.h"
#include "weir/http.h"

#define WEIR_METHOD_MAX 32

/* What the fields say, with room for its texts. */
struct weir_explained {
	struct weir_asked_about about;
	char host_port[WEIR_HOST_PORT_MAX], path[WEIR_PATH_SEEN_MAX + 1], method[WEIR_METHOD_MAX], client[WEIR_CLIENT_MAX];
};

/* url=URL, or host=HOST[:PORT], as one writes it or as the segment names it, which says nothing of a path; without a port a host
 * is asked for as https, what an API is today. method: of a URL GET where none is said. client: as WEIR_CLIENT. Returns NULL, or
 * what is wrong (static text). `out` points into itself: it is not to be copied. */
const char *weir_explained_read(const struct weir_segment *s, const struct weir_fields *query, struct weir_explained *out);

#endif
