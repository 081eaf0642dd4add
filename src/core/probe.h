/* A probe: what one record says about one packet that the firewall logged. */
#pragma once

#include "core/address.h"

#include <net/if.h>
#include <stdint.h>

/* The bits of probe.tcp_flags: as in the TCP header (RFC 9293, 3.1). */
enum {
	TCP_FLAG_FIN = 0x01,
	TCP_FLAG_SYN = 0x02,
	TCP_FLAG_RST = 0x04,
	TCP_FLAG_PSH = 0x08,
	TCP_FLAG_ACK = 0x10,
	TCP_FLAG_URG = 0x20,
	TCP_FLAG_ECE = 0x40,
	TCP_FLAG_CWR = 0x80,
};

enum { TCP_OPTIONS_MAX = 40 };

struct probe {
	uint64_t log;	  /* which log says so: its id, or OTHER_LOG_KERNEL */
	uint64_t time_us; /* the kernel's printk clock: good for the time between two probes */
	struct address source;
	struct address target; /* where it was sent to */
	uint16_t source_port;
	uint16_t port;	   /* where it was sent to */
	uint8_t protocol;  /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t tcp_flags; /* TCP_FLAG_*; 0 for UDP */
	uint8_t n_options; /* bytes used in `options` */
	uint8_t options[TCP_OPTIONS_MAX];
	char interface[IF_NAMESIZE]; /* where it came in */
};
