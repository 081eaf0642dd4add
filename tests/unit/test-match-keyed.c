/* From the keys directory to a verdict, through the judge. */
#include "match/matcher.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "config/load.h"
#include "core/key-file.h"
#include "core/record.h"
#include "core/spa.h"
#include "core/token.h"
#include "keys/burn.h"
#include "keys/burnt.h"
#include "support.h"

#include "cmocka-all.h"

#define NOW UINT64_C(1795384800)

static const struct secret secret = {"alice's key"};
static struct mac_key base;

struct trial {
	char *directory, *burnt_directory;
	struct burnt *burnt;
	struct matcher *matcher;
	enum matcher_mode mode;
	enum engine_state state;
	size_t door; /* that of the tokens: web or ssh */
	uint64_t now_us;
	unsigned source_port;
	const char *interface, *source;
	size_t n_told, n_strays;
	int64_t server_s, client_s; /* how far their clocks are ahead of NOW */
	bool is_full;		    /* whoever burns takes nothing more */
	const char *nonce;
	uint32_t boot;
	enum refusal refusal;
	char problem[200], user[40], burn_door[40];
	struct key_id key;
	enum knock_kind knock;
};

static void on_match(void *userdata, const struct match *match)
{
	struct trial *trial = userdata;

	trial->n_told++;
	assert_int_equal(match->door, trial->door);
	snprintf(trial->problem, sizeof trial->problem, "%s", match->problem ? match->problem : "");
	trial->refusal = match->refusal;
	snprintf(trial->burn_door, sizeof trial->burn_door, "%s",
		 match->burn ? match->burn->door : "");
	assert_true(!match->burn || match->burn->skew_s == 30);
	if (match->burn && trial->is_full) {
		snprintf(trial->problem, sizeof trial->problem, "too many wait");
	} else if (match->burn) {
		char text[BURN_REASON_SIZE];
		const char *used =
			burn_explain(match->burn, burn_run(trial->burnt, match->burn), text);

		if (used && !match->problem)
			snprintf(trial->problem, sizeof trial->problem, "%s", used);
	}
	snprintf(trial->user, sizeof trial->user, "%s", match->user);
	trial->key = match->key;
	trial->knock = match->knock;
}

static void on_stray(void *userdata, const struct matcher_stray *stray)
{
	struct trial *trial = userdata;

	trial->n_strays++;
	snprintf(trial->problem, sizeof trial->problem, "%s", stray->reason);
}

static void compile_doors(struct trial *trial, const char *doors)
{
	struct complaints complaints = {0};
	struct config *config = NULL;
	struct matcher *matcher = NULL;
	char *text;

	assert_true(asprintf(&text,
			     "[options]\nlog_prefix = '[knock] '\nkeys = %s\nrealm = lab\n%s",
			     trial->directory, doors) > 0);
	assert_int_equal(config_load_bytes(text, strlen(text), NULL, &config, &complaints), 0);
	complaints_done(&complaints);
	free(text);
	assert_int_equal(matcher_new(config, trial->mode, trial->matcher, &matcher), 0);
	config_free(config);
	matcher_free(trial->matcher);
	trial->matcher = matcher;
}

static void compile(struct trial *trial)
{
	compile_doors(trial,
		      "[door web]\nauth = token\nusers = *\nbackend = ipset\nset = web\n"
		      "[door ssh]\nauth = token, spa\nusers = *\nbackend = ipset\nset = ssh\n"
		      "interface = eth0\n");
}

static struct trial begin(void)
{
	struct trial trial = {.directory = support_directory(),
			      .mode = MATCH_LIVE,
			      .door = 1,
			      .source_port = 40000,
			      .interface = "eth0",
			      .source = "203.0.113.9",
			      .nonce = "always alike"};
	char line[KEY_LINE_MAX + 1], *path = support_path(trial.directory, "alice.key");
	struct secret of_realm;

	key_line_format("lab", &secret, line);
	key_base(&secret, "lab", &of_realm);
	mac_key_init(&base, &of_realm);
	support_write(path, line, strlen(line));
	assert_int_equal(chmod(path, 0600), 0);
	free(path);
	trial.burnt_directory = support_path(trial.directory, "burnt");
	assert_int_equal(burnt_new(trial.burnt_directory, 30, &trial.burnt), 0);
	compile(&trial);
	return trial;
}

