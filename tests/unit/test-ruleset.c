#include "ruleset/iptables/iptables.h"
#include "ruleset/nft/listing.h"
#include "ruleset/nft/nft.h"
#include "ruleset/nft/owner.h"
#include "ruleset/packet.h"
#include "ruleset/ruleset.h"
#include "ruleset/walk.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/probe.h"

#define PREFIX "[k] "

static const bool nothing[N_FAMILIES];

static const char ipsets[] = "create ports bitmap:port range 0-65535\n"
			     "add ports 22\n"
			     "create pairs hash:net,port family inet hashsize 64 maxelem 9\n"
			     "add pairs 10.0.0.0/8,udp:22\n"
			     "add pairs 0.0.0.0/0,tcp:20-25 timeout 9\n"
			     "create world hash:net family inet hashsize 64 maxelem 9\n"
			     "add world 0.0.0.0/0\n"
			     "create mine hash:net family inet hashsize 64 maxelem 9\n"
			     "add mine 0.0.0.0/0 nomatch\n"
			     "add mine 192.168.0.0/16\n"
			     "create halves hash:net family inet hashsize 64 maxelem 9\n"
			     "add halves 128.0.0.0/1\nadd halves 0.0.0.0/1\n"
			     "create half hash:net family inet hashsize 64 maxelem 9\n"
			     "add half 128.0.0.0/1\nadd half 192.0.0.0/2\n"
			     "create wires hash:net,iface family inet hashsize 64 maxelem 9\n"
			     "add wires 0.0.0.0/0,eth0\n"
			     "create cards hash:mac hashsize 64 maxelem 9\n"
			     "add cards 02:00:00:00:00:01\n"
			     "create services hash:net,port family inet hashsize 64 maxelem 9\n"
			     "add services 0.0.0.0/0,icmp:echo-request\n"
			     "add services 0.0.0.0/0,sctp:22\n"
			     "add services 0.0.0.0/0,udp:0-65535\n"
			     "create three hash:net,port,net family inet hashsize 64 maxelem 9\n"
			     "add three 0.0.0.0/0,tcp:22,192.0.2.0/24\n"
			     "create world6 hash:net family inet6 hashsize 64 maxelem 9\n"
			     "add world6 ::/0\n"
			     "create all list:set size 8\nadd all world\n";

static struct ruleset iptables(const char *rules)
{
	struct ruleset ruleset = {0};

	assert_int_equal(ruleset_add_iptables(&ruleset, FAMILY_IPV4, "iptables", rules, ipsets), 0);
	return ruleset;
}

static struct walk walk(const struct ruleset *ruleset, const struct packet *packet)
{
	struct walk result;

	ruleset_walk(ruleset, packet, PREFIX, &result);
	return result;
}

/* Whether the packet is let in. */
static enum answer admits(const struct ruleset *ruleset, const struct packet *packet)
{
	enum verdict verdict = walk(ruleset, packet).verdict;

	return verdict == VERDICT_ACCEPT ? ANSWER_YES
	       : verdict == VERDICT_DROP ? ANSWER_NO
					 : ANSWER_MAYBE;
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
		enum answer accepts;
	} cases[] = {
		{"", ANSWER_YES},
		{"-p tcp", ANSWER_YES},
		{"-p udp", ANSWER_NO},
		{"-m rt --rt-type 0", ANSWER_NO},
		{"-m rt ! --rt-type 3 --rt-segsleft 1:4", ANSWER_NO},
		{"-m frag", ANSWER_NO},
		{"! -p udp", ANSWER_YES},
		{"-p tcp -m tcp --dport 22", ANSWER_YES},
		{"-p tcp -m tcp --dport 20:25", ANSWER_YES},
		{"-p tcp -m tcp ! --dport 22", ANSWER_NO},
		{"-p tcp -m multiport --dports 1,21:23,80", ANSWER_YES},
		{"-p tcp -m multiport --dports 1,80", ANSWER_NO},
		{"-i lo", ANSWER_NO},
		{"! -i lo", ANSWER_YES},
		{"-i eth0", ANSWER_MAYBE}, /* not known */
		{"-i +", ANSWER_YES},
		{"-s 10.0.0.0/8", ANSWER_NO},
		{"! -s 10.0.0.0/8", ANSWER_YES},
		{"-s 0.0.0.0/0", ANSWER_YES},
		{"-d 192.0.2.0/24", ANSWER_YES},
		{"-d 192.0.2.2/32", ANSWER_NO},
		{"! -d 192.0.2.2/32", ANSWER_YES},
		{"-d 192.0.2.1/255.0.0.255", ANSWER_MAYBE},
		{"-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", ANSWER_YES},
		{"-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN", ANSWER_NO},
		{"-p tcp -m tcp --tcp-flags SYN,ACK SYN,ACK", ANSWER_NO},
		{"-m conntrack --ctstate NEW", ANSWER_YES},
		{"-m state --state RELATED,ESTABLISHED", ANSWER_NO},
		{"-m conntrack ! --ctstate INVALID", ANSWER_YES},
		{"-m set --match-set friends src", ANSWER_NO},
		{"-m set ! --match-set friends src", ANSWER_YES},
		{"-m addrtype --dst-type BROADCAST", ANSWER_NO},
		{"-m addrtype --dst-type LOCAL", ANSWER_YES},
		{"-m comment --comment \"a -p udp b\"", ANSWER_YES},
		{"-m limit --limit 3/min", ANSWER_YES},
		{"-m hashlimit --hashlimit-above 3/min --hashlimit-name x", ANSWER_NO},
		{"-m u32 --u32 0x0=0x1", ANSWER_MAYBE},
		{"-m nobody-knows-this", ANSWER_MAYBE},
		{"-p 6", ANSWER_YES},
		{"-p 47", ANSWER_NO},
		{"-o eth0", ANSWER_NO},
		{"-f", ANSWER_NO},
		{"! -f", ANSWER_YES},
		{"-s 0.0.0.0/1", ANSWER_MAYBE},
		{"-s 192.168.0.0/16", ANSWER_NO},
		{"-m iprange --src-range 1.0.0.0-223.255.255.255", ANSWER_YES},
		{"-m iprange --src-range 10.0.0.1-10.0.0.9", ANSWER_NO},
		{"-m iprange --dst-range 192.0.2.0-192.0.2.9", ANSWER_YES},
		{"-p tcp -m tcp --sport 1024:65535", ANSWER_YES},
		{"-p tcp -m tcp --sport 53", ANSWER_NO},
		{"-p tcp -m tcp --sport 1024:40000", ANSWER_MAYBE},
		{"-p tcp -m multiport --ports 22,80", ANSWER_YES},
		{"-p tcp -m multiport --ports 53", ANSWER_MAYBE},
		{"-m conntrack --ctstate NEW,UNTRACKED", ANSWER_YES},
		{"-m conntrack --ctstate DNAT", ANSWER_NO},
		{"-m conntrack --ctstatus ASSURED", ANSWER_NO},
		{"-p tcp -m conntrack --ctorigdstport 22 --ctdir ORIGINAL", ANSWER_YES},
		{"-p tcp -m conntrack --ctorigdstport 20:21", ANSWER_NO},
		{"-m conntrack --ctdir REPLY", ANSWER_NO},
		{"-m hashlimit --hashlimit-upto 3/min --hashlimit-mode srcip --hashlimit-name x",
		 ANSWER_YES},
		{"-m connlimit --connlimit-above 3 --connlimit-mask 32 --connlimit-saddr",
		 ANSWER_NO},
		{"-m connlimit --connlimit-upto 3 --connlimit-mask 32 --connlimit-saddr",
		 ANSWER_YES},
		{"-m recent --set --name x --mask 255.255.255.255 --rsource", ANSWER_YES},
		{"-m recent ! --set --name x", ANSWER_NO},
		{"-m recent --update --seconds 60 --hitcount 4 --name x", ANSWER_NO},
		{"-m recent ! --rcheck --seconds 60 --hitcount 4 --name x", ANSWER_YES},
		{"-m recent --rcheck --seconds 60 --name x", ANSWER_MAYBE},
		{"-m time --timestart 08:00:00 --timestop 18:00:00 --kerneltz", ANSWER_MAYBE},
		{"-m mark --mark 0x1", ANSWER_NO},
		{"-m mark ! --mark 0x1/0xff", ANSWER_YES},
		{"-m connmark --mark 0x0", ANSWER_YES},
		{"-m addrtype --src-type UNICAST", ANSWER_YES},
		{"-m addrtype ! --dst-type LOCAL", ANSWER_NO},
		{"-m pkttype --pkt-type multicast", ANSWER_NO},
		{"-m rpfilter", ANSWER_YES},
		{"-m rpfilter --validmark --invert", ANSWER_NO},
		{"-m policy --dir in --pol ipsec", ANSWER_NO},
		{"-m policy --dir in --pol none", ANSWER_YES},
		{"-p tcp -m tcpmss --mss 1:500", ANSWER_NO},
		{"-m helper --helper ftp", ANSWER_NO},
		{"-m quota --quota 1000", ANSWER_YES},
		{"-m set --match-set ports dst", ANSWER_YES},
		{"-m set --match-set nobodys dst", ANSWER_MAYBE},
		{"-m set --match-set pairs src,dst", ANSWER_YES},
		{"-m set --match-set world src", ANSWER_YES},
		{"-m set --match-set mine src", ANSWER_NO},
		{"-m set --match-set pairs dst,dst", ANSWER_YES},
		{"-m set --match-set ports src", ANSWER_NO},
		{"-m set --match-set wires src,src", ANSWER_MAYBE},
		{"-m set --match-set wires src,dst", ANSWER_NO},
		{"-m set --match-set cards src", ANSWER_MAYBE},
		{"-m set --match-set services src,dst", ANSWER_NO},
		{"-m set --match-set three src,dst,dst", ANSWER_YES},
		{"-m set --match-set three src,dst,src", ANSWER_NO},
		{"-p all", ANSWER_YES},
		{"-p 17", ANSWER_NO},
		{"-p ipv6-icmp", ANSWER_NO},
		{"-p icmpv6", ANSWER_NO},
		{"! -p 58", ANSWER_YES},
		{"-m ttl --ttl-gt 5", ANSWER_MAYBE},
		{"-m ttl --ttl-eq 255", ANSWER_MAYBE},
		{"-m pkttype --pkt-type unicast", ANSWER_YES},
		{"-m pkttype --pkt-type broadcast", ANSWER_NO},
		{"-m addrtype --src-type LOCAL", ANSWER_NO},
		{"-m addrtype --dst-type UNICAST", ANSWER_NO},
		{"-p tcp -m tcp --dport :22", ANSWER_YES},
		{"-p tcp -m tcp --dport 23:", ANSWER_NO},
		{"-p tcp -m multiport --dports ssh", ANSWER_MAYBE},
		{"-p tcp -m multiport --sports 53,1024:65535", ANSWER_YES},
		{"-m limit --limit 3/day --limit-burst 1", ANSWER_YES},
		{"-m comment --comment \"a \\\"-p udp\\\" b\"", ANSWER_YES},
		{"-p tcp  -m tcp  --dport 22 ", ANSWER_YES},
		{"-m mark --mark 0x0/0x0", ANSWER_YES},
		{"-m connmark --mark 0x1", ANSWER_NO},
		{"-m iprange ! --src-range 1.0.0.0-223.255.255.255", ANSWER_NO},
		{"-m iprange --src-range 10.0.0.1-x", ANSWER_MAYBE},
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
		if (admits(&ruleset, &packet) != cases[i].accepts)
			fail_msg("%s", cases[i].rule);
		ruleset_done(&ruleset);
	}
}

