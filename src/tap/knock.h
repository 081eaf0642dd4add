/* A knock at one address, of whatever kind. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct destination;
struct secret;
struct settings;

/* Two secrets long: what is in the key file, and what SPA derives from it. */
enum { KNOCK_SECRET, KNOCK_SPA_KEY, N_KNOCK_SECRETS };

struct knock_means {
	struct secret *secrets; /* token and SPA; of secrets_new() */
	int raw_fd;		/* SPA; of send_syn_open() */
	uint64_t now_s;		/* Unix time */
};

/* Reads a key file into both secrets. NULL, or what is wrong with it. */
const char *knock_read_key(const char *path, struct secret *secrets);

/* 0, or a negative errno: something was not sent. */
int knock_send(const struct settings *settings, const struct knock_means *means,
	       const struct destination *to);
