/* SPDX-License-Identifier: MIT */
/*
 * The real functions behind the hooks.
 *
 * libc's are found once, after us in the search order (RTLD_NEXT), so that another preloaded library that hooks them as well
 * still gets its turn. libcurl's depend on who calls: two libcurls may live in one process, a library that dlopens one privately
 * does not put it where RTLD_NEXT looks, and a handle of one crashes the other.
 */
#ifndef WEIR_FIND_REAL_H
#define WEIR_FIND_REAL_H

#include <netdb.h>
#include <poll.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/* An object file that is loaded: what tells it from another one that is loaded later at the same place. */
struct weir_object {
	const void *link_map;
	const void *start, *end;
};

/* The object that contains `address`; false when there is none (code made at run time). About 3 ns. */
bool weir_object_of(const void *address, struct weir_object *out);

/* Whether `address` still lies in that very object. */
bool weir_object_is(const struct weir_object *object, const void *address);

/* Whether it was loaded with the program, and so stays until the end: what dlopen has loaded may go. For what is asked seldom. */
bool weir_object_stays(const struct weir_object *object);

/* Whether that is the library, this or another copy of it: what is found there only passes calls on. */
bool weir_object_is_weir(const struct weir_object *object);

/* The file that this copy was loaded from, by the name that the dynamic linker was given; NULL where that cannot be told. */
const char *weir_own_file(void);

/* Whether another copy of the library (two paths in LD_PRELOAD) comes first: what passes us has been counted by that one. */
bool weir_behind_another(void);

/* Whether our hook `name` is the first of that name in the search order of everybody: no other preloaded library and no
 * sanitizer's runtime comes between it and those who call it. Takes microseconds. */
bool weir_is_first(const char *name);

/* The function `name` as the code at `caller` would get it without weir: looked up in the caller's object and what it needs, or
 * behind us when the caller is the program itself or finds nothing. Never a hook of ours. NULL when there is none. Takes
 * microseconds and the dynamic linker's lock: callers cache. */
void *weir_find_real(const char *name, const void *caller);

/* The same, looked up in the caller's object and what it needs alone: for a function that is given what belongs to the caller's
 * own library, and not to another one of that name. */
void *weir_find_needed(const char *name, const void *caller);

/* dlopen without our hook of it. NULL as well where there is none. */
void *weir_dlopen(const char *file, int mode);

/* The real functions of libc. NULL where libc has none (execveat came with glibc 2.34). */
struct weir_libc {
	void *(*dlopen)(const char *, int);
	int (*connect)(int, const struct sockaddr *, socklen_t);
	int (*close)(int);
	int (*close_range)(unsigned, unsigned, int);
	void (*closefrom)(int);
	int (*getsockopt)(int, int, int, void *, socklen_t *);
	ssize_t (*send)(int, const void *, size_t, int);
	ssize_t (*sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	ssize_t (*sendmsg)(int, const struct msghdr *, int);
	ssize_t (*write)(int, const void *, size_t);
	ssize_t (*writev)(int, const struct iovec *, int);
	ssize_t (*recv)(int, void *, size_t, int);
	ssize_t (*recvfrom)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
	ssize_t (*recvmsg)(int, struct msghdr *, int);
	ssize_t (*read)(int, void *, size_t);
	ssize_t (*readv)(int, const struct iovec *, int);
	int (*epoll_ctl)(int, int, int, struct epoll_event *);
	int (*epoll_wait)(int, struct epoll_event *, int, int);
	int (*epoll_pwait)(int, struct epoll_event *, int, int, const sigset_t *);
	int (*epoll_pwait2)(int, struct epoll_event *, int, const struct timespec *, const sigset_t *);
	int (*poll)(struct pollfd *, nfds_t, int);
	int (*ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
	int (*select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
	int (*pselect)(int, fd_set *, fd_set *, fd_set *, const struct timespec *, const sigset_t *);
	int (*dup)(int);
	int (*dup2)(int, int);
	int (*dup3)(int, int, int);
	int (*fcntl)(int, int, ...);
	int (*fcntl64)(int, int, ...);
	int (*getaddrinfo)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	struct hostent *(*gethostbyname)(const char *);
	struct hostent *(*gethostbyname2)(const char *, int);
	int (*gethostbyname_r)(const char *, struct hostent *, char *, size_t, struct hostent **, int *);
	int (*gethostbyname2_r)(const char *, int, struct hostent *, char *, size_t, struct hostent **, int *);
	int (*execve)(const char *, char *const[], char *const[]);
	int (*execv)(const char *, char *const[]);
	int (*execvp)(const char *, char *const[]);
	int (*execvpe)(const char *, char *const[], char *const[]);
	int (*fexecve)(int, char *const[], char *const[]);
	int (*posix_spawn)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[],
			   char *const[]);
	int (*posix_spawnp)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[],
			    char *const[]);
	int (*system)(const char *);
	FILE *(*popen)(const char *, const char *);
	int (*execveat)(int, const char *, char *const[], char *const[], int);
	int (*setuid)(uid_t);
	int (*seteuid)(uid_t);
	int (*setreuid)(uid_t, uid_t);
	int (*setresuid)(uid_t, uid_t, uid_t);
	int (*setgid)(gid_t);
	int (*setegid)(gid_t);
	int (*setregid)(gid_t, gid_t);
	int (*setresgid)(gid_t, gid_t, gid_t);
	int (*setgroups)(size_t, const gid_t *);
	int (*initgroups)(const char *, gid_t);
	int (*chroot)(const char *);
	int (*prctl)(int, ...);
	long (*syscall)(long, ...);
};

/* Filled in by weir_libc_find alone: NULL before. For hooks that a program calls all the time; the others ask weir_libc(). */
extern struct weir_libc weir_libc_functions;
extern _Atomic bool weir_libc_found;

void weir_libc_find(void);

/* Found by the library's constructor, or by the first hook that is called before it: dlsym is no function for a signal handler or
 * the child of a fork, where close may well be called first. */
static inline const struct weir_libc *weir_libc(void)
{
	if (__builtin_expect(!atomic_load_explicit(&weir_libc_found, memory_order_acquire), 0))
		weir_libc_find();
	return &weir_libc_functions;
}

#endif