/* What is not there, or was cut, is nothing else than not understood. */
static void test_rules_that_are_cut(void **state)
{
	static const char rule[] =
		"-A INPUT -i eth+ ! -o br+ -s 10.0.0.0/8 -p tcp -m tcp --dport 1:2 --tcp-flags SYN "
		"SYN -m multiport --dports 1,2:3 -m set --match-set pairs src,dst -m hl --hl-lt 0 "
		"-m hl --hl-gt 63 -m conntrack --ctstate NEW --ctorigdst 192.0.2.1 -m mark --mark "
		"0x1/0x2 -m addrtype --dst-type LOCAL -m recent --rcheck --seconds 6 --hitcount 4 "
		"--name x -m hashlimit --hashlimit-upto 3/min --hashlimit-mode srcip "
		"--hashlimit-name x -m iprange --src-range 10.0.0.1-10.0.0.9 -j DNAT "
		"--to-destination 192.0.2.2:80-90";

	(void)state;
	for (size_t length = 1; length < sizeof rule; length++) {
		struct packet packet = syn(22);
		struct ruleset ruleset;
		char text[2 * sizeof rule + 128];

		snprintf(text, sizeof text,
			 "%.*s\n*no\n:INPUT DROP [0:0]\n*filter\n"
			 ":INPUT DROP [0:0]\n-A other -j ACCEPT\n-A\n%.*s",
			 (int)length, rule, (int)length, rule);
		ruleset = iptables(text);
		assert_int_equal(ruleset.n_tables, 1);
		assert_int_equal(ruleset.tables[0].n_chains, 1);
		assert_int_equal(ruleset.tables[0].chains[0].n_rules, length >= strlen("-A INPUT"));
		assert_int_equal(admits(&ruleset, &packet), ANSWER_NO);
		ruleset_done(&ruleset);
	}
}

