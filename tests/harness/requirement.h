/* SPDX-License-Identifier: MIT */
/* What some tests need of the machine, and a bare chroot may lack. Where it is missing the test is skipped, and says why. */
#ifndef HARNESS_REQUIREMENT_H
#define HARNESS_REQUIREMENT_H

/* The name "localhost" can be looked up (/etc/hosts), and is 127.0.0.1 alone: quotad does not listen on ::1, and a program that
 * tries both makes two connections of one request, which is not what these tests count. */
void require_localhost(void);

/* Pseudo-terminals can be opened (/dev/pts). */
void require_terminals(void);

/* User and mount namespaces can be made, with file systems of their own (unshare -rm). */
void require_namespaces(void);

#endif
