#include "ruleset/iptables.h"
#include "ruleset/nft/nft.h"
#include "ruleset/nft/owner.h"
#include "ruleset/ruleset.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/probe.h"

#define PREFIX "[k] "

static const bool nothing[N_FAMILIES];

static struct ruleset iptables(const char *rules)
{
	struct ruleset ruleset = {0};

	assert_int_equal(ruleset_add_iptables(&ruleset, FAMILY_IPV4, "iptables", rules), 0);
	return ruleset;
}

static struct walk walk(const struct ruleset *ruleset, const struct packet *packet)
{
	struct walk result;

	ruleset_walk(ruleset, packet, PREFIX, &result);
	return result;
}

/* A SYN of a stranger's, with its port. */
static struct packet syn(uint16_t port)
{
	return (struct packet){
		.protocol = IPPROTO_TCP, .flags = TCP_FLAG_SYN, .port = port, .state = PACKET_NEW};
}

/* Each is a table with one rule in INPUT, whose policy is DROP, and whether a SYN to port 22 of a
 * stranger's is accepted by it. */
static void test_what_rules_ask(void **state)
{
	static const struct {
		const char *rule;
		bool accepts;
	} cases[] = {
		{"", true},
		{"-p tcp", true},
		{"-p udp", false},
		{"! -p udp", true},
		{"-p tcp -m tcp --dport 22", true},
		{"-p tcp -m tcp --dport 20:25", true},
		{"-p tcp -m tcp ! --dport 22", false},
		{"-p tcp -m multiport --dports 1,21:23,80", true},
		{"-p tcp -m multiport --dports 1,80", false},
		{"-i lo", false},
		{"! -i lo", true},
		{"-i eth0", false}, /* not known: it decides nothing */
		{"-i +", true},
		{"-s 10.0.0.0/8", false},
		{"! -s 10.0.0.0/8", true},
		{"-s 0.0.0.0/0", true},
		{"-d 192.0.2.0/24", true},
		{"-d 192.0.2.2/32", false},
		{"! -d 192.0.2.2/32", true},
		{"-d 192.0.2.1/255.0.0.255", false},
		{"-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", true},
		{"-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN", false},
		{"-p tcp -m tcp --tcp-flags SYN,ACK SYN,ACK", false},
		{"-m conntrack --ctstate NEW", true},
		{"-m state --state RELATED,ESTABLISHED", false},
		{"-m conntrack ! --ctstate INVALID", true},
		{"-m set --match-set friends src", false},
		{"-m set ! --match-set friends src", true},
		{"-m addrtype --dst-type BROADCAST", false},
		{"-m addrtype --dst-type LOCAL", true},
		{"-m comment --comment \"a -p udp b\"", true},
		{"-m limit --limit 3/min", false},
		{"-m hashlimit --hashlimit-above 3/min --hashlimit-name x", false},
		{"-m u32 --u32 0x0=0x1", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[512];
		struct packet packet = syn(22);
		struct address target;
		struct ruleset ruleset;

		assert_int_equal(address_parse("192.0.2.1", &target), 0);
		packet.target = &target;
		snprintf(text, sizeof text, "*filter\n:INPUT DROP [0:0]\n-A INPUT %s -j ACCEPT\n",
			 cases[i].rule);
		ruleset = iptables(text);
		if ((walk(&ruleset, &packet).verdict == VERDICT_ACCEPT) != cases[i].accepts)
			fail_msg("%s", cases[i].rule);
		ruleset_done(&ruleset);
	}
}

/* A set of ports, of which it is known whether the packet's is in it; and one that nobody knows. */
static void test_sets_of_ports(void **state)
{
	static const char nft_rules[] =
		"{\"nftables\": ["
		"{\"table\": {\"family\": \"inet\", \"name\": \"t\"}},"
		"{\"chain\": {\"family\": \"inet\", \"table\": \"t\", \"name\": \"i\","
		" \"type\": \"filter\", \"hook\": \"input\", \"prio\": 0, \"policy\": \"drop\"}},"
		"{\"rule\": {\"family\": \"inet\", \"table\": \"t\", \"chain\": \"i\", \"expr\": ["
		" {\"match\": {\"op\": \"==\", \"left\": {\"payload\": {\"protocol\": \"th\","
		" \"field\": \"dport\"}}, \"right\": \"@%s\"}},"
		" {\"log\": {\"prefix\": \"[k] \"}}]}}]}";
	static const struct {
		const char *set;
		bool is_in, logs, maybe;
	} cases[] = {
		{"expected", true, true, false},
		{"expected", false, false, false},
		{"other", true, true, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[2048];
		struct packet packet = syn(4711);
		struct ruleset ruleset;
		struct walk result;

		packet.in_port_set = cases[i].is_in;
		packet.port_set = "expected";
		snprintf(text, sizeof text,
			 "*filter\n:INPUT DROP [0:0]\n-A INPUT -m set --match-set %s dst -j LOG "
			 "--log-prefix \"[k] \"\n",
			 cases[i].set);
		ruleset = iptables(text);
		result = walk(&ruleset, &packet);
		assert_int_equal(result.logged != NULL, cases[i].logs);
		assert_int_equal(result.maybe_logged, cases[i].maybe);
		ruleset_done(&ruleset);

		packet.port_set = "inet t expected";
		snprintf(text, sizeof text, nft_rules, cases[i].set);
		ruleset = (struct ruleset){0};
		assert_int_equal(ruleset_add_nft(&ruleset, text, nothing), 0);
		result = walk(&ruleset, &packet);
		assert_int_equal(result.logged != NULL, cases[i].logs);
		assert_int_equal(result.maybe_logged, cases[i].maybe);
		ruleset_done(&ruleset);
	}
}

static void test_chains(void **state)
{
	struct ruleset ruleset =
		iptables("*nat\n:INPUT DROP [0:0]\n*filter\n"
			 ":INPUT DROP [0:0]\n:a - [0:0]\n:b - [0:0]\n:c - [0:0]\n"
			 "-A INPUT -j a\n-A INPUT -p tcp --dport 3 -j ACCEPT\n"
			 "-A INPUT -j c\n"
			 "-A a -p tcp --dport 1 -j b\n-A a -p tcp --dport 3 -j RETURN\n"
			 "-A a -p tcp --dport 2 -g b\n-A a -p tcp --dport 4 -j ACCEPT\n"
			 "-A a -p tcp --dport 1 -j ACCEPT\n-A b -j RETURN\n"
			 "-A b -j ACCEPT\n-A c -j c\n");
	static const bool accepted[] = {false, true, false, true, true, false};

	(void)state;
	for (uint16_t port = 0; port < 6; port++) {
		struct packet packet = syn(port);

		assert_int_equal(walk(&ruleset, &packet).verdict == VERDICT_ACCEPT, accepted[port]);
	}
	ruleset_done(&ruleset);
}

static void test_logs(void **state)
{
	struct ruleset ruleset =
		iptables("*filter\n:INPUT DROP [0:0]\n:log - [0:0]\n"
			 "-A INPUT -p tcp --dport 1 -j ACCEPT\n"
			 "-A INPUT -p tcp --dport 2 -j LOG --log-prefix \"[UFW BLOCK] \"\n"
			 "-A INPUT -p tcp --dport 3 -m limit --limit 2/s --limit-burst 7 -j log\n"
			 "-A INPUT -p tcp --dport 4 -m hashlimit --hashlimit-upto 30/min "
			 "--hashlimit-burst 9 "
			 "--hashlimit-mode srcip --hashlimit-name x -j LOG --log-prefix \"[k] \" "
			 "--log-tcp-options\n"
			 "-A INPUT -p tcp --dport 5 -m u32 --u32 0x0=0x1 -j log\n"
			 "-A log -j LOG --log-prefix \"[k] \"\n");
	struct packet packet;
	struct walk result;

	(void)state;
	for (uint16_t port = 1; port < 3; port++) {
		packet = syn(port);
		assert_null(walk(&ruleset, &packet).logged);
	}
	packet = syn(3);
	result = walk(&ruleset, &packet);
	assert_non_null(result.logged);
	assert_false(result.maybe_logged || result.limits.by_source.is_there);
	assert_int_equal(result.limits.for_all.per_hour, 7200);
	assert_int_equal(result.limits.for_all.burst, 7);
	packet = syn(4);
	result = walk(&ruleset, &packet);
	assert_true(result.logged->log_options && result.limits.by_source.is_there);
	assert_false(result.limits.for_all.is_there);
	assert_int_equal(result.limits.by_source.per_hour, 1800);
	packet = syn(5);
	assert_true(walk(&ruleset, &packet).maybe_logged);
	assert_non_null(ruleset_find_log(&ruleset, FAMILY_IPV4, PREFIX));
	assert_null(ruleset_find_log(&ruleset, FAMILY_IPV6, PREFIX));
	assert_null(ruleset_find_log(&ruleset, FAMILY_IPV4, "[k]"));
	ruleset_done(&ruleset);
}

/* A rule of a chain that has a limit has its own beside it. */
static void test_limits_by_source_and_for_all(void **state)
{
	struct ruleset ruleset = iptables(
		"*filter\n:INPUT DROP [0:0]\n:log - [0:0]\n"
		"-A INPUT -m limit --limit 5000/sec --limit-burst 10000 -j log\n"
		"-A log -p tcp --dport 1 -m hashlimit --hashlimit-upto 30/min "
		"--hashlimit-burst 32 --hashlimit-mode srcip --hashlimit-name x "
		"--hashlimit-htable-size 16384 --hashlimit-htable-max 65536 "
		"--hashlimit-htable-expire 120000 -j LOG --log-prefix \"[k] \"\n"
		"-A log -p tcp --dport 2 -m hashlimit --hashlimit-upto 30/min "
		"--hashlimit-mode srcip --hashlimit-name y -m limit --limit 9/hour -j LOG "
		"--log-prefix \"[k] \"\n"
		"-A log -p tcp --dport 3 -m hashlimit --hashlimit-upto 30/min "
		"--hashlimit-mode dstport --hashlimit-name z -j LOG --log-prefix \"[k] \"\n");
	struct packet packet = syn(1);
	struct log_limits limits = walk(&ruleset, &packet).limits;

	(void)state;
	assert_int_equal(limits.by_source.burst, 32);
	assert_string_equal(limits.by_source.table, "x");
	assert_int_equal(limits.by_source.n_places, 65536);
	assert_int_equal(limits.by_source.place_ms, 120000);
	assert_int_equal(limits.for_all.per_hour, 5000 * 3600);
	assert_int_equal(limits.for_all.burst, 10000);

	packet = syn(2);
	limits = walk(&ruleset, &packet).limits;
	assert_int_equal(limits.by_source.burst, 5);
	assert_int_equal(limits.by_source.n_places, 0);
	assert_int_equal(limits.by_source.place_ms, 10000);
	assert_int_equal(limits.for_all.per_hour, 9);

	packet = syn(3);
	limits = walk(&ruleset, &packet).limits;
	assert_false(limits.by_source.is_there);
	assert_int_equal(limits.for_all.per_hour, 1800);
	ruleset_done(&ruleset);
}

static void test_what_is_too_much(void **state)
{
	struct ruleset ruleset =
		iptables("*nat\n:PREROUTING ACCEPT [0:0]\n"
			 "-A PREROUTING -p tcp --dport 2 -j REDIRECT --to-ports 80\n"
			 "*filter\n:INPUT DROP [0:0]\n:log - [0:0]\n-A INPUT -j log\n"
			 "-A log -m hashlimit --hashlimit-above 30/min --hashlimit-burst 9 "
			 "--hashlimit-mode srcip --hashlimit-name x -j DROP\n"
			 "-A log -j LOG --log-prefix \"[k] \"\n");
	struct packet packet = syn(1);
	struct walk result = walk(&ruleset, &packet);

	(void)state;
	assert_true(result.logged && !result.maybe_logged && !result.maybe);
	assert_true(result.limits.by_source.is_there);
	assert_int_equal(result.limits.by_source.burst, 9);
	packet.port = 2;
	result = walk(&ruleset, &packet);
	assert_int_equal(result.verdict, VERDICT_AWAY);
	assert_null(result.logged);
	packet.state = PACKET_ESTABLISHED;
	assert_non_null(walk(&ruleset, &packet).logged);
	ruleset_done(&ruleset);
}

#define RULE(expression)                                                                           \
	"{\"nftables\":[{\"rule\":{\"family\":\"ip\",\"table\":\"filter\",\"expr\":[" expression   \
	"{\"accept\":null}]}}]}"

static void test_whose_a_table_is(void **state)
{
	static const struct {
		const char *json;
		bool foreign;
	} cases[] = {
		{"{\"nftables\":[]}", false},
		{RULE("{\"counter\":{}},"), false},
		{RULE("{\"xt\":null},{\"counter\":{}},"), false},
		{RULE(""), true},
		{RULE("{\"quota\":{}},{\"counter\":{}},"), true},
		{RULE("{\"match\":{\"left\":{\"payload\":{}},\"right\":22}},{\"counter\":{}},"),
		 false},
		{RULE("{\"match\":{\"left\":{\"payload\":{}},\"right\":{\"set\":[]}}},{\"counter\":"
		      "{}}"
		      ","),
		 true},
		{RULE("{\"match\":{\"left\":{\"payload\":{}},\"right\":\"@s\"}},{\"counter\":{}},"),
		 true},
		{RULE("{\"match\":{\"left\":{\"ct\":{}},\"right\":1}},{\"counter\":{}},"), true},
		{"{\"nftables\":[{\"set\":{\"family\":\"ip\",\"table\":\"filter\"}}]}", true},
		{"{\"nftables\":[{\"set\":{\"family\":\"ip6\",\"table\":\"filter\"}}]}", false},
		{"{\"nftables\":[{\"set\":{\"family\":\"ip\",\"table\":\"other\"}}]}", false},
		{"{\"nftables\":[{\"chain\":{\"family\":\"ip\",\"table\":\"filter\",\"name\":"
		 "\"in\","
		 "\"hook\":\"input\"}}]}",
		 true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (ruleset_is_foreign(cases[i].json, "ip", "filter") != cases[i].foreign)
			fail_msg("%s", cases[i].json);
}

static void test_who_has_knocked(void **state)
{
	struct ruleset ruleset =
		iptables("*filter\n:INPUT DROP [0:0]\n:KNOCKTAIL - [0:0]\n"
			 "-A INPUT -p tcp --dport 22 -m set --match-set friends src -j ACCEPT\n"
			 "-A INPUT -p tcp --dport 23 -m set --match-set others src,dst -j ACCEPT\n"
			 "-A INPUT -p tcp --dport 24 -j KNOCKTAIL\n");
	struct packet packet = syn(22);

	(void)state;
	assert_int_equal(walk(&ruleset, &packet).verdict, VERDICT_DROP);
	packet.set = "friends";
	assert_int_equal(walk(&ruleset, &packet).verdict, VERDICT_ACCEPT);
	packet.port = 23;
	assert_int_equal(walk(&ruleset, &packet).verdict, VERDICT_DROP);
	packet.set = "others";
	assert_int_equal(walk(&ruleset, &packet).verdict, VERDICT_ACCEPT);
	packet.port = 24;
	assert_int_equal(walk(&ruleset, &packet).verdict, VERDICT_DROP);
	packet.chain = "KNOCKTAIL";
	assert_int_equal(walk(&ruleset, &packet).verdict, VERDICT_ACCEPT);
	ruleset_done(&ruleset);
}

#define NFT_HEAD                                                                                   \
	"{\"nftables\":[{\"table\":{\"family\":\"inet\",\"name\":\"t\"}},"                         \
	"{\"chain\":{\"family\":\"inet\",\"table\":\"t\",\"name\":\"i\",\"type\":\"filter\","      \
	"\"hook\":\"input\",\"prio\":0,\"policy\":\"drop\"}},"                                     \
	"{\"rule\":{\"family\":\"inet\",\"table\":\"t\",\"chain\":\"i\",\"handle\":9,\"expr\":["
#define NFT_TAIL "]}}]}"
#define PAYLOAD(protocol, field)                                                                   \
	"{\"payload\":{\"protocol\":\"" protocol "\",\"field\":\"" field "\"}}"
#define MATCH(left, op, right)                                                                     \
	"{\"match\":{\"op\":\"" op "\",\"left\":" left ",\"right\":" right "}},"
#define ACCEPT "{\"accept\":null}"

static void test_what_rules_of_nft_ask(void **state)
{
	static const struct {
		const char *expressions;
		bool accepts;
	} cases[] = {
		{ACCEPT, true},
		{"{\"drop\":null}", false},
		{MATCH(PAYLOAD("tcp", "dport"), "==", "22") ACCEPT, true},
		{MATCH(PAYLOAD("udp", "dport"), "==", "22") ACCEPT, false},
		{MATCH(PAYLOAD("tcp", "dport"), "!=", "22") ACCEPT, false},
		{MATCH(PAYLOAD("th", "dport"), "==", "{\"set\":[1,{\"range\":[20,30]}]}") ACCEPT,
		 true},
		{MATCH(PAYLOAD("tcp", "dport"), ">", "20") ACCEPT, false}, /* not understood */
		{MATCH(PAYLOAD("tcp", "dport"), "==", "\"@ports\"") ACCEPT, false},
		{MATCH("{\"meta\":{\"key\":\"l4proto\"}}", "==", "{\"set\":[\"tcp\",\"udp\"]}")
			 ACCEPT,
		 true},
		{MATCH("{\"meta\":{\"key\":\"l4proto\"}}", "==", "\"icmp\"") ACCEPT, false},
		{MATCH("{\"meta\":{\"key\":\"iif\"}}", "==", "\"lo\"") ACCEPT, false},
		{MATCH("{\"meta\":{\"key\":\"nfproto\"}}", "==", "\"ipv6\"") ACCEPT, false},
		{MATCH("{\"ct\":{\"key\":\"state\"}}", "in", "[\"new\",\"invalid\"]") ACCEPT, true},
		{MATCH("{\"ct\":{\"key\":\"state\"}}", "in", "\"established\"") ACCEPT, false},
		{MATCH("{\"ct\":{\"key\":\"status\"}}", "in", "\"dnat\"") ACCEPT, false},
		{MATCH("{\"&\":[" PAYLOAD("tcp", "flags") ",[\"syn\",\"ack\"]]}", "==", "\"syn\"")
			 ACCEPT,
		 true},
		{MATCH("{\"&\":[" PAYLOAD("tcp", "flags") ",{\"|\":[\"syn\",\"ack\"]}]}",
		       "==", "{\"|\":[\"syn\",\"ack\"]}") ACCEPT,
		 false},
		{MATCH(PAYLOAD("tcp", "flags"), "in", "[\"syn\",\"fin\"]") ACCEPT, true},
		{MATCH(PAYLOAD("tcp", "flags"), "==", "\"ack\"") ACCEPT, false},
		{MATCH(PAYLOAD("ip", "saddr"), "==", "\"10.0.0.1\"") ACCEPT, false},
		{MATCH(PAYLOAD("ip", "saddr"), "!=", "\"10.0.0.1\"") ACCEPT, true},
		{MATCH(PAYLOAD("ip6", "saddr"), "!=", "\"::1\"") ACCEPT, false},
		{MATCH(PAYLOAD("ip", "saddr"), "==", "\"@s\"") ACCEPT, false},
		{"{\"limit\":{\"rate\":3,\"per\":\"minute\"}}," ACCEPT, false},
		{"{\"counter\":{\"packets\":1}}," ACCEPT, true},
		{"{\"vmap\":{\"key\":" PAYLOAD("tcp",
					       "dport") ",\"data\":{\"set\":[[22,{\"accept\":null}]"
							",[23,{\"drop\":null}]]}}}",
		 true},
		{"{\"vmap\":{\"key\":" PAYLOAD("tcp", "dport") ",\"data\":\"@map\"}}", false},
		{"{\"xt\":null}," ACCEPT, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[2048];
		struct packet packet = syn(22);
		struct ruleset ruleset = {0};

		snprintf(text, sizeof text, NFT_HEAD "%s" NFT_TAIL, cases[i].expressions);
		assert_int_equal(ruleset_add_nft(&ruleset, text, nothing), 0);
		assert_int_equal(ruleset.tables[0].chains[0].is_base, true);
		if ((walk(&ruleset, &packet).verdict == VERDICT_ACCEPT) != cases[i].accepts)
			fail_msg("%s", cases[i].expressions);
		ruleset_done(&ruleset);
	}
}

static void test_sets_and_limits_of_nft(void **state)
{
	struct packet packet = syn(22);
	struct ruleset ruleset = {0};
	struct walk result;

	(void)state;
	assert_int_equal(
		ruleset_add_nft(
			&ruleset,
			NFT_HEAD "{\"set\":{\"op\":\"update\",\"elem\":{\"&\":[" PAYLOAD(
				"ip",
				"saddr") ",1]},\"set\":\"@l\",\"stmt\":[{\"limit\":{"
					 "\"rate\":30,\"burst\":32,\"per\":\"minute\"}}]}},"
					 "{\"log\":{\"prefix\":\"[k] \",\"flags\":\"all\"}}," MATCH(
						 PAYLOAD("ip", "saddr"), "==", "\"@s\"")
						 ACCEPT NFT_TAIL,
			nothing),
		0);
	result = walk(&ruleset, &packet);
	/* What comes after a statement may keep it from logging, which is not told. */
	assert_null(result.logged);
	packet.set = "inet t s";
	result = walk(&ruleset, &packet);
	assert_non_null(result.logged);
	assert_true(result.limits.by_source.is_there && result.logged->log_options);
	assert_int_equal(result.limits.by_source.burst, 32);
	packet.set = "inet other s";
	assert_int_equal(walk(&ruleset, &packet).verdict, VERDICT_DROP);
	packet.family = FAMILY_IPV6;
	packet.set = "inet t s";
	assert_int_equal(walk(&ruleset, &packet).verdict, VERDICT_DROP);
	ruleset_done(&ruleset);
}

static void test_an_accept_does_not_save_from_a_later_drop(void **state)
{
	struct ruleset ruleset = iptables("*filter\n:INPUT ACCEPT [0:0]\n");
	struct packet packet = syn(22);

	(void)state;
	assert_int_equal(walk(&ruleset, &packet).verdict, VERDICT_ACCEPT);
	assert_int_equal(ruleset_add_nft(&ruleset, NFT_HEAD "{\"counter\":null}" NFT_TAIL, nothing),
			 0);
	assert_int_equal(walk(&ruleset, &packet).verdict, VERDICT_DROP);
	packet.family = FAMILY_IPV6;
	assert_int_equal(walk(&ruleset, &packet).verdict, VERDICT_DROP);
	ruleset_done(&ruleset);
}

#define TABLE_HEAD                                                                                 \
	"{\"nftables\":[{\"table\":{\"family\":\"inet\",\"name\":\"t\"}},"                         \
	"{\"set\":{\"family\":\"inet\",\"table\":\"other\",\"name\":\"l\",\"size\":7}},"
#define CHAIN                                                                                      \
	"{\"chain\":{\"family\":\"inet\",\"table\":\"t\",\"name\":\"i\",\"type\":\"filter\","      \
	"\"hook\":\"input\",\"prio\":0,\"policy\":\"drop\"}},"                                     \
	"{\"rule\":{\"family\":\"inet\",\"table\":\"t\",\"chain\":\"i\",\"handle\":9,\"expr\":["
#define SET(rest) "{\"set\":{\"family\":\"inet\",\"table\":\"t\",\"name\":\"l\"," rest "}},"
#define UPDATE(elem)                                                                               \
	"{\"set\":{\"op\":\"update\",\"elem\":" elem ",\"set\":\"@l\",\"stmt\":[{\"limit\":{"      \
	"\"rate\":30,\"burst\":32,\"per\":\"minute\"}}]}},"                                        \
	"{\"limit\":{\"rate\":5000,\"burst\":10000,\"per\":\"second\"}},"                          \
	"{\"log\":{\"prefix\":\"[k] \"}}"
#define HASH(expr) "{\"jhash\":{\"mod\":8,\"expr\":" expr "}}"

/* Where each source has a place of its own, the set can be full; where they share slots, it cannot.
 */
static void test_places_of_nft(void **state)
{
	static const struct {
		const char *set, *update;
		uint64_t n_places, place_ms;
		bool is_full;
	} cases[] = {
		{SET("\"size\":3,\"timeout\":120"), UPDATE(PAYLOAD("ip", "saddr")), 3, 120000,
		 false},
		{SET("\"size\":3"),
		 UPDATE("{\"elem\":{\"timeout\":9,\"val\":" PAYLOAD("ip", "saddr") "}}"), 3, 9000,
		 false},
		{SET("\"size\":2,\"elem\":[1,2]"), UPDATE(PAYLOAD("ip", "saddr")), 2, 0, true},
		{SET("\"size\":8,\"timeout\":120"), UPDATE(HASH(PAYLOAD("ip", "saddr"))), 0, 0,
		 false},
		{SET("\"size\":8,\"timeout\":120"),
		 UPDATE(HASH("{\"&\":[" PAYLOAD("ip", "saddr") ",\"255.0.0.0\"]}")), 0, 0, false},
		{SET("\"size\":7,\"timeout\":1"), UPDATE(HASH(PAYLOAD("ip", "saddr"))), 7, 1000,
		 false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ruleset ruleset = {0};
		struct packet packet = syn(22);
		struct log_limits limits;
		char text[4096];

		snprintf(text, sizeof text, TABLE_HEAD "%s" CHAIN "%s" NFT_TAIL, cases[i].set,
			 cases[i].update);
		assert_int_equal(ruleset_add_nft(&ruleset, text, nothing), 0);
		limits = walk(&ruleset, &packet).limits;
		assert_int_equal(limits.by_source.burst, 32);
		assert_int_equal(limits.by_source.n_places, cases[i].n_places);
		assert_int_equal(limits.by_source.place_ms, cases[i].place_ms);
		assert_int_equal(limits.by_source.is_full, cases[i].is_full);
		assert_int_equal(limits.for_all.burst, 10000);
		ruleset_done(&ruleset);
	}
}

static void test_what_is_no_ruleset(void **state)
{
	static const char *const texts[] = {"", "[]", "{}", "{\"nftables\":1}", "x"};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct ruleset ruleset = {0};

		assert_int_equal(ruleset_add_nft(&ruleset, texts[i], nothing), -EBADMSG);
		ruleset_done(&ruleset);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_rules_ask),
		cmocka_unit_test(test_sets_of_ports),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_logs),
		cmocka_unit_test(test_limits_by_source_and_for_all),
		cmocka_unit_test(test_places_of_nft),
		cmocka_unit_test(test_what_is_too_much),
		cmocka_unit_test(test_whose_a_table_is),
		cmocka_unit_test(test_who_has_knocked),
		cmocka_unit_test(test_what_rules_of_nft_ask),
		cmocka_unit_test(test_sets_and_limits_of_nft),
		cmocka_unit_test(test_an_accept_does_not_save_from_a_later_drop),
		cmocka_unit_test(test_what_is_no_ruleset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