static void end(struct trial *trial)
{
	matcher_free(trial->matcher);
	burnt_free(trial->burnt);
	free(trial->burnt_directory);
	support_remove(trial->directory);
}

static bool is_ipv6(const struct trial *trial)
{
	return strchr(trial->source, ':');
}

static void feed(struct trial *trial, const char *protocol, unsigned port, const char *options,
		 bool past)
{
	char line[500];
	struct record record = {
		.text = line,
		.kernel_us = trial->now_us += 1000,
		.realtime_us = (uint64_t)((int64_t)NOW + trial->server_s) * 1000000,
		.boot = trial->boot,
		.past = past,
	};
	bool tcp = strcmp(protocol, "TCP") == 0;

	snprintf(line, sizeof line, "[knock] IN=%s OUT= MAC= SRC=%s %s PROTO=%s SPT=%u DPT=%u %s%s",
		 trial->interface, trial->source,
		 is_ipv6(trial) ? "DST=2001:db8::1 LEN=80 TC=0 HOPLIMIT=64 FLOWLBL=0"
				: "DST=192.0.2.1 LEN=80 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF",
		 protocol, trial->source_port++, port,
		 tcp ? "WINDOW=64240 RES=0x00 SYN URGP=0 " : "LEN=8 ", options);
	record.length = strlen(line);
	trial->state = matcher_feed(trial->matcher, &record, on_match, trial);
}

static uint64_t client_time(const struct trial *trial)
{
	return (uint64_t)((int64_t)NOW + trial->client_s);
}

/* Some of a token's ports. */
static void send_ports(struct trial *trial, size_t first, size_t end, bool past)
{
	const struct token_seed seed = {
		.base = &base,
		.door = trial->door == 0 ? "web" : "ssh",
		.family = is_ipv6(trial) ? FAMILY_IPV6 : FAMILY_IPV4,
		.step = token_step(client_time(trial)),
	};
	uint16_t ports[TOKEN_PORTS];

	token_ports(&seed, NULL, ports);
	for (size_t i = first; i < end; i++)
		feed(trial, "UDP", ports[i], "", past);
}

static void send_token(struct trial *trial, bool past)
{
	send_ports(trial, 0, TOKEN_PORTS, past);
}

/* `spoil` is what the byte `at` of the option is changed by. */
static void send_spa(struct trial *trial, const char *door, uint8_t spoil, size_t at, bool past)
{
	const struct spa_request request = {.time_s = (uint32_t)client_time(trial),
					    .door = spa_door(door)};
	uint8_t option[SPA_OPTION_SIZE];
	char hex[2 * SPA_OPTION_SIZE + 1], text[100];
	struct secret key;

	spa_key(&base, &key);
	spa_seal(&key, &request, NULL, (const uint8_t *)trial->nonce, option);
	option[at] ^= spoil;
	sodium_bin2hex(hex, sizeof hex, option, sizeof option);
	snprintf(text, sizeof text, "OPT (%s) ", hex);
	feed(trial, "TCP", spa_port(&base, token_step(client_time(trial))), text, past);
}

static void expect(struct trial *trial, size_t n_told, size_t n_strays, const char *problem)
{
	assert_int_equal(trial->n_told, n_told);
	assert_int_equal(trial->n_strays, n_strays);
	if (n_told + n_strays > 0 &&
	    (*problem ? !strstr(trial->problem, problem) : trial->problem[0] != '\0'))
		fail_msg("%s", trial->problem);
	trial->n_told = trial->n_strays = 0;
}

static void test_good_once(void **state)
{
	struct trial trial = begin();

	(void)state;
	send_token(&trial, false);
	expect(&trial, 1, 0, "");
	assert_string_equal(trial.user, "alice");
	assert_int_equal(trial.knock, KNOCK_TOKEN);
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "");
	assert_int_equal(trial.knock, KNOCK_SPA);
	trial.source = "203.0.113.10";
	send_token(&trial, false);
	expect(&trial, 1, 0, "replayed: it was used before");
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "replayed");
	/* For the next matcher, and for the next daemon, too. */
	trial.source = "203.0.113.11";
	compile(&trial);
	send_token(&trial, false);
	expect(&trial, 1, 0, "replayed");
	burnt_free(trial.burnt);
	assert_int_equal(burnt_new(trial.burnt_directory, 30, &trial.burnt), 0);
	matcher_free(trial.matcher);
	trial.matcher = NULL;
	compile(&trial);
	send_token(&trial, false);
	expect(&trial, 1, 0, "replayed");
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "replayed");
	end(&trial);
}

