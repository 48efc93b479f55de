/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects to one address again and again, and says when each connect that succeeded was begun.
 *
 * Usage: knock ADDRESS PORT WAIT_MS. Runs until its standard input ends. Each success prints the CLOCK_MONOTONIC
 * nanoseconds before the connect. A connect that does not succeed within WAIT_MS is given up. PAUSE_US between two.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_US 500

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2]))};
	inet_pton(AF_INET, argv[1], &peer.sin_addr);
	for (;;) {
		struct pollfd input = {.fd = 0, .events = POLLIN};
		if (poll(&input, 1, 0) == 1)
			return 0;
		const struct linger reset = {.l_onoff = 1};
		struct timespec began;
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		clock_gettime(CLOCK_MONOTONIC, &began);
		int failed = connect(fd, (struct sockaddr *)&peer, sizeof(peer)) == 0 ? 0 : errno;
		if (failed == EINPROGRESS) {
			struct pollfd wait = {.fd = fd, .events = POLLOUT};
			socklen_t size = sizeof(failed);
			if (poll(&wait, 1, atoi(argv[3])) == 1)
				getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
		}
		close(fd);
		if (failed == 0) {
			printf("%lld\n", began.tv_sec * 1000000000LL + began.tv_nsec);
			fflush(stdout);
		}
		usleep(PAUSE_US);
	}
}