/* What asks of IPv6 packets, of one from a neighbour to all of them. */
static void test_what_rules_ask_of_ipv6(void **state)
{
	static const struct {
		const char *rule;
		enum answer accepts;
	} cases[] = {
		{"-s ::/0", ANSWER_YES},
		{"-s 2001:db8::/32", ANSWER_NO},
		{"-s fe80::/10", ANSWER_YES},
		{"-d ff02::/16", ANSWER_YES},
		{"-d 2001:db8::1/128", ANSWER_NO},
		{"-s ::ffff:192.0.2.0/120", ANSWER_NO},
		{"! -s ::ffff:192.0.2.0/120", ANSWER_YES},
		{"-s ::ffff:192.0.2.0/95", ANSWER_MAYBE},
		{"-s ::ffff:192.0.2.0/129", ANSWER_MAYBE},
		{"-m set --match-set world6 src", ANSWER_YES},
		{"-p ipv6-icmp", ANSWER_YES},
		{"-p icmpv6 -m icmp6 --icmpv6-type 135", ANSWER_YES},
		{"-p ipv6-icmp -m icmp6 --icmpv6-type 134", ANSWER_NO},
		{"-p tcp", ANSWER_NO},
		{"-p tcp -m tcp --dport 22", ANSWER_NO},
		{"-p ipv6-icmp -m tcp --dport 0", ANSWER_NO},
		{"-p ipv6-icmp -m tcpmss --mss 0:9999", ANSWER_NO},
		{"-m hl --hl-eq 255", ANSWER_YES},
		{"-m hl --hl-lt 255", ANSWER_NO},
		{"-m hl --hl-gt 254", ANSWER_YES},
		{"-m hl --hl-lt 0", ANSWER_NO},
		{"-m pkttype --pkt-type multicast", ANSWER_YES},
		{"-m pkttype --pkt-type unicast", ANSWER_NO},
		{"-m addrtype --dst-type LOCAL", ANSWER_NO},
		{"-m addrtype --dst-type MULTICAST", ANSWER_YES},
	};
	struct address source, all;

	(void)state;
	assert_int_equal(address_parse("fe80::2", &source), 0);
	assert_int_equal(address_parse("ff02::1:ff00:1", &all), 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct packet packet = {.family = FAMILY_IPV6,
					.protocol = IPPROTO_ICMPV6,
					.icmp_type = 135,
					.state = PACKET_UNTRACKED,
					.source = &source,
					.target = &all};
		struct ruleset ruleset = {0};
		char text[512];

		snprintf(text, sizeof text, "*filter\n:INPUT DROP [0:0]\n-A INPUT %s -j ACCEPT\n",
			 cases[i].rule);
		assert_int_equal(
			ruleset_add_iptables(&ruleset, FAMILY_IPV6, "ip6tables", text, ipsets), 0);
		if (admits(&ruleset, &packet) != cases[i].accepts)
			fail_msg("%s: %d", cases[i].rule, admits(&ruleset, &packet));
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
	assert_non_null(ruleset_find_log(&ruleset, FAMILY_IPV4, PREFIX, false));
	assert_null(ruleset_find_log(&ruleset, FAMILY_IPV6, PREFIX, false));
	assert_null(ruleset_find_log(&ruleset, FAMILY_IPV4, "[k]", false));
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
			 "*filter\n:INPUT DROP [0:0]\n:log - [0:0]\n"
			 "-A INPUT -p tcp --dport 80 -j ACCEPT\n-A INPUT -j log\n"
			 "-A log -m hashlimit --hashlimit-above 30/min --hashlimit-burst 9 "
			 "--hashlimit-mode srcip --hashlimit-name x -j DROP\n"
			 "-A log -j LOG --log-prefix \"[k] \"\n");
	struct packet packet = syn(1);
	struct walk result = walk(&ruleset, &packet);

	(void)state;
	assert_true(result.logged && !result.maybe_logged);
	assert_int_equal(result.verdict, VERDICT_DROP);
	assert_true(result.limits.by_source.is_there);
	assert_int_equal(result.limits.by_source.burst, 9);
	packet.port = 2;
	result = walk(&ruleset, &packet);
	assert_int_equal(result.verdict, VERDICT_ACCEPT);
	assert_true(result.moved && !result.is_away && !result.logged);
	ruleset_done(&ruleset);
}