static void test_a_knock_goes_on_with_another_configuration(void **state)
{
	struct trial trial = begin();

	(void)state;
	feed(&trial, "UDP", 1, "", false);
	assert_int_equal(trial.state, ENGINE_QUIET);
	send_ports(&trial, 0, TOKEN_PORTS / 2, false);
	assert_int_equal(trial.state, ENGINE_UNDERWAY);
	compile(&trial);
	send_ports(&trial, TOKEN_PORTS / 2, TOKEN_PORTS, false);
	expect(&trial, 1, 0, "");
	end(&trial);
}

/* Another boot has another clock. */
static void test_a_knock_does_not_go_on_after_a_boot(void **state)
{
	struct trial trial = begin();

	(void)state;
	send_ports(&trial, 0, TOKEN_PORTS / 2, false);
	trial.boot++;
	send_ports(&trial, TOKEN_PORTS / 2, TOKEN_PORTS, false);
	expect(&trial, 0, 0, "");
	send_token(&trial, false);
	expect(&trial, 1, 0, "");
	end(&trial);
}

/* Two of one second are told apart by what is drawn. */
static void test_two_of_one_second(void **state)
{
	struct trial trial = begin();

	(void)state;
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "");
	trial.nonce = "another one!";
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "");
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 0, 0, "");
	end(&trial);
}

/* Nothing is recorded as used, but in this matcher's memory. */
static void test_good_once_in_a_rehearsal(void **state)
{
	struct trial trial = begin();

	(void)state;
	trial.mode = MATCH_DRY_RUN;
	compile(&trial);
	send_token(&trial, false);
	expect(&trial, 1, 0, "");
	assert_string_equal(trial.burn_door, "");
	trial.source = "203.0.113.10";
	send_token(&trial, false);
	expect(&trial, 1, 0, "replayed: it was used before");
	end(&trial);
}

/* The tokens of one moment for an IPv4 and an IPv6 address are two, and so are those for doors. */
static void test_good_once_for_each_family_and_door(void **state)
{
	struct trial trial = begin();

	(void)state;
	for (int i = 0; i < 2; i++) {
		trial.source = i == 0 ? "203.0.113.9" : "2001:db8::9";
		send_token(&trial, false);
		expect(&trial, 1, 0, "");
		assert_string_equal(trial.burn_door, i == 0 ? "ssh/4" : "ssh/6");
	}
	trial.door = 0;
	send_token(&trial, false);
	expect(&trial, 1, 0, "");
	assert_string_equal(trial.burn_door, "web/6");
	trial.source = "2001:db8:1::9";
	send_token(&trial, false);
	expect(&trial, 1, 0, "replayed: it was used before");
	end(&trial);
}

/* What is sent again, because it may have been lost, is the same knock, for the next matcher too.
 */
static void test_the_same_knock_again(void **state)
{
	struct trial trial = begin();

	(void)state;
	for (int i = 0; i < 3; i++) {
		send_token(&trial, false);
		expect(&trial, i == 0, 0, "");
		send_spa(&trial, "ssh", 0, 0, false);
		expect(&trial, i == 0, 0, "");
		compile(&trial);
	}
	/* Once more from elsewhere, it is somebody's who has seen it. */
	trial.source = "203.0.113.10";
	send_token(&trial, false);
	expect(&trial, 1, 0, "replayed");
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "replayed");
	/* That of another moment is another one. */
	trial.source = "203.0.113.9";
	trial.client_s = trial.server_s = 30;
	send_token(&trial, false);
	expect(&trial, 1, 0, "");
	end(&trial);
}

