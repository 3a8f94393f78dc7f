/* SPDX-License-Identifier: MIT */
/*
 * A program of another machine, for scripts/aarch64: connects five times to a socket of its own, and tells by its exit status
 * whether that took as long as a run's limit of 5/s makes it take, "limited", or not, "free".
 *
 *	host limited|free
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/seccomp.h>

#define CONNECTS  5
#define LIMITED_S 0.7 /* the first goes at once: four units of 0.2 s */

#define CHECK(condition)                                                                                                         \
	do {                                                                                                                     \
		if (!(condition)) {                                                                                              \
			fprintf(stderr, "host.c:%d: %s (errno %d)\n", __LINE__, #condition, errno);                              \
			return 1;                                                                                                \
		}                                                                                                                \
	} while (0)

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int connect_to(const struct sockaddr_in *a)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), answer = connect(fd, (const struct sockaddr *)a, sizeof *a);

	close(fd);
	return answer;
}

/* The hook of syscall is a jump in the machine's own language: arguments, answers and errno go through it. */
static int make_system_calls(void)
{
	CHECK(syscall(SYS_getppid) == getppid());
	CHECK(syscall(SYS_close, -1) == -1 && errno == EBADF);
	CHECK(syscall(SYS_mmap, NULL, 4096, 3 /* read, write */, 0x22 /* private, anonymous */, -1, 0L) != -1);
	CHECK(syscall(SYS_mmap, NULL, 4096, 3, 2 /* private */, -1, 4096L) == -1 && errno == EBADF);
	CHECK(syscall(SYS_seccomp, 77, 0, NULL) == -1 && (errno == EINVAL || errno == ENOSYS));
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t length = sizeof a;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	double begun, took;

	if (argc != 2)
		return 64;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(listener, CONNECTS) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&a, &length) == 0);
	if (make_system_calls() != 0)
		return 1;
	begun = now_s();
	for (int i = 0; i < CONNECTS; i++)
		CHECK(connect_to(&a) == 0);
	took = now_s() - begun;
	printf("%d connects took %.2f s\n", CONNECTS, took);
	CHECK(took >= LIMITED_S || strcmp(argv[1], "limited") != 0);
	CHECK(took < LIMITED_S || strcmp(argv[1], "free") != 0);
	return 0;
}
