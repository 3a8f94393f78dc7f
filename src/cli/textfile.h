/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CLI_TEXTFILE_H
#define WEIR_CLI_TEXTFILE_H

/* Writes the metrics into a file for node_exporter's textfile collector: whole or not at all, readable by all. Complains; returns
 * the exit status. */
int weir_textfile_write(const char *path);

#endif