static void test_strays(void **state)
{
	struct trial trial = begin();

	(void)state;
	matcher_set_stray(trial.matcher, on_stray, &trial);
	send_spa(&trial, "web", 0, 0, false);
	expect(&trial, 0, 1, "unknown door");
	send_spa(&trial, "ssh", 1, 20, false);
	expect(&trial, 0, 1, "unknown key");
	matcher_set_stray(trial.matcher, NULL, NULL);
	send_spa(&trial, "ssh", 1, 20, false);
	expect(&trial, 0, 0, "");
	/* Whose it is and where to can still be read, but is not to be relied on. */
	send_spa(&trial, "ssh", 1, 39, false);
	expect(&trial, 1, 0, "wrong source");
	assert_string_equal(trial.user, "alice");
	assert_false(support_exists(trial.burnt_directory));
	end(&trial);
}

/* Whoever reads the reason knows by how much which clock is off. */
static void test_a_clock_that_is_off(void **state)
{
	struct trial trial = begin();

	(void)state;
	trial.client_s = 30;
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "");
	trial.client_s = 31;
	trial.nonce = "another one!";
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "too early by 31 s: its clock is off");
	assert_int_equal(trial.refusal, REFUSAL_CLOCK);
	assert_string_equal(trial.burn_door, "ssh/4");
	trial.client_s = -31;
	trial.nonce = "a third one!";
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "stale by 31 s: its clock is off");
	assert_string_equal(trial.burn_door, ""); /* it will never be good */
	/* Within the step of a token its client may be anywhere. */
	trial.client_s = -2 * TOKEN_STEP_S;
	send_token(&trial, false);
	expect(&trial, 1, 0, "stale by 31 s: its clock is off");
	trial.client_s = 2 * TOKEN_STEP_S;
	send_token(&trial, false);
	expect(&trial, 1, 0, "too early by 60 s: its clock is off");
	end(&trial);
}

/* What comes too early is used up all the same: who has seen it must not send it in time. */
static void test_too_early_is_used_up(void **state)
{
	struct trial trial = begin();

	(void)state;
	trial.client_s = 2 * TOKEN_STEP_S;
	send_token(&trial, false);
	expect(&trial, 1, 0, "too early");
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "too early");
	trial.client_s = 0; /* nothing that is older has gone with it */
	send_token(&trial, false);
	expect(&trial, 1, 0, "");
	trial.server_s = trial.client_s = 2 * TOKEN_STEP_S;
	send_token(&trial, false);
	expect(&trial, 1, 0, "replayed: it was used before");
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "replayed: it was used before");
	end(&trial);
}

/* The last requests are remembered, and no more than there is room for. */
static void test_more_than_are_remembered(void **state)
{
	struct trial trial = begin();

	(void)state;
	trial.is_full = true; /* none is recorded elsewhere */
	for (int i = 0; i < 300; i++) {
		trial.now_us += 60000000;
		trial.server_s = trial.client_s = i * TOKEN_STEP_S;
		send_token(&trial, false);
		expect(&trial, 1, 0, "too many wait");
	}
	trial.source = "203.0.113.10";
	send_token(&trial, false);
	expect(&trial, 1, 0, "replayed: it was used before");
	trial.server_s = trial.client_s = 0;
	send_token(&trial, false);
	expect(&trial, 1, 0, "too many wait");
	end(&trial);
}

/* A rehearsal keeps a record of its own, and in it a key has as much room as in that of the daemon.
 */
static void test_room_for_a_key_in_a_rehearsal(void **state)
{
	struct trial trial = begin();
	char nonce[20];

	(void)state;
	trial.mode = MATCH_DRY_RUN;
	compile(&trial);
	trial.nonce = nonce;
	for (int i = 0; i <= BURNT_NONCES_MAX; i++) {
		snprintf(nonce, sizeof nonce, "%012d", i);
		trial.now_us += 60000000;
		send_spa(&trial, "ssh", 0, 0, false);
		expect(&trial, 1, 0, i < BURNT_NONCES_MAX ? "" : "too many requests with this key");
	}
	end(&trial);
}

/* What is to come is known in time, a little of it each second. */
static void test_tending_goes_with_the_time(void **state)
{
	struct trial trial = begin();

	(void)state;
	trial.client_s = 7 * TOKEN_STEP_S;
	send_token(&trial, false);
	expect(&trial, 0, 0, "");
	for (int i = 0; i < TOKEN_STEP_S; i++)
		matcher_tend(trial.matcher, (NOW + TOKEN_STEP_S) * 1000000);
	trial.source = "203.0.113.10";
	send_token(&trial, false);
	expect(&trial, 1, 0, "too early by 210 s: its clock is off");
	end(&trial);
}

