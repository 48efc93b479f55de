/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getaddrinfo as a program of a sandbox calls it, built against glibc and against musl.
 *
 * Usage: lookup NAME [PORT]. Prints "ok", or "error NUMBER TEXT"; then an address a line. With PORT, each line
 * ends with what a connect to it gave: "connected" or the error.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS 1000

static const char *try_connect(const struct addrinfo *to)
{
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return strerror(errno);
	const char *outcome = "connected";
	if (connect(fd, to->ai_addr, to->ai_addrlen) != 0) {
		struct pollfd wait = {.fd = fd, .events = POLLOUT};
		int failed = errno == EINPROGRESS ? 0 : errno;
		socklen_t size = sizeof(failed);
		if (failed == 0 && poll(&wait, 1, CONNECT_MS) != 1)
			failed = ETIMEDOUT;
		else if (failed == 0)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
		if (failed != 0)
			outcome = strerror(failed);
	}
	close(fd);
	return outcome;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	int failed = getaddrinfo(argv[1], argc > 2 ? argv[2] : "443", &hints, &found);
	if (failed) {
		printf("error %d %s\n", failed, gai_strerror(failed));
		return 1;
	}
	printf("ok\n");
	for (const struct addrinfo *each = found; each; each = each->ai_next) {
		char text[64];
		getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
		printf("%s%s%s\n", text, argc > 2 ? " " : "", argc > 2 ? try_connect(each) : "");
	}
	freeaddrinfo(found);
	return 0;
}
