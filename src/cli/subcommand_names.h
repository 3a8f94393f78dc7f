/* SPDX-License-Identifier: MIT */
/* The subcommands' names, in the order in which help lists them; also for who need not know more of them. */
#ifndef WEIR_CLI_SUBCOMMAND_NAMES_H
#define WEIR_CLI_SUBCOMMAND_NAMES_H

#define WEIR_SUBCOMMANDS(X)                                                                                                      \
	X(run)                                                                                                                   \
	X(status)                                                                                                                \
	X(stats)                                                                                                                 \
	X(top)                                                                                                                   \
	X(explain)                                                                                                               \
	X(events)                                                                                                                \
	X(ps)                                                                                                                    \
	X(quota)                                                                                                                 \
	X(alert)                                                                                                                 \
	X(check)                                                                                                                 \
	X(set)                                                                                                                   \
	X(reset)                                                                                                                 \
	X(breaker)                                                                                                               \
	X(config)                                                                                                                \
	X(preset)                                                                                                                \
	X(doctor)                                                                                                                \
	X(worlds)                                                                                                                \
	X(agent)                                                                                                                 \
	X(version)                                                                                                               \
	X(help)

#endif