static size_t n_keys; /* for hashes, that were drawn */

void __real_randombytes_buf(void *buffer, size_t size);
void __wrap_randombytes_buf(void *buffer, size_t size);

void __wrap_randombytes_buf(void *buffer, size_t size)
{
	assert_int_equal(size, crypto_shorthash_KEYBYTES);
	n_keys++;
	__real_randombytes_buf(buffer, size);
}

/* Nobody knows what place a source has: neither in the engine nor here. */
static void test_hashes_have_keys(void **state)
{
	struct trial trial;

	(void)state;
	n_keys = 0;
	trial = begin();
	assert_int_equal(n_keys, 2);
	end(&trial);
}

/* A door of the longest name has it in the record of what was used. */
static void test_a_door_of_the_longest_name(void **state)
{
	char doors[300], name[DOOR_NAME_MAX + 1] = "", burn_door[DOOR_NAME_MAX + 3];
	struct trial trial = begin();

	(void)state;
	memset(name, 'x', DOOR_NAME_MAX);
	snprintf(doors, sizeof doors,
		 "[door web]\nauth = token\nusers = *\nbackend = ipset\nset = web\n"
		 "[door %s]\nauth = spa\nusers = *\nbackend = ipset\nset = ssh\n",
		 name);
	compile_doors(&trial, doors);
	send_spa(&trial, name, 0, 0, false);
	expect(&trial, 1, 0, "");
	snprintf(burn_door, sizeof burn_door, "%s/4", name);
	assert_string_equal(trial.burn_door, burn_door);
	end(&trial);
}

static void test_the_record_cannot_be_written(void **state)
{
	struct trial trial = begin();

	(void)state;
	support_write(trial.burnt_directory, "", 0); /* a file where its directory should be */
	send_token(&trial, false);
	expect(&trial, 1, 0, "it cannot be recorded as used: Not a directory");
	end(&trial);
}

/* Nobody who has seen it sends it later, when there is room again. */
static void test_too_many_to_be_recorded(void **state)
{
	struct trial trial = begin();

	(void)state;
	trial.is_full = true;
	send_token(&trial, false);
	expect(&trial, 1, 0, "too many wait");
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "too many wait");
	trial.client_s = 2 * TOKEN_STEP_S;
	send_token(&trial, false);
	expect(&trial, 1, 0, "too many wait");
	trial.is_full = false;
	trial.client_s = 0;
	trial.source = "203.0.113.10";
	compile(&trial);
	trial.door = 0;
	send_token(&trial, false);
	expect(&trial, 1, 0, "");
	trial.door = 1;
	send_token(&trial, false);
	expect(&trial, 1, 0, "replayed: it was used before");
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "replayed: it was used before");
	trial.server_s = trial.client_s = 2 * TOKEN_STEP_S;
	send_token(&trial, false);
	expect(&trial, 1, 0, "replayed: it was used before");
	end(&trial);
}

/* Seen where the door does not look, it must not be good where it does. */
static void test_the_other_way(void **state)
{
	struct trial trial = begin();

	(void)state;
	trial.interface = "eth1";
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "it arrived where this door does not listen (interface or target)");
	trial.interface = "eth0";
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "replayed");
	end(&trial);
}

/* What a predecessor has judged is neither told nor burnt once more. */
static void test_the_past(void **state)
{
	struct trial trial = begin();

	(void)state;
	matcher_set_stray(trial.matcher, on_stray, &trial);
	send_token(&trial, true);
	send_spa(&trial, "ssh", 0, 0, true);
	send_spa(&trial, "ssh", 1, 20, true);
	expect(&trial, 0, 0, "");
	assert_false(support_exists(trial.burnt_directory));
	send_token(&trial, false);
	expect(&trial, 1, 0, "");
	end(&trial);
}

/* Of the first key of a file. */
static struct key_id key_id_in(const char *text)
{
	struct key_file file;
	const char *fault;
	struct key_id id;

	assert_int_equal(key_file_parse(text, strlen(text), &file, &fault), 0);
	id = key_id_of(&file.bases[0]);
	key_file_wipe(&file);
	return id;
}

