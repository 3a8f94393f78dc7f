/* SPDX-License-Identifier: MIT */
/* What some tests need of the machine, and a bare chroot may lack. Where it is missing the test is skipped, and says why. */
#ifndef HARNESS_REQUIREMENT_H
#define HARNESS_REQUIREMENT_H

/* The name "localhost" can be looked up (/etc/hosts). */
void require_localhost(void);

/* Pseudo-terminals can be opened (/dev/pts). */
void require_terminals(void);

#endif
