/* SPDX-License-Identifier: MIT */
/* What `weir top` knows, drawn on a canvas. */
#ifndef WEIR_CLI_TOP_VIEW_H
#define WEIR_CLI_TOP_VIEW_H

#include "src/cli/top_canvas.h"
#include "src/cli/top_model.h"

/* The list of hosts, or, with t->detail, the chosen one. `note`: what is asked or was done, in the last line instead of the keys;
 * NULL = the keys. A canvas of less than 80 columns shows less. */
void weir_top_draw(const struct weir_top *t, const char *note, struct weir_canvas *c);

#endif
