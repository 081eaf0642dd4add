/* A knock at one address, of whatever kind. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/address.h"
#include "core/spa.h"

struct destination;
struct secret;
struct settings;

/* Two secrets long: the key's base, and what SPA derives from it. */
enum { KNOCK_BASE, KNOCK_SPA_KEY, N_KNOCK_SECRETS };

struct knock_means {
	struct secret *secrets;	 /* token and SPA; of secrets_new() */
	int raw_fds[N_FAMILIES]; /* SPA; of send_syn_open() */
	uint64_t now_s;		 /* Unix time */
	struct {
		bool is_drawn;
		struct address named; /* zeros: none */
		uint8_t bytes[SPA_NONCE_SIZE];
	} nonces[N_FAMILIES]; /* SPA: for requests that name this address */
};

/* Reads a key file, or the key that a page holds, into both secrets. NULL, or what is wrong with
 * it, such as that its time is over at this Unix time. */
enum { KNOCK_FAULT_SIZE = 200 };
const char *knock_read_key(const char *path, uint64_t now_s, struct secret *secrets,
			   char fault_text[static KNOCK_FAULT_SIZE]);

/* What is sent again is the same knock, unless its time is nearly over: then it is a new one, of
 * this Unix time. */
void knock_renew(struct knock_means *means, uint64_t now_s);

/* 0, or a negative errno: something was not sent. */
int knock_send(const struct settings *settings, struct knock_means *means,
	       const struct destination *to);