/* To the port where it was going: the kernel finds nothing to change, and no later rule does. */
static void test_what_is_sent_on_to_itself(void **state)
{
	struct ruleset ruleset =
		iptables("*nat\n:PREROUTING ACCEPT [0:0]\n"
			 "-A PREROUTING -p tcp --dport 1 -j REDIRECT --to-ports 1\n"
			 "-A PREROUTING -p tcp --dport 2 -j REDIRECT --to-ports 1\n"
			 "-A PREROUTING -p tcp --dport 3 -j DNAT --to-destination 192.0.2.1\n"
			 "-A PREROUTING -p tcp --dport 4 -j DNAT --to-destination 192.0.2.1:4\n"
			 "-A PREROUTING -p tcp --dport 5 -j REDIRECT\n"
			 "-A PREROUTING -p tcp --dport 6 -j DNAT --to-destination 192.0.2.2\n"
			 "-A PREROUTING -p tcp --dport 1 -j REDIRECT --to-ports 2\n"
			 "*filter\n:INPUT DROP [0:0]\n"
			 "-A INPUT -m conntrack --ctstatus DNAT -j ACCEPT\n");
	static const enum verdict expected[] = {VERDICT_DROP, VERDICT_ACCEPT, VERDICT_DROP,
						VERDICT_DROP, VERDICT_DROP,   VERDICT_ACCEPT};
	struct address own[2];
	struct surroundings around = {own, 2, NULL, 0};

	(void)state;
	assert_int_equal(address_parse("192.0.2.1", &own[0]), 0);
	assert_int_equal(address_parse("192.0.2.2", &own[1]), 0);
	for (uint16_t port = 1; port <= 6; port++) {
		struct packet packet = syn(port);

		packet.target = &own[0];
		packet.around = &around;
		assert_int_equal(walk(&ruleset, &packet).verdict, expected[port - 1]);
	}
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
#define RAW(base, offset, length)                                                                  \
	"{\"payload\":{\"base\":\"" base "\",\"offset\":" offset ",\"len\":" length "}}"
#define MATCH(left, op, right)                                                                     \
	"{\"match\":{\"op\":\"" op "\",\"left\":" left ",\"right\":" right "}},"
#define ACCEPT "{\"accept\":null}"
#define KEY    "{\"concat\":[{\"meta\":{\"key\":\"l4proto\"}}," PAYLOAD("th", "dport") "]}"

static void test_what_rules_of_nft_ask(void **state)
{
	static const struct {
		const char *expressions;
		enum answer accepts;
	} cases[] = {
		{ACCEPT, ANSWER_YES},
		{"{\"drop\":null}", ANSWER_NO},
		{MATCH(PAYLOAD("tcp", "dport"), "==", "22") ACCEPT, ANSWER_YES},
		{MATCH(PAYLOAD("udp", "dport"), "==", "22") ACCEPT, ANSWER_NO},
		{MATCH(PAYLOAD("tcp", "dport"), "!=", "22") ACCEPT, ANSWER_NO},
		{MATCH(PAYLOAD("th", "dport"), "==", "{\"set\":[1,{\"range\":[20,30]}]}") ACCEPT,
		 ANSWER_YES},
		{MATCH(PAYLOAD("tcp", "dport"), ">", "20") ACCEPT, ANSWER_YES},
		{MATCH(PAYLOAD("tcp", "dport"), "==", "\"@ports\"") ACCEPT, ANSWER_MAYBE},
		{MATCH("{\"meta\":{\"key\":\"l4proto\"}}", "==", "{\"set\":[\"tcp\",\"udp\"]}")
			 ACCEPT,
		 ANSWER_YES},
		{MATCH("{\"meta\":{\"key\":\"l4proto\"}}", "==", "\"icmp\"") ACCEPT, ANSWER_NO},
		{MATCH("{\"meta\":{\"key\":\"iif\"}}", "==", "\"lo\"") ACCEPT, ANSWER_NO},
		{MATCH("{\"meta\":{\"key\":\"nfproto\"}}", "==", "\"ipv6\"") ACCEPT, ANSWER_NO},
		{MATCH("{\"exthdr\":{\"name\":\"rt\",\"field\":\"type\"}}", "==", "0") ACCEPT,
		 ANSWER_NO},
		{MATCH("{\"ct\":{\"key\":\"state\"}}", "in", "[\"new\",\"invalid\"]") ACCEPT,
		 ANSWER_YES},
		{MATCH("{\"ct\":{\"key\":\"state\"}}", "in", "\"established\"") ACCEPT, ANSWER_NO},
		{MATCH("{\"ct\":{\"key\":\"status\"}}", "in", "\"dnat\"") ACCEPT, ANSWER_NO},
		{MATCH("{\"&\":[" PAYLOAD("tcp", "flags") ",[\"syn\",\"ack\"]]}", "==", "\"syn\"")
			 ACCEPT,
		 ANSWER_YES},
		{MATCH("{\"&\":[" PAYLOAD("tcp", "flags") ",{\"|\":[\"syn\",\"ack\"]}]}",
		       "==", "{\"|\":[\"syn\",\"ack\"]}") ACCEPT,
		 ANSWER_NO},
		{MATCH(PAYLOAD("tcp", "flags"), "in", "[\"syn\",\"fin\"]") ACCEPT, ANSWER_YES},
		{MATCH(PAYLOAD("tcp", "flags"), "==", "\"ack\"") ACCEPT, ANSWER_NO},
		{MATCH(PAYLOAD("ip", "saddr"), "==", "\"10.0.0.1\"") ACCEPT, ANSWER_NO},
		{MATCH(PAYLOAD("ip", "saddr"), "!=", "\"10.0.0.1\"") ACCEPT, ANSWER_YES},
		{MATCH(PAYLOAD("ip6", "saddr"), "!=", "\"::1\"") ACCEPT, ANSWER_NO},
		{MATCH(PAYLOAD("ip", "saddr"), "==", "\"@s\"") ACCEPT, ANSWER_NO},
		{"{\"limit\":{\"rate\":3,\"per\":\"minute\"}}," ACCEPT, ANSWER_YES},
		{"{\"counter\":{\"packets\":1}}," ACCEPT, ANSWER_YES},
		{"{\"vmap\":{\"key\":" PAYLOAD("tcp",
					       "dport") ",\"data\":{\"set\":[[22,{\"accept\":null}]"
							",[23,{\"drop\":null}]]}}}",
		 ANSWER_YES},
		{"{\"vmap\":{\"key\":" PAYLOAD("tcp", "dport") ",\"data\":\"@map\"}}",
		 ANSWER_MAYBE},
		{"{\"xt\":null}," ACCEPT, ANSWER_MAYBE},
		{"{\"queue\":{\"num\":1}}", ANSWER_MAYBE},
		{MATCH(PAYLOAD("tcp", "dport"), "<", "22") ACCEPT, ANSWER_NO},
		{MATCH(PAYLOAD("tcp", "dport"), "<=", "22") ACCEPT, ANSWER_YES},
		{MATCH(PAYLOAD("tcp", "sport"), "==", "53") ACCEPT, ANSWER_NO},
		{MATCH(PAYLOAD("ip", "saddr"),
		       "==", "{\"prefix\":{\"addr\":\"0.0.0.0\",\"len\":0}}") ACCEPT,
		 ANSWER_YES},
		{MATCH(PAYLOAD("ip", "saddr"),
		       "==", "{\"prefix\":{\"addr\":\"128.0.0.0\",\"len\":1}}") ACCEPT,
		 ANSWER_MAYBE},
		{MATCH(PAYLOAD("ip", "protocol"), "==", "\"tcp\"") ACCEPT, ANSWER_YES},
		{MATCH(PAYLOAD("ether", "saddr"), "==", "\"00:00:5e:00:53:01\"") ACCEPT,
		 ANSWER_MAYBE},
		{MATCH("{\"meta\":{\"key\":\"protocol\"}}", "==", "\"ip\"") ACCEPT, ANSWER_YES},
		{MATCH("{\"meta\":{\"key\":\"protocol\"}}", "==", "{\"set\":[\"ip6\",\"arp\"]}")
			 ACCEPT,
		 ANSWER_NO},
		{MATCH("{\"meta\":{\"key\":\"nfproto\"}}", "==", "{\"set\":[\"ipv4\",\"ipv6\"]}")
			 ACCEPT,
		 ANSWER_YES},
		{MATCH("{\"meta\":{\"key\":\"mark\"}}", "==", "1") ACCEPT, ANSWER_NO},
		{"{\"mangle\":{\"key\":{\"meta\":{\"key\":\"mark\"}},\"value\":{\"|\":[{\"meta\":"
		 "{\"key\":\"mark\"}},4]}}},{\"drop\":null}",
		 ANSWER_NO},
		{MATCH("{\"meta\":{\"key\":\"hour\"}}", "==", "{\"range\":[\"08:00\",\"18:00\"]}")
			 ACCEPT,
		 ANSWER_MAYBE},
		{MATCH("{\"meta\":{\"key\":\"ipsec\"}}", "==", "true") ACCEPT, ANSWER_NO},
		{MATCH("{\"meta\":{\"key\":\"priority\"}}", "==", "1") ACCEPT, ANSWER_MAYBE},
		{MATCH("{\"fib\":{\"result\":\"oif\",\"flags\":[\"saddr\",\"iif\"]}}",
		       "==", "false") ACCEPT,
		 ANSWER_NO},
		{MATCH("{\"fib\":{\"result\":\"type\",\"flags\":[\"daddr\"]}}",
		       "==", "{\"set\":[\"broadcast\",\"local\"]}") ACCEPT,
		 ANSWER_YES},
		{MATCH("{\"ct\":{\"key\":\"proto-dst\",\"dir\":\"original\"}}", "==", "22") ACCEPT,
		 ANSWER_YES},
		{MATCH("{\"ct\":{\"key\":\"direction\"}}", "==", "\"original\"") ACCEPT,
		 ANSWER_YES},
		{MATCH("{\"ct\":{\"key\":\"state\"}}", "==", "{\"set\":[\"new\",\"untracked\"]}")
			 ACCEPT,
		 ANSWER_YES},
		{MATCH("{\"&\":[" PAYLOAD("ip", "frag-off") ",8191]}", "!=", "0") ACCEPT,
		 ANSWER_NO},
		{MATCH(KEY, "==", "{\"set\":[{\"concat\":[\"tcp\",22]},{\"concat\":[\"udp\",53]}]}")
			 ACCEPT,
		 ANSWER_YES},
		{MATCH(KEY, "==", "{\"set\":[{\"concat\":[\"udp\",22]},{\"concat\":[\"tcp\",53]}]}")
			 ACCEPT,
		 ANSWER_NO},
		{"{\"ct count\":{\"val\":2,\"inv\":true}}," ACCEPT, ANSWER_NO},
		{"{\"ct count\":{\"val\":2}}," ACCEPT, ANSWER_YES},
		{"{\"quota\":{\"val\":2,\"val_unit\":\"mbytes\"}}," ACCEPT, ANSWER_YES},
		{"{\"limit\":{\"rate\":3,\"per\":\"minute\",\"inv\":true}}," ACCEPT, ANSWER_NO},
		{"{\"vmap\":{\"key\":" PAYLOAD(
			 "tcp", "dport") ",\"data\":{\"set\":[[{\"range\":[1,9]},{\"drop\":null}],"
					 "[\"*\",{\"accept\":null}]]}}}",
		 ANSWER_YES},
		{"{\"vmap\":{\"key\":" PAYLOAD(
			 "tcp", "dport") ",\"data\":{\"set\":[[{\"range\":[1,99]},{\"drop\":null}],"
					 "[\"*\",{\"accept\":null}]]}}}",
		 ANSWER_NO},
		{MATCH(PAYLOAD("tcp", "dport"), "==", "{\"range\":[\"x\",30]}") ACCEPT,
		 ANSWER_MAYBE},
		{MATCH(PAYLOAD("tcp", "dport"), "==", "\"0x16 [invalid type]\"") ACCEPT,
		 ANSWER_YES},
		{MATCH(PAYLOAD("tcp", "dport"), "==", "[22,23]") ACCEPT, ANSWER_YES},
		{MATCH(PAYLOAD("tcp", "dport"), "<", "\"x\"") ACCEPT, ANSWER_MAYBE},
		{MATCH(PAYLOAD("tcp", "dport"), "<", "0") ACCEPT, ANSWER_NO},
		{MATCH(PAYLOAD("tcp", "dport"), "<=", "0") ACCEPT, ANSWER_NO},
		{MATCH(PAYLOAD("tcp", "dport"), ">", "4294967295") ACCEPT, ANSWER_NO},
		{MATCH(PAYLOAD("tcp", "dport"), ">=", "22") ACCEPT, ANSWER_YES},
		{MATCH(PAYLOAD("ip", "saddr"),
		       "==", "{\"range\":[\"1.0.0.0\",\"223.255.255.255\"]}") ACCEPT,
		 ANSWER_YES},
		{MATCH(PAYLOAD("ip", "saddr"), "==", "{\"range\":[\"10.0.0.1\",\"10.0.0.9\"]}")
			 ACCEPT,
		 ANSWER_NO},
		{MATCH(PAYLOAD("ip", "saddr"), "==", "\"x\"") ACCEPT, ANSWER_MAYBE},
		{MATCH("{\"meta\":{\"key\":\"iifname\"}}", "==", "\"\"") ACCEPT, ANSWER_MAYBE},
		{MATCH("{\"meta\":{\"key\":\"iifname\"}}", "==", "\"*\"") ACCEPT, ANSWER_YES},
		{MATCH("{\"meta\":{\"key\":\"l4proto\"}}", "==", "6") ACCEPT, ANSWER_YES},
		{MATCH("{\"meta\":{\"key\":\"l4proto\"}}",
		       "==", "{\"set\":[17,\"udp\",\"icmpv6\",\"ipv6-icmp\"]}") ACCEPT,
		 ANSWER_NO},
		{MATCH(PAYLOAD("tcp", "flags"), "==", "2") ACCEPT, ANSWER_YES},
		{MATCH("{\"&\":[" PAYLOAD("tcp", "flags") ",18]}", "==", "18") ACCEPT, ANSWER_NO},
		{MATCH("{\"&\":[" PAYLOAD("tcp", "flags") ",18,1]}", "==", "18") ACCEPT,
		 ANSWER_MAYBE},
		{MATCH("{\"&\":[" PAYLOAD("ip", "saddr") ",\"255.0.0.0\"]}", "==", "\"10.0.0.0\"")
			 ACCEPT,
		 ANSWER_MAYBE},
		{MATCH("{\"&\":[{\"meta\":{\"key\":\"mark\"}},1]}", "==", "0") ACCEPT, ANSWER_YES},
		{MATCH("{\"&\":[{\"ct\":{\"key\":\"mark\"}},1]}", "==", "1") ACCEPT, ANSWER_NO},
		{MATCH("{\"fib\":{\"result\":\"type\",\"flags\":[\"daddr\"]}}", "==", "\"unicast\"")
			 ACCEPT,
		 ANSWER_NO},
		{MATCH("{\"fib\":{\"result\":\"type\",\"flags\":[\"saddr\"]}}", "==", "\"unicast\"")
			 ACCEPT,
		 ANSWER_YES},
		{MATCH("{\"fib\":{\"result\":\"type\",\"flags\":[\"saddr\"]}}", "==", "\"local\"")
			 ACCEPT,
		 ANSWER_NO},
		{MATCH("{\"fib\":{\"result\":\"oif\",\"flags\":[\"saddr\",\"iif\"]}}",
		       "==", "\"0\"") ACCEPT,
		 ANSWER_NO},
		{MATCH("{\"fib\":{\"result\":\"oif\",\"flags\":[\"daddr\"]}}", "==", "\"eth0\"")
			 ACCEPT,
		 ANSWER_MAYBE},
		{MATCH("{\"meta\":{\"key\":\"pkttype\"}}", "==", "{\"set\":[\"unicast\"]}") ACCEPT,
		 ANSWER_YES},
		{MATCH("{\"meta\":{\"key\":\"pkttype\"}}", "==", "\"host\"") ACCEPT, ANSWER_YES},
		{MATCH("{\"meta\":{\"key\":\"pkttype\"}}",
		       "==", "{\"set\":[\"multicast\",\"broadcast\"]}") ACCEPT,
		 ANSWER_NO},
		{MATCH("{\"ct\":{\"key\":\"direction\"}}", "==", "\"reply\"") ACCEPT, ANSWER_NO},
		{MATCH("{\"ct\":{\"key\":\"proto-dst\",\"dir\":\"reply\"}}", "==", "22") ACCEPT,
		 ANSWER_MAYBE},
		{MATCH(PAYLOAD("icmpv6", "type"), "==", "\"nd-neighbor-solicit\"") ACCEPT,
		 ANSWER_NO},
		{MATCH(RAW("nh", "96", "32"), "==", "\"10.0.0.1\"") ACCEPT, ANSWER_NO},
		{MATCH(RAW("nh", "96", "32"), "!=", "\"10.0.0.1\"") ACCEPT, ANSWER_YES},
		{MATCH(RAW("nh", "96", "16"), "!=", "10") ACCEPT, ANSWER_MAYBE},
		{MATCH(RAW("nh", "64", "128"), "!=", "\"::1\"") ACCEPT, ANSWER_NO},
		{MATCH(RAW("th", "16", "16"), "==", "22") ACCEPT, ANSWER_YES},
		{MATCH(RAW("th", "0", "16"), "==", "53") ACCEPT, ANSWER_NO},
		{MATCH(RAW("ll", "0", "48"), "==", "1") ACCEPT, ANSWER_MAYBE},
		{MATCH("{\"tcp option\":{\"name\":\"maxseg\",\"field\":\"size\"}}", "<", "500")
			 ACCEPT,
		 ANSWER_NO},
		{MATCH("{\"tcp option\":{\"name\":\"sack-perm\",\"field\":\"kind\"}}", "==", "4")
			 ACCEPT,
		 ANSWER_MAYBE},
		{MATCH("{\"concat\":[1,2,3,4,5,6,7,8,9]}", "==", "1") ACCEPT, ANSWER_MAYBE},
		{MATCH(KEY, "==", "{\"set\":[{\"concat\":[\"tcp\"]}]}") ACCEPT, ANSWER_MAYBE},
		{MATCH(KEY, "==",
		       "{\"set\":[{\"elem\":{\"val\":{\"concat\":[\"tcp\",22]},\"timeout\":9}}]}")
			 ACCEPT,
		 ANSWER_YES},
		{"{\"reject\":null}", ANSWER_NO},
		{"{\"reject\":{\"type\":\"tcp reset\"}}", ANSWER_NO},
		{"\"notrack\"", ANSWER_NO},
		{"{\"vmap\":{\"key\":" PAYLOAD("tcp", "dport") ",\"data\":{\"set\":[[22]]}}}",
		 ANSWER_NO},
		{MATCH(PAYLOAD("ip", "saddr"), "==", "\"10.0.0.1\"") "{\"vmap\":{\"key\":" PAYLOAD(
			 "tcp", "dport") ",\"data\":{\"set\":[[22,{\"accept\":null}]]}}}",
		 ANSWER_NO},
		{"{\"vmap\":{\"key\":" PAYLOAD(
			 "tcp",
			 "dport") ",\"data\":{\"set\":"
				  "[[{\"elem\":{\"val\":22,\"comment\":\"x\"}},{\"accept\":null}]]}}}",
		 ANSWER_YES},
		{"{\"set\":{\"op\":\"add\",\"elem\":" PAYLOAD(
			 "ip",
			 "saddr") ",\"set\":\"@l\",\"stmt\":"
				  "[{\"ct count\":{\"val\":3}},{\"quota\":{\"val\":9}}]}}," ACCEPT,
		 ANSWER_YES},
		{"{\"set\":{\"op\":\"add\",\"elem\":" PAYLOAD(
			 "ip", "saddr") ",\"set\":\"@l\",\"stmt\":"
					"[{\"ct count\":{\"val\":3,\"inv\":true}}]}}," ACCEPT,
		 ANSWER_NO},
		{"{\"set\":{\"op\":\"add\",\"elem\":" PAYLOAD("ip6",
							      "saddr") ",\"set\":\"@l\"}}," ACCEPT,
		 ANSWER_NO},
		{"{\"set\":{\"op\":\"add\",\"elem\":" PAYLOAD(
			 "tcp", "dport") ",\"set\":\"@l\",\"stmt\":"
					 "[{\"limit\":{\"rate\":1,\"per\":\"day\"}}]}}," ACCEPT,
		 ANSWER_YES},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[2048];
		struct packet packet = syn(22);
		struct ruleset ruleset = {0};

		snprintf(text, sizeof text, NFT_HEAD "%s" NFT_TAIL, cases[i].expressions);
		assert_int_equal(ruleset_add_nft(&ruleset, text, nothing), 0);
		assert_int_equal(ruleset.tables[0].chains[0].hook, HOOK_INPUT);
		if (admits(&ruleset, &packet) != cases[i].accepts)
			fail_msg("%s", cases[i].expressions);
		ruleset_done(&ruleset);
	}
}

/* What a statement at prerouting makes of a packet to port 22: it is let in at port 80, or with a
 * mark. */
static void test_what_nft_changes(void **state)
{
	static const char text_form[] =
		"{\"nftables\":[{\"table\":{\"family\":\"inet\",\"name\":\"t\"}},"
		"{\"table\":{\"family\":\"bridge\",\"name\":\"b\"}},"
		"{\"chain\":{\"family\":\"bridge\",\"table\":\"b\",\"name\":\"i\"}},"
		"{\"map\":{\"family\":\"inet\",\"table\":\"t\",\"name\":\"m\","
		"\"elem\":[[22,\"192.0.2.1\"]]}},"
		"{\"chain\":{\"family\":\"inet\",\"table\":\"t\",\"name\":\"p\",\"type\":\"%s\","
		"\"hook\":\"prerouting\",\"prio\":-100,\"policy\":\"accept\"}},"
		"{\"chain\":{\"family\":\"inet\",\"table\":\"t\",\"name\":\"i\",\"type\":\"filter\","
		"\"hook\":\"input\",\"prio\":0,\"policy\":\"drop\"}},"
		"{\"rule\":{\"family\":\"inet\",\"table\":\"t\",\"chain\":\"none\",\"expr\":[" ACCEPT
		"]}},"
		"{\"rule\":{\"family\":\"inet\",\"table\":\"t\",\"chain\":\"i\",\"expr\":1}},"
		"{\"rule\":{\"family\":\"inet\",\"table\":\"t\",\"chain\":\"p\",\"expr\":[%s]}},"
		"{\"rule\":{\"family\":\"inet\",\"table\":\"t\",\"chain\":\"i\",\"expr\":[%s" ACCEPT
		"]}}]}";
#define PORT_80	      MATCH(PAYLOAD("tcp", "dport"), "==", "80")
#define MARK(number)  MATCH("{\"meta\":{\"key\":\"mark\"}}", "==", number)
#define MANGLE(value) "{\"mangle\":{\"key\":{\"meta\":{\"key\":\"mark\"}},\"value\":" value "}}"
#define OR4(value)    "{\"|\":[" value ",4]}"
	static const struct {
		const char *type, *statement, *asks;
		enum answer accepts;
	} cases[] = {
		{"nat", "{\"redirect\":{\"port\":80}}", PORT_80, ANSWER_YES},
		{"nat", "{\"redirect\":{\"port\":{\"range\":[80,90]}}}", PORT_80, ANSWER_MAYBE},
		{"nat", "{\"redirect\":{\"port\":\"x\"}}", PORT_80, ANSWER_MAYBE},
		{"nat", "{\"redirect\":null}", PORT_80, ANSWER_NO},
		{"nat", "{\"dnat\":{\"addr\":\"192.0.2.1\",\"port\":80}}", PORT_80, ANSWER_YES},
		{"nat", "{\"dnat\":{\"addr\":{\"concat\":[\"192.0.2.1\",80]}}}", PORT_80,
		 ANSWER_YES},
		{"nat", "{\"dnat\":{\"addr\":\"192.0.2.9\",\"port\":80}}", PORT_80, ANSWER_YES},
		{"nat",
		 "{\"dnat\":{\"addr\":{\"map\":{\"key\":" PAYLOAD(
			 "tcp",
			 "dport") ",\"data\":{"
				  "\"set\":[[22,{\"concat\":[\"192.0.2.1\",80]}],[23,\"192.0.2.9\"]]}}}}}",
		 PORT_80, ANSWER_YES},
		{"nat",
		 "{\"dnat\":{\"addr\":{\"map\":{\"key\":" PAYLOAD("tcp",
								  "dport") ",\"data\":"
									   "\"@m\"}},\"port\":80}}",
		 MATCH("{\"ct\":{\"key\":\"status\"}}", "in", "\"dnat\"") PORT_80, ANSWER_YES},
		{"filter", MANGLE("5"), MARK("5"), ANSWER_YES},
		{"filter", MANGLE(OR4("{\"meta\":{\"key\":\"mark\"}}")), MARK("4"), ANSWER_YES},
		{"filter", MANGLE("{\"^\":[" OR4("3") ",1]}"), MARK("6"), ANSWER_YES},
		{"filter", MANGLE("{\"&\":[" OR4("3") ",5]}"), MARK("5"), ANSWER_YES},
		{"filter", MANGLE("{\"&\":[" OR4("3") ",5]}"), MARK("7"), ANSWER_NO},
		{"filter", MANGLE("{\"ct\":{\"key\":\"mark\"}}"), MARK("0"), ANSWER_YES},
		{"filter", MANGLE(OR4("\"x\"")), MARK("4"), ANSWER_MAYBE},
		{"filter", MANGLE("{\"|\":[1,\"x\"]}"), MARK("1"), ANSWER_MAYBE},
		{"filter", MANGLE("{\"|\":[1,2,3]}"), MARK("3"), ANSWER_MAYBE},
		{"filter", MANGLE("{\"numgen\":{\"mod\":2}}"), MARK("1"), ANSWER_MAYBE},
		{"filter", MANGLE(OR4(OR4(OR4(OR4(OR4(OR4(OR4(OR4("1"))))))))), MARK("5"),
		 ANSWER_YES},
		{"filter", MANGLE(OR4(OR4(OR4(OR4(OR4(OR4(OR4(OR4(OR4("1")))))))))), MARK("5"),
		 ANSWER_MAYBE},
		{"filter", "{\"mangle\":{\"key\":{\"ct\":{\"key\":\"mark\"}},\"value\":7}}",
		 MATCH("{\"ct\":{\"key\":\"mark\"}}", "==", "7"), ANSWER_YES},
		{"filter", "{\"mangle\":{\"key\":{\"meta\":{\"key\":\"priority\"}},\"value\":7}}",
		 MARK("0"), ANSWER_YES},
	};
	struct address own;
	struct surroundings around = {&own, 1, NULL, 0};

	(void)state;
	assert_int_equal(address_parse("192.0.2.1", &own), 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[4096];
		struct packet packet = syn(22);
		struct ruleset ruleset = {0};

		packet.target = &own;
		packet.around = &around;
		snprintf(text, sizeof text, text_form, cases[i].type, cases[i].statement,
			 cases[i].asks);
		assert_int_equal(ruleset_add_nft(&ruleset, text, nothing), 0);
		assert_int_equal(ruleset.n_tables, 1);
		if (admits(&ruleset, &packet) != cases[i].accepts)
			fail_msg("%s: %d", cases[i].statement, admits(&ruleset, &packet));
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

/* What goes to the kernel's log is not there for whoever looks at NFLOG, nor the other way. */
static void test_who_logs_by_nflog(void **state)
{
	static const char *const rules[] = {
		"*filter\n:INPUT DROP [0:0]\n-A INPUT -j NFLOG --nflog-prefix \"" PREFIX
		"\" --nflog-group 5 --nflog-size 256\n",
		"*filter\n:INPUT DROP [0:0]\n-A INPUT -j LOG --log-prefix \"" PREFIX "\"\n",
		"*filter\n:INPUT DROP [0:0]\n-A INPUT -j NFLOG --nflog-group 5\n",
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct ruleset ruleset = {0};
		struct packet packet = syn(22);
		bool is_nft = i == 3;

		if (is_nft)
			assert_int_equal(
				ruleset_add_nft(&ruleset,
						NFT_HEAD
						"{\"log\":{\"prefix\":\"" PREFIX
						"\",\"group\":5,\"snaplen\":256}}" NFT_TAIL,
						nothing),
				0);
		else
			ruleset = iptables(rules[i]);
		assert_true(!walk(&ruleset, &packet).logged == (i != 1));
		packet.by_nflog = true;
		assert_true(!walk(&ruleset, &packet).logged == (i == 1 || i == 2));
		if (i == 0 || is_nft)
			assert_int_equal(walk(&ruleset, &packet).logged->nflog_group, 5);
		assert_int_equal(walk(&ruleset, &packet).verdict, VERDICT_DROP);
		assert_true(!ruleset_find_log(&ruleset, FAMILY_IPV4, PREFIX, true) ==
			    (i == 1 || i == 2));
		ruleset_done(&ruleset);
	}
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

/* What is sent elsewhere is judged where it arrives: by which interface it leaves there is a route
 * for, or a rule that tells. */
static void test_packets_that_are_sent_elsewhere(void **state)
{
	struct ruleset ruleset = iptables(
		"*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n"
		"-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"
		"-A DOCKER ! -i docker0 -p tcp --dport 1 -j DNAT --to-destination 10.0.0.2:80\n"
		"-A DOCKER -p tcp --dport 2 -j DNAT --to-destination 10.0.1.2\n"
		"-A DOCKER -p tcp --dport 3 -m u32 --u32 0=1 -j DNAT --to-destination 10.0.0.2\n"
		"-A DOCKER -p tcp --dport 4 -j DNAT --to-destination 192.0.2.1:22\n"
		"*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n"
		"-A INPUT -p tcp --dport 22 -j ACCEPT\n"
		"-A FORWARD -m conntrack --ctorigdstport 3 -j ACCEPT\n"
		"-A FORWARD -d 10.0.0.2/32 -o docker0 -p tcp --dport 80 -j ACCEPT\n"
		"-A FORWARD -o br0 -m conntrack --ctstate DNAT -j ACCEPT\n");
	static const enum answer expected[] = {ANSWER_NO,    ANSWER_YES, ANSWER_MAYBE,
					       ANSWER_MAYBE, ANSWER_YES, ANSWER_NO};
	struct address own;
	struct route route = {.interface = "br0"};
	struct surroundings around = {&own, 1, &route, 1};

	(void)state;
	assert_int_equal(address_parse("192.0.2.1", &own), 0);
	assert_int_equal(network_parse("10.0.1.0/24", &route.network), 0);
	for (uint16_t port = 0; port < 6; port++) {
		struct packet packet = syn(port);

		packet.target = &own;
		packet.interface = "eth0";
		assert_int_equal(admits(&ruleset, &packet), expected[port]);
		packet.around = &around;
		assert_int_equal(admits(&ruleset, &packet),
				 port == 2 ? ANSWER_YES : expected[port]);
	}
	ruleset_done(&ruleset);
}

/* What is for another machine anyway goes by FORWARD, as nothing that was sent on from here. */
static void test_packets_that_pass(void **state)
{
	struct ruleset ruleset =
		iptables("*nat\n:PREROUTING ACCEPT [0:0]\n"
			 "-A PREROUTING -p tcp --dport 4 -j DNAT --to-destination 192.0.2.1:22\n"
			 "-A PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport 2 -j REDIRECT\n"
			 "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n"
			 "-A INPUT -p tcp --dport 22 -j ACCEPT\n"
			 "-A INPUT -p tcp --dport 1 -j ACCEPT\n"
			 "-A FORWARD -d 203.0.113.5/32 -o br0 -p tcp --dport 2 -j ACCEPT\n"
			 "-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT\n");
	static const enum answer expected[] = {ANSWER_NO, ANSWER_NO, ANSWER_YES, ANSWER_NO,
					       ANSWER_YES};
	struct address own, other;
	struct route route = {.interface = "br0"};
	struct surroundings around = {&own, 1, &route, 1};

	(void)state;
	assert_int_equal(address_parse("192.0.2.1", &own), 0);
	assert_int_equal(address_parse("203.0.113.5", &other), 0);
	assert_int_equal(network_parse("203.0.113.0/24", &route.network), 0);
	for (uint16_t port = 0; port < 5; port++) {
		struct packet packet = syn(port);

		packet.target = &other;
		packet.passes = true;
		packet.interface = "eth0";
		packet.around = &around;
		assert_int_equal(admits(&ruleset, &packet), expected[port]);
	}
	ruleset_done(&ruleset);
}

/* Of a set that rules put sources into, anybody may be. */
static void test_lists_of_those_who_have_come(void **state)
{
	struct ruleset ruleset =
		iptables("*filter\n:INPUT DROP [0:0]\n"
			 "-A INPUT -p tcp --dport 7000 -j SET --add-set mine src\n"
			 "-A INPUT -p tcp --dport 22 -m set --match-set mine src -j ACCEPT\n"
			 "-A INPUT -m set --match-set mine src -j DROP\n"
			 "-A INPUT -p tcp --dport 23 -j ACCEPT\n");
	struct packet packet = syn(22);

	(void)state;
	assert_int_equal(admits(&ruleset, &packet), ANSWER_MAYBE);
	packet.port = 23;
	assert_int_equal(admits(&ruleset, &packet), ANSWER_YES);
	ruleset_done(&ruleset);
}

/* The usual stranger, and whoever it is. */
static void test_what_may_be_of_anybody(void **state)
{
	static const struct {
		const char *rule;
		enum answer usual, anybody;
	} cases[] = {
		{"-p tcp --sport 53", ANSWER_NO, ANSWER_MAYBE},
		{"-p tcp --sport 0:65535", ANSWER_YES, ANSWER_YES},
		{"-m limit --limit 3/min", ANSWER_YES, ANSWER_MAYBE},
		{"-m connlimit --connlimit-above 3", ANSWER_NO, ANSWER_MAYBE},
		{"-s 10.0.0.0/8", ANSWER_NO, ANSWER_NO},
		{"-d 192.0.2.9/32", ANSWER_NO, ANSWER_NO},
		{"-m set --match-set halves src", ANSWER_YES, ANSWER_YES},
		{"-m set --match-set half src", ANSWER_MAYBE, ANSWER_MAYBE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct packet packet = syn(22);
		struct address target;
		struct ruleset ruleset;
		char text[256];

		assert_int_equal(address_parse("192.0.2.1", &target), 0);
		packet.target = &target;
		snprintf(text, sizeof text, "*filter\n:INPUT DROP [0:0]\n-A INPUT %s -j ACCEPT\n",
			 cases[i].rule);
		ruleset = iptables(text);
		if (admits(&ruleset, &packet) != cases[i].usual)
			fail_msg("%s", cases[i].rule);
		packet.is_anybodys = true;
		if (admits(&ruleset, &packet) != cases[i].anybody)
			fail_msg("anybody: %s", cases[i].rule);
		ruleset_done(&ruleset);
	}
}

/* Marks are followed, and what is not tracked is in no state that others are in. */
static void test_marks_and_states_on_the_way(void **state)
{
	struct ruleset ruleset = iptables(
		"*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 4 -j CT --notrack\n"
		"*mangle\n:PREROUTING ACCEPT [0:0]\n"
		"-A PREROUTING -p tcp --dport 1 -j MARK --set-xmark 0x3/0xffffffff\n"
		"-A PREROUTING -p tcp --dport 1 -j MARK --set-xmark 0x0/0x1\n"
		"-A PREROUTING -p tcp --dport 2 -m u32 --u32 0=1 -j MARK --set-xmark 0x2/0xff\n"
		"-A PREROUTING -p tcp --dport 3 -j CONNMARK --set-xmark 0x2/0xffffffff\n"
		"-A PREROUTING -p tcp --dport 3 -j CONNMARK --restore-mark --nfmask 0xffffffff "
		"--ctmask 0xffffffff\n"
		"*filter\n:INPUT DROP [0:0]\n-A INPUT -m mark --mark 0x2 -j ACCEPT\n"
		"-A INPUT -p tcp --dport 4 -m conntrack --ctstate NEW -j ACCEPT\n"
		"-A INPUT -p tcp --dport 4 -m conntrack --ctdir ORIGINAL -j ACCEPT\n"
		"-A INPUT -p tcp --dport 5 -m conntrack --ctdir ORIGINAL -j ACCEPT\n");
	static const enum answer expected[] = {ANSWER_NO,  ANSWER_YES, ANSWER_MAYBE,
					       ANSWER_YES, ANSWER_NO,  ANSWER_YES};

	(void)state;
	for (uint16_t port = 0; port < 6; port++) {
		struct packet packet = syn(port);

		assert_int_equal(admits(&ruleset, &packet), expected[port]);
	}
	ruleset_done(&ruleset);
}

/* What decides, and what it depends on. */
static void test_which_rule_it_depends_on(void **state)
{
	struct ruleset ruleset = iptables("*filter\n:INPUT DROP [0:0]\n:a - [0:0]\n"
					  "-A INPUT -p tcp --dport 22 -m u32 --u32 0=1 -j a\n"
					  "-A INPUT -j LOG --log-prefix \"[k] \"\n"
					  "-A a -m limit --limit 3/min -j ACCEPT\n");
	struct packet packet = syn(22);
	struct walk result = walk(&ruleset, &packet);

	(void)state;
	assert_string_equal(result.accepted.by->text,
			    "iptables: -A a -m limit --limit 3/min -j ACCEPT");
	assert_string_equal(result.accepted.doubt->text,
			    "iptables: -A INPUT -p tcp --dport 22 -m u32 --u32 0=1 -j a");
	assert_true(result.accepted.is_limited && result.dropped.is_possible);
	assert_true(result.logged && result.maybe_logged);
	assert_ptr_equal(result.unsure, result.accepted.doubt);
	ruleset_done(&ruleset);
}

/* Rules of nft are named by what `nft -a list ruleset` prints. */
static void test_what_rules_of_nft_are_called(void **state)
{
	struct ruleset ruleset = {0};

	(void)state;
	assert_int_equal(ruleset_add_nft(&ruleset, NFT_HEAD ACCEPT NFT_TAIL, nothing), 0);
	assert_int_equal(ruleset_name_nft(&ruleset,
					  "table inet other { # handle 1\n"
					  "\tchain i { # handle 1\n"
					  "\t\tdrop # handle 9\n\t}\n}\n"
					  "table inet t { # handle 2\n"
					  "\tchain i { # handle 1\n"
					  "\t\tdrop # handle 8\n"
					  "\t\taccept comment \" # handle 3\" # handle 9\n"),
			 0);
	assert_string_equal(ruleset.tables[0].chains[0].rules[0].text,
			    "nft inet t, chain i: accept comment \" # handle 3\"");
	ruleset_done(&ruleset);
}

/* Older versions say in the listing alone at which devices a chain is. */
static void test_where_chains_of_nft_are(void **state)
{
	static const char json[] =
		"{\"nftables\":[{\"table\":{\"family\":\"netdev\",\"name\":\"f\"}},"
		"{\"chain\":{\"family\":\"netdev\",\"table\":\"f\",\"name\":\"i\","
		"\"type\":\"filter\",\"hook\":\"ingress\",\"prio\":0}}]}";
	struct ruleset ruleset = {0};
	const struct chain_view *chain;

	(void)state;
	assert_int_equal(ruleset_add_nft(&ruleset, json, nothing), 0);
	assert_int_equal(
		ruleset_name_nft(&ruleset,
				 "table netdev f { # handle 1\n"
				 "\tchain i { # handle 1\n"
				 "\t\ttype filter hook ingress devices = { eth0, \"ppp1\" } "
				 "priority filter; policy accept;\n"),
		0);
	chain = &ruleset.tables[0].chains[0];
	assert_int_equal(chain->hook, HOOK_INGRESS);
	assert_int_equal(chain->n_devices, 2);
	assert_string_equal(chain->devices[0], "eth0");
	assert_string_equal(chain->devices[1], "ppp1");
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
		cmocka_unit_test(test_rules_that_are_cut),
		cmocka_unit_test(test_what_rules_ask_of_ipv6),
		cmocka_unit_test(test_sets_of_ports),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_logs),
		cmocka_unit_test(test_limits_by_source_and_for_all),
		cmocka_unit_test(test_places_of_nft),
		cmocka_unit_test(test_what_is_too_much),
		cmocka_unit_test(test_what_is_sent_on_to_itself),
		cmocka_unit_test(test_whose_a_table_is),
		cmocka_unit_test(test_who_has_knocked),
		cmocka_unit_test(test_what_rules_of_nft_ask),
		cmocka_unit_test(test_what_nft_changes),
		cmocka_unit_test(test_sets_and_limits_of_nft),
		cmocka_unit_test(test_an_accept_does_not_save_from_a_later_drop),
		cmocka_unit_test(test_who_logs_by_nflog),
		cmocka_unit_test(test_packets_that_are_sent_elsewhere),
		cmocka_unit_test(test_packets_that_pass),
		cmocka_unit_test(test_lists_of_those_who_have_come),
		cmocka_unit_test(test_what_may_be_of_anybody),
		cmocka_unit_test(test_marks_and_states_on_the_way),
		cmocka_unit_test(test_which_rule_it_depends_on),
		cmocka_unit_test(test_what_rules_of_nft_are_called),
		cmocka_unit_test(test_where_chains_of_nft_are),
		cmocka_unit_test(test_what_is_no_ruleset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