static void test_whose_key(void **state)
{
	struct trial trial = begin();
	struct matcher *first = trial.matcher;
	char *path = support_path(trial.directory, "alice.key");
	static const char other[] = "knocktail2 lab jx0qfEvgWTbTyLeh8OSdXGs6KRj35tXEs6KRgHFvXk0=";
	char *text = support_read(path, NULL);
	const struct key_id old = key_id_in(text), new = key_id_in(other);
	struct matcher *second;

	(void)state;
	assert_true(matcher_knows(first, NULL, "alice", NULL, 0));
	assert_true(matcher_knows(first, NULL, "alice", &(struct key_id){0}, 0));
	assert_true(matcher_knows(first, NULL, "alice", &old, 0));
	assert_false(matcher_knows(first, NULL, "alice", &new, 0));
	assert_true(matcher_has_key(first, &old));
	assert_false(matcher_has_key(first, &new));
	assert_false(matcher_knows(first, NULL, "bob", NULL, 0));
	assert_false(matcher_knows(first, NULL, "bob", &old, 0));
	assert_true(matcher_knows(first, first, "alice", &old, 0));
	trial.matcher = NULL;
	assert_int_equal(unlink(path), 0);
	compile(&trial);
	assert_false(matcher_knows(trial.matcher, first, "alice", &old, 0));
	matcher_free(trial.matcher);
	trial.matcher = NULL;
	support_write(path, other, strlen(other));
	assert_int_equal(chmod(path, 0600), 0);
	compile(&trial);
	second = trial.matcher;
	assert_true(matcher_knows(second, NULL, "alice", NULL, 0));
	assert_false(matcher_knows(second, NULL, "alice", &old, 0));
	assert_false(matcher_knows(second, first, "alice", &old, 0));
	assert_true(matcher_knows(second, first, "alice", &new, 0));
	/* It did not go now. */
	assert_true(matcher_knows(second, second, "alice", &old, 0));
	free(path);
	free(text);
	matcher_free(first);
	end(&trial);
}

static void test_no_keys_are_read_for_other_doors(void **state)
{
	struct trial trial = begin();

	(void)state;
	assert_true(matcher_knows(trial.matcher, NULL, "alice", NULL, 0));
	compile_doors(&trial, "[door web]\nsequence = 9, 7, 8\nbackend = ipset\nset = web\n");
	assert_false(matcher_knows(trial.matcher, NULL, "alice", NULL, 0));
	end(&trial);
}

/* Puts alice's key there with these lines behind it, and reads it. */
static void give(struct trial *trial, const char *lines)
{
	char line[KEY_LINE_MAX + 1], text[KEY_FILE_MAX + 1];
	char *path = support_path(trial->directory, "alice.key");

	key_line_format("lab", &secret, line);
	snprintf(text, sizeof text, "%s\n%s", line, lines);
	support_write(path, text, strlen(text));
	free(path);
	compile(trial);
}

/* It opens nothing, and is used up all the same. */
static void test_a_key_out_of_its_time(void **state)
{
	struct trial trial = begin();

	(void)state;
	give(&trial, "expires 2026-11-22T22:00:00Z\n");
	send_token(&trial, false);
	expect(&trial, 1, 0, "its key has expired");
	send_spa(&trial, "ssh", 0, 0, false);
	expect(&trial, 1, 0, "its key has expired");
	give(&trial, "since 2026-11-22T22:00:01Z\n");
	trial.source = "203.0.113.10";
	send_token(&trial, false);
	expect(&trial, 1, 0, "replayed");
	trial.client_s = 30;
	send_token(&trial, false);
	expect(&trial, 1, 0, "its key is not good yet");
	give(&trial, "expires 2026-11-22T22:00:31Z\n");
	trial.server_s = 30;
	trial.client_s = 60;
	send_token(&trial, false);
	expect(&trial, 1, 0, "");
	end(&trial);
}

