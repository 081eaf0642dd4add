/* An SPA knock: a request, encrypted and authenticated, in the options of one TCP SYN.
 *
 * What it is made of is described in knocktail-protocol(7). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct mac_key;
struct secret;

enum {
	SPA_OPTION_SIZE = 40, /* all the options that a TCP header has room for */
	SPA_NONCE_SIZE = 12,
};

struct spa_request {
	uint32_t time_s;  /* the client's Unix time */
	uint16_t door;	  /* spa_door() of the door's name */
	uint16_t seconds; /* how long it shall stay open; 0: as long as it says itself */
};

/* The key that requests are encrypted with, of a key's base (core/key-file.h). */
void spa_key(const struct mac_key *base, struct secret *ret_key);

/* The port that SYNs of a step (see core/token.h) are sent to: the server finds the key by it. */
uint16_t spa_port(const struct mac_key *base, uint64_t step);

/* What stands for a door in a request. Two names can have the same. */
uint16_t spa_door(const char *name);

/* Writes the whole option. `bound` is the address that it is sent from; NULL: it names none.
 * The nonce must never be used for two requests, or for two addresses, with a key: random bytes. */
void spa_seal(const struct secret *key, const struct spa_request *request,
	      const struct address *bound, const uint8_t nonce[static SPA_NONCE_SIZE],
	      uint8_t ret_option[static SPA_OPTION_SIZE]);

/* Whether a SYN's options are an SPA option and nothing else, as they stand: nothing is known of
 * who wrote it. */
bool spa_is_option(const uint8_t *options, size_t n);

/* The nonce of such options. */
const uint8_t *spa_nonce(const uint8_t option[static SPA_OPTION_SIZE]);

/* What such options would say if they were sealed with this key, authentic or not: anybody can have
 * sent them. For explanations only, never to act upon. */
void spa_guess(const struct secret *key, const uint8_t option[static SPA_OPTION_SIZE],
	       struct spa_request *ret);

/* Opens such options. 0; -EBADMSG: sealed with another key, for another address, or altered. */
int spa_open(const struct secret *key, const uint8_t option[static SPA_OPTION_SIZE],
	     const struct address *bound, struct spa_request *ret);
