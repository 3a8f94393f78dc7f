/* SPDX-License-Identifier: MIT */
/* A screen in memory: what `weir top` draws on, whatever shows it then. Text is ASCII and the eight blocks of a sparkline. */
#ifndef WEIR_CLI_TOP_CANVAS_H
#define WEIR_CLI_TOP_CANVAS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum weir_style { WEIR_PLAIN, WEIR_DIM, WEIR_BOLD, WEIR_TITLE, WEIR_GOOD, WEIR_WARN, WEIR_BAD, WEIR_CHOSEN, WEIR_STYLES };

struct weir_cell {
	uint32_t c;
	enum weir_style style;
};

struct weir_canvas {
	int rows, columns;
	bool unicode; /* else sparklines are drawn in ASCII */
	struct weir_cell *cell;
};

/* False when memory is short, or the size is no screen's. To be freed. */
bool weir_canvas_make(struct weir_canvas *c, int rows, int columns, bool unicode);
void weir_canvas_free(struct weir_canvas *c);

/* Writes text into `width` columns, cut with a tilde where it is longer and filled with blanks where it is shorter; what would
 * lie outside the canvas is left out. Bytes beyond printable ASCII are shown as '?'. */
void weir_canvas_put(struct weir_canvas *c, int row, int column, int width, enum weir_style style, const char *text);
void weir_canvas_put_right(struct weir_canvas *c, int row, int column, int width, enum weir_style style, const char *text);

/* The last `width` of `count` values as bars from 0 to the greatest of them, the newest at the right; negative ones are gaps. */
void weir_canvas_spark(struct weir_canvas *c, int row, int column, int width, enum weir_style style, const double *value,
		       int count);

/* Writes the canvas as UTF-8, without trailing blanks. */
void weir_canvas_print(const struct weir_canvas *c, FILE *out);

#endif
