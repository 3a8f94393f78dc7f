/* SPDX-License-Identifier: MIT */
/* What the answer that is coming in on a connection says of its host's limits: those of its header lines, in its record. */
#ifndef WEIR_ANSWER_LINES_H
#define WEIR_ANSWER_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "src/preload/socket/record.h"

/* For struct weir_wire_sink, of the record. Keeps a line that concerns the host's limits; what there is no room for is not known.
 */
void weir_answer_line_keep(void *record, const char *name, size_t name_bytes, const char *value, size_t value_bytes);

/* For struct weir_header_lines, of the record. */
const char *weir_answer_line(const void *record, const char *name, uint32_t nth);

/* The answer is over. */
void weir_answer_lines_drop(struct weir_record *r);

#endif
