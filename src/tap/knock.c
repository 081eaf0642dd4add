#include "tap/knock.h"

#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/key-file.h"
#include "core/secret.h"
#include "core/spa.h"
#include "core/token.h"
#include "tap/destination.h"
#include "tap/key-text.h"
#include "tap/send.h"
#include "tap/settings.h"

/* What is wrong with a file that is not a key's. */
static const char *explain_fault(int error, const char *fault, char text[static KNOCK_FAULT_SIZE])
{
	if (error == -EPROTONOSUPPORT)
		return "it is a key of version 1, which no server takes any more: ask for a new one "
		       "(knocktail keygen)";
	snprintf(text, KNOCK_FAULT_SIZE, "it does not hold a key: %s", fault);
	return text;
}

/* Whether it begins to be good is the server's to say, whose clock counts. */
static const char *explain_term(const struct key_term *term, uint64_t now_s,
				char text[static KNOCK_FAULT_SIZE])
{
	char date[KEY_DATE_SIZE];

	if (term->expires_s == 0 || now_s < term->expires_s)
		return NULL;
	snprintf(text, KNOCK_FAULT_SIZE,
		 "it expired on %s: ask for a new one (knocktail keygen --rotate)",
		 key_date_format(term->expires_s, date));
	return text;
}

const char *knock_read_key(const char *path, uint64_t now_s, struct secret *secrets,
			   char fault_text[static KNOCK_FAULT_SIZE])
{
	char text[KEY_FILE_MAX];
	struct key_file file;
	struct mac_key base;
	size_t length;
	const char *fault = key_text_read(path, text, &length);
	int r;

	if (fault)
		return fault;
	r = key_file_parse(text, length, &file, &fault);
	sodium_memzero(text, sizeof text);
	if (r < 0)
		return explain_fault(r, fault, fault_text);
	secrets[KNOCK_BASE] = file.bases[0];
	mac_key_init(&base, &secrets[KNOCK_BASE]);
	spa_key(&base, &secrets[KNOCK_SPA_KEY]);
	mac_key_wipe(&base);
	fault = explain_term(&file.terms[0], now_s, fault_text);
	key_file_wipe(&file);
	return fault;
}

/* The address that the knock is bound to, if it is. */
static int bound_address(const struct settings *settings, const struct destination *to,
			 struct address *ret, const struct address **ret_bound)
{
	struct destination source;
	int r;

	*ret_bound = settings->source_kind == SOURCE_NONE ? NULL : ret;
	*ret = settings->source;
	if (settings->source_kind != SOURCE_AUTO)
		return 0;
	r = destination_source(to, &source);
	if (r < 0)
		return r;
	*ret = destination_address(&source);
	*ret_bound = destination_sees(ret) ? ret : NULL;
	return 0;
}

/* Nothing but the set of ports matters, so they need no time between them unless it is asked for.
 */
static int knock_token(const struct settings *settings, const struct knock_means *means,
		       const struct destination *to, const struct address *bound)
{
	struct sequence sequence = {.n_steps = TOKEN_PORTS};
	const struct address address = destination_address(to);
	struct mac_key base;
	const struct token_seed seed = {
		.base = &base,
		.door = settings->door,
		.family = address_family(&address),
		.step = token_step(means->now_s),
	};
	uint16_t ports[TOKEN_PORTS];

	mac_key_init(&base, &means->secrets[KNOCK_BASE]);
	token_ports(&seed, bound, ports);
	mac_key_wipe(&base);
	for (size_t i = 0; i < TOKEN_PORTS; i++)
		sequence.steps[i] = (struct step){.port = ports[i], .protocol = IPPROTO_UDP};
	return send_sequence(to, &sequence,
			     settings_has(settings, SETTING_DELAY) ? settings->delay_us : 0);
}

/* One call has one nonce, so that what one address of a name has heard is used up where it opens.
 * Over another family it is another knock. And a request that names another address of ours gets
 * another nonce: it is of use to nobody else, and must not share the nonce (spa_seal()). */
static const uint8_t *choose_nonce(struct knock_means *means, enum family family,
				   const struct address *bound)
{
	const struct address named = bound ? *bound : (struct address){{0}};

	if (!means->nonces[family].is_drawn || !address_equal(&named, &means->nonces[family].named))
		randombytes_buf(means->nonces[family].bytes, SPA_NONCE_SIZE);
	means->nonces[family].is_drawn = true;
	means->nonces[family].named = named;
	return means->nonces[family].bytes;
}

static int knock_spa(const struct settings *settings, struct knock_means *means,
		     const struct destination *to, const struct address *bound)
{
	const struct spa_request request = {
		.time_s = (uint32_t)means->now_s,
		.door = spa_door(settings->door),
		.seconds = settings->seconds,
	};
	const struct address address = destination_address(to);
	enum family family = address_family(&address);
	uint8_t option[SPA_OPTION_SIZE];
	struct mac_key base;
	uint16_t port;

	mac_key_init(&base, &means->secrets[KNOCK_BASE]);
	port = spa_port(&base, token_step(means->now_s));
	mac_key_wipe(&base);
	spa_seal(&means->secrets[KNOCK_SPA_KEY], &request, bound,
		 choose_nonce(means, family, bound), option);
	return send_syn(means->raw_fds[family], to, port, option);
}

void knock_renew(struct knock_means *means, uint64_t now_s)
{
	/* Servers allow for 30 seconds unless they are told otherwise. */
	enum { GOOD_FOR_S = 20 };

	if (now_s >= means->now_s && now_s <= means->now_s + GOOD_FOR_S)
		return;
	means->now_s = now_s;
	for (enum family family = 0; family < N_FAMILIES; family++)
		means->nonces[family].is_drawn = false;
}

int knock_send(const struct settings *settings, struct knock_means *means,
	       const struct destination *to)
{
	const struct address *bound;
	struct address address;
	int r;

	if (settings->knock == KNOCK_SEQUENCE)
		return send_sequence(to, &settings->sequence, settings->delay_us);
	r = bound_address(settings, to, &address, &bound);
	if (r < 0)
		return r;
	return settings->knock == KNOCK_SPA ? knock_spa(settings, means, to, bound)
					    : knock_token(settings, means, to, bound);
}
