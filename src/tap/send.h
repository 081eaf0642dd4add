/* Knocks on the wire. Answers do not change what is sent. */
#pragma once

#include <stdint.h>

struct destination;
struct sequence;

/* One packet to each of the steps, in their order, `delay_us` apart: a SYN for tcp, an empty
 * datagram for udp. No answer is waited for. 0, or a negative errno: the first one that this
 * machine did not send. */
int send_sequence(const struct destination *to, const struct sequence *sequence, uint64_t delay_us);

/* A raw socket to send SYNs with. 0; -EPERM or -EACCES: that takes CAP_NET_RAW; another
 * negative errno. */
int send_syn_open(int family, int *ret_fd);

/* One SYN with all the options that a TCP header has room for. 0, or a negative errno: this machine
 * did not send it. */
int send_syn(int fd, const struct destination *to, uint16_t port, const uint8_t options[static 40]);

/* Sleeps. */
void send_pause(uint64_t us);
