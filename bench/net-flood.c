/* Sends the frames that the embedded guest's "net receive" counts: net-flood INTERFACE SIZE SECONDS. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* As in guest/command-net.c. */
enum { TYPE = 0x88b5, KIND = 34, SUM = 36, PATTERN = 42, STREAM = 3 };
enum { BATCH = 64, MAX_FRAME = 65536 };

static uint8_t frame[MAX_FRAME];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void fill(unsigned size)
{
    memset(frame, 0xff, 6);
    frame[6] = 2;
    frame[12] = TYPE >> 8, frame[13] = TYPE & 0xff;
    frame[KIND] = STREAM;
    for (unsigned i = PATTERN; i < size; i++)
        frame[i] = (uint8_t)i;
    uint64_t sum = 0;
    for (unsigned i = SUM; i < size; i++)
        sum += (i - SUM) & 1 ? frame[i] : (uint64_t)frame[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    frame[SUM] = (uint8_t)(~sum >> 8), frame[SUM + 1] = (uint8_t)~sum;
}

int main(int argc, char **argv)
{
    unsigned size = argc == 4 ? atoi(argv[2]) : 0;
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = argc == 4 ? (int)if_nametoindex(argv[1]) : 0};
    if (fd < 0 || size < 60 || size > MAX_FRAME || bind(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        perror("net-flood INTERFACE SIZE SECONDS");
        return 1;
    }
    int bypass = 1;
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, sizeof bypass);
    fill(size);
    struct iovec part = {frame, size};
    struct mmsghdr messages[BATCH] = {0};
    for (int i = 0; i < BATCH; i++)
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
    for (double end = now() + atof(argv[3]); now() < end;)
        sendmmsg(fd, messages, BATCH, 0);
    return 0;
}
