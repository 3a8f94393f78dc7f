/* SPDX-License-Identifier: MIT */
/* Death between two instructions: what a call has stored by then stays, as after SIGKILL, and the rest is never done. */
#ifndef SIM_MORTAL_H
#define SIM_MORTAL_H

#include <stdbool.h>

/* Calls run(arg), and leaves it for good after so many instructions (on x86-64; elsewhere it always ends). True when it was left.
 * Takes SIGTRAP. */
bool sim_dies_after(unsigned long instructions, void (*run)(void *arg), void *arg);

#endif