/* The key before is good as long as it says; whoever had it alone is known by it. */
static void test_a_key_and_the_one_before(void **state)
{
	static const char next[] = "knocktail2 lab jx0qfEvgWTbTyLeh8OSdXGs6KRj35tXEs6KRgHFvXk0=\n";
	struct trial trial = begin();
	char *path = support_path(trial.directory, "alice.key"), *old, *text;
	struct matcher *first = trial.matcher, *second;
	const struct key_id next_id = key_id_in(next);
	struct key_id old_id;

	(void)state;
	trial.matcher = NULL;
	old = support_read(path, NULL);
	old_id = key_id_in(old);
	assert_true(asprintf(&text, "%s%s\nexpires 2026-11-22T22:00:10Z\n", next, old) > 0);
	support_write(path, text, strlen(text));
	compile(&trial);
	assert_true(matcher_knows(trial.matcher, first, "alice", &old_id, NOW * 1000000));
	send_token(&trial, false);
	expect(&trial, 1, 0, "");
	assert_string_equal(trial.user, "alice");
	assert_memory_equal(&trial.key, &old_id, sizeof old_id);
	trial.server_s = 10;
	trial.client_s = 30;
	send_token(&trial, false);
	expect(&trial, 1, 0, "its key has expired");
	second = trial.matcher;
	trial.matcher = NULL;
	support_write(path, next, strlen(next));
	compile(&trial);
	assert_false(matcher_knows(trial.matcher, second, "alice", &old_id, NOW * 1000000));
	assert_true(matcher_knows(trial.matcher, second, "alice", &next_id, NOW * 1000000));
	assert_true(matcher_knows(trial.matcher, second, "alice", &old_id, (NOW + 10) * 1000000));
	matcher_free(first);
	matcher_free(second);
	free(path);
	free(old);
	free(text);
	end(&trial);
}

static void on_expiry(void *userdata, const char *user, const char *text)
{
	char *said = userdata;

	sprintf(said + strlen(said), "%s: %s\n", user, text);
}

/* Once, when it is near, and once when it has come. */
static void test_an_end_that_comes(void **state)
{
	static const uint64_t DAY = UINT64_C(86400000000), END = UINT64_C(1798761600000000);
	struct trial trial = begin();
	char said[400] = "";

	(void)state;
	give(&trial, "expires 2027-01-01\n");
	matcher_expiries(trial.matcher, END - 20 * DAY, END - 14 * DAY - 1000000, on_expiry, said);
	matcher_expiries(trial.matcher, END - 14 * DAY, END - 1000000, on_expiry, said);
	matcher_expiries(trial.matcher, END, END + DAY, on_expiry, said);
	assert_string_equal(said, "");
	matcher_expiries(trial.matcher, END - 14 * DAY - 1000000, END - 14 * DAY, on_expiry, said);
	matcher_expiries(trial.matcher, END - 1000000, END, on_expiry, said);
	assert_string_equal(said, "alice: it expires on 2027-01-01: knocktail keygen --rotate\n"
				  "alice: it expired on 2027-01-01, and opens nothing: knocktail "
				  "keygen --rotate\n");
	end(&trial);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_once),
		cmocka_unit_test(test_a_knock_goes_on_with_another_configuration),
		cmocka_unit_test(test_a_knock_does_not_go_on_after_a_boot),
		cmocka_unit_test(test_two_of_one_second),
		cmocka_unit_test(test_good_once_in_a_rehearsal),
		cmocka_unit_test(test_good_once_for_each_family_and_door),
		cmocka_unit_test(test_the_same_knock_again),
		cmocka_unit_test(test_strays),
		cmocka_unit_test(test_the_other_way),
		cmocka_unit_test(test_the_past),
		cmocka_unit_test(test_whose_key),
		cmocka_unit_test(test_no_keys_are_read_for_other_doors),
		cmocka_unit_test(test_a_key_out_of_its_time),
		cmocka_unit_test(test_a_key_and_the_one_before),
		cmocka_unit_test(test_an_end_that_comes),
		cmocka_unit_test(test_a_clock_that_is_off),
		cmocka_unit_test(test_too_early_is_used_up),
		cmocka_unit_test(test_too_many_to_be_recorded),
		cmocka_unit_test(test_more_than_are_remembered),
		cmocka_unit_test(test_room_for_a_key_in_a_rehearsal),
		cmocka_unit_test(test_tending_goes_with_the_time),
		cmocka_unit_test(test_the_record_cannot_be_written),
		cmocka_unit_test(test_hashes_have_keys),
		cmocka_unit_test(test_a_door_of_the_longest_name),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
