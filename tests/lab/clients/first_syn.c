/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolve, then connect at once, many times: is the first SYN after an answer ever lost?
 *
 * Usage: first_syn RESOLVER FORMAT FIRST COUNT PORT [LOST_MS]. FORMAT makes the name of try N ("h%u.storm.example").
 * Each try asks for the A record and starts a connect in the very next system call after the answer was read.
 * A lost SYN is sent again after a second, so a connect that takes LOST_MS (500) or more lost its first.
 * Prints "tries N lost N failed N max_us N". Exit status 1 if one was lost or failed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MS 3000

static long now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

static int build_query(unsigned char *message, unsigned id, const char *name)
{
	unsigned char head[12] = {id >> 8, id & 255, 1, 0, 0, 1};
	unsigned char *at = message + sizeof(head);
	memcpy(message, head, sizeof(head));
	for (const char *label = name; *label;) {
		size_t length = strcspn(label, ".");
		*at++ = (unsigned char)length;
		memcpy(at, label, length);
		at += length;
		label += length + (label[length] == '.');
	}
	memcpy(at, "\0\0\1\0\1", 5);
	return (int)(at + 5 - message);
}

/* The address of an answer that is one A record, which is the end of the message. */
static int read_answer(const unsigned char *message, long size, unsigned id, struct in_addr *address)
{
	if (size < 28 || message[0] != id >> 8 || message[1] != (id & 255) || (message[3] & 15) != 0 || message[7] != 1)
		return -1;
	memcpy(address, message + size - 4, 4);
	return 0;
}

static int resolve(int client, unsigned number, const char *format, struct in_addr *address)
{
	char name[256];
	unsigned char message[1500];
	unsigned id = number & 0xffff;
	snprintf(name, sizeof(name), format, number);
	if (send(client, message, (size_t)build_query(message, id, name), 0) < 0)
		return -1;
	struct pollfd wait = {.fd = client, .events = POLLIN};
	if (poll(&wait, 1, ANSWER_MS) != 1)
		return -1;
	long size = recv(client, message, sizeof(message), 0);
	if (read_answer(message, size, id, address) == 0)
		return 0;
	if (size >= 4)
		fprintf(stderr, "%ld bytes, rcode %d: ", size, message[3] & 15);
	return -1;
}

/*
 * Not faster than this: each try holds a grant for a second, and a sandbox holds 8192 at once. The last
 * client to finish, alone on the machine, would ask for more, and be refused as it should.
 */
#define TRIES_PER_S_MAX 6000

static void pace(long began_us, unsigned tries)
{
	long ahead_us = began_us + tries * (1000000L / TRIES_PER_S_MAX) - now_us();
	if (ahead_us > 1000)
		usleep((useconds_t)ahead_us);
}

int main(int argc, char **argv)
{
	long start_us = now_us();
	if (argc < 6)
		return 2;
	unsigned first = (unsigned)atoi(argv[3]), count = (unsigned)atoi(argv[4]);
	long lost_us = 1000L * (argc > 6 ? atoi(argv[6]) : 500), max_us = 0;
	unsigned lost = 0, failed = 0;
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(53)};
	inet_pton(AF_INET, argv[1], &server.sin_addr);
	int client = socket(AF_INET, SOCK_DGRAM, 0);
	if (client < 0 || connect(client, (struct sockaddr *)&server, sizeof(server)) != 0)
		return 2;
	for (unsigned number = first; number < first + count; number++) {
		struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[5]))};
		const struct linger reset = {.l_onoff = 1};
		int tcp = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(tcp, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)); /* no TIME_WAIT: ports last */
		if (resolve(client, number, argv[2], &peer.sin_addr) != 0) {
			failed++;
			fprintf(stderr, "try %u: no answer\n", number);
		} else {
			long began = now_us();
			int status = connect(tcp, (struct sockaddr *)&peer, sizeof(peer));
			long took = now_us() - began;
			if (status != 0) {
				failed++;
				fprintf(stderr, "try %u: connect: %s\n", number, strerror(errno));
			} else if (took >= lost_us) {
				lost++;
				fprintf(stderr, "try %u: connected after %ld us\n", number, took);
			}
			max_us = took > max_us ? took : max_us;
		}
		close(tcp);
		pace(start_us, number - first + 1);
	}
	printf("tries %u lost %u failed %u max_us %ld\n", count, lost, failed, max_us);
	return lost || failed;
}
