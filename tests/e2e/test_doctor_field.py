"""Firewalls as they are found, and what the doctor has to say of each: of what is open, of what may
be, and nothing of what only looks like it."""

import pytest

from doors import ipset_door, nft_door
from lab import GUARDED_PORT, Lab
from test_doctor import complaints, doctor

RECORDS = {("warning", "records"), ("problem", "daemon"), ("unknown", "log")}

NFT = """
table inet filter {
    set knockers { type ipv4_addr; flags timeout; }
    set knockers6 { type ipv6_addr; flags timeout; }
    set seen { type ipv4_addr; flags dynamic,timeout; timeout 1m; }
    BEFORE
    chain in {
        type filter hook input priority 0; policy drop;
        iif "lo" accept
        ct state established,related accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
        ip saddr @knockers tcp dport { 22, 8080 } accept
        ip6 saddr @knockers6 tcp dport { 22, 8080 } accept
        RULE
        jhash ip saddr mod 8 >= 0 log prefix "PREFIX"
    }
}
"""
# The doctor's limits are none of these tests' matter.
NFT = NFT.replace("jhash ip saddr mod 8 >= 0 log", "log")

# What is added before the chain, the rule, and what the check `closed` says.
NFT_OPEN = {
    "a limit": ("", "tcp dport 22 ct state new limit rate 10/minute accept",
                "warning", "which accepts so many an hour"),
    "a named limit": ("limit l { rate 5/minute; }", 'tcp dport 22 limit name "l" accept',
                      "warning", "so many an hour"),
    "a quota": ("", "tcp dport 22 quota 10 mbytes accept", "warning", "so many an hour"),
    "a count": ("", "tcp dport 22 ct count 4 accept", "warning", "so many an hour"),
    "a set of ports": ("set p { type inet_service; flags interval; elements = { 20-25, 80 }; }",
                       "tcp dport @p accept", "problem", "is open to everybody"),
    "a concatenation": ("", "meta l4proto . th dport { tcp . 22, udp . 53 } accept", "problem",
                        "meta l4proto . th dport { tcp . 22, udp . 53 } accept"),
    "a set of both": ("set p { type inet_proto . inet_service; elements = { tcp . 22 }; }",
                      "meta l4proto . th dport @p accept", "problem", "is open to everybody"),
    "a map": ("map m { type inet_service : verdict; elements = { 22 : accept }; }",
              "tcp dport vmap @m", "problem", "tcp dport vmap @m"),
    "a map that jumps": ("chain c { tcp dport 20-30 accept; }",
                         "tcp dport vmap { 22 : jump c, 23 : drop }", "problem", "is open to"),
    "all others of a map": ("", "tcp dport vmap { 1-21 : drop, * : accept }", "problem", "is open"),
    "every source": ("", "ip saddr 0.0.0.0/0 tcp dport 22 accept", "problem", "is open to"),
    "half of all": ("", "ip saddr 128.0.0.0/1 tcp dport 22 accept", "warning", "may be open to"),
    "a protocol": ("", "meta protocol ip tcp dport 22 accept", "problem", "is open to everybody"),
    "another word for it": ("", "ip protocol tcp th dport 22 accept", "problem", "is open to"),
    "more than a port": ("", "tcp dport > 20 tcp dport <= 22 accept", "problem", "is open to"),
    "a mark": ("chain pre { type filter hook prerouting priority mangle; tcp dport 22 meta mark "
               "set 0x1; }", "meta mark 0x1 accept", "problem", "meta mark 0x00000001 accept"),
    "a part of a mark": ("chain pre { type filter hook prerouting priority mangle; tcp dport 22 "
                         "meta mark set meta mark or 0x12; }", "meta mark & 0xf0 == 0x10 accept",
                         "problem", "is open to everybody"),
    "a source port": ("", "tcp sport 53 accept", "warning", "may be open to everybody"),
    "a time": ("", 'tcp dport 22 meta hour "08:00"-"18:00" accept', "warning",
               "depends on the time"),
    "what nobody understands": ("", "tcp dport 22 ip dscp cs1 accept", "warning",
                                "of which not all is understood"),
    "who has come before": ("", "add @seen { ip saddr } ip saddr @seen tcp dport 22 accept",
                            "warning", "of which not all is understood"),
    "a drop of some": ("", "tcp dport 22 ip dscp cs1 drop; tcp dport 22 accept", "warning",
                       "may be open to everybody"),
    "another port of this machine": (
        "chain pre { type nat hook prerouting priority dstnat; tcp dport 22 redirect to :2222; }",
        "tcp dport 2222 accept", "problem", "redirect to :2222, and then nft inet filter"),
    "a container": (
        "chain pre { type nat hook prerouting priority dstnat; tcp dport 22 dnat ip to "
        "172.17.0.2:80; }\nchain fw { type filter hook forward priority 0; policy drop; "
        "ct status dnat accept; }", "", "problem", "dnat ip to 172.17.0.2:80, and then"),
    "a map of containers": (
        "chain pre { type nat hook prerouting priority dstnat; dnat ip to tcp dport map "
        "{ 22 : 172.17.0.2, 80 : 172.17.0.3 }; }", "", "problem", "is open to everybody"),
}

NFT_QUIET = {
    "what is sent elsewhere": ("", "ct status dnat accept"),
    "names and addresses": ("", "udp dport { 67, 68, 546, 5353 } accept; icmp type echo-request "
                            "accept; ip protocol igmp accept"),
    "a network of one's own": ("", "ip saddr { 10.0.0.0/8, 192.168.0.0/16 } tcp dport 22 accept"),
    "friends": ("set f { type ipv4_addr; elements = { 203.0.113.9 }; }",
                "ip saddr @f tcp dport 22 accept"),
    "other ports": ("set p { type inet_service; elements = { 80, 443 }; }",
                    "tcp dport @p accept; tcp dport vmap { 80 : accept, 443 : accept }"),
    "a tunnel": ("", "meta ipsec exists tcp dport 22 accept"),
    "no way back": ("chain pre { type filter hook prerouting priority raw; "
                    "fib saddr . iif oif missing drop; }", ""),
    "too many": ("", "tcp dport 22 ct count over 3 drop"),
    "another's mark": ("", "meta mark 0x4000 accept"),
    "a guarded container": (
        "chain pre { type nat hook prerouting priority dstnat; tcp dport 8080 dnat ip to "
        "172.17.0.2:80; }\nchain fw { type filter hook forward priority 0; policy drop; "
        "ct state established,related accept; meta l4proto tcp ct original proto-dst 8080 ip saddr "
        "@knockers accept; }", ""),
}

TABLES = """\
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
NAT
COMMIT
*filter
:INPUT POLICY [0:0]
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p ipv6-icmp -j ACCEPT
-A INPUT -m set --match-set SET src -p tcp -m multiport --dports 22,8080 -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -j DOCKER
RULES
-A INPUT -j LOG --log-prefix "PREFIX"
LAST
COMMIT
"""
PUBLISHED = ("-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"
             "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT "
             "--to-destination 172.17.0.2:80",
             "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT")
GUARD = ("-A DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport 8080 --ctdir ORIGINAL "
         "-m set --match-set SET src -j RETURN\n"
         "-A DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport 8080 --ctdir ORIGINAL -j DROP\n")

# NAT, RULES, and what is said of IPv4: level, check, words; no level: nothing.
IPTABLES = {
    "a limit": ("", "-A INPUT -p tcp --dport 22 -m limit --limit 3/min -j ACCEPT",
                "warning", "closed", "--limit 3/min -j ACCEPT, which accepts so many an hour"),
    "a limit by source": ("", "-A INPUT -p tcp --dport 22 -m hashlimit --hashlimit-upto 5/min "
                          "--hashlimit-mode srcip --hashlimit-name s -j ACCEPT", "warning",
                          "closed", "so many an hour"),
    "not too often": ("", "-A INPUT -p tcp --dport 22 -m recent ! --rcheck --seconds 90 --hitcount "
                      "3 --name s -j ACCEPT", "warning", "closed", "so many an hour"),
    "few at a time": ("", "-A INPUT -p tcp --dport 22 -m connlimit --connlimit-upto 2 -j ACCEPT",
                      "warning", "closed", "so many an hour"),
    "too often is dropped": ("", "-A INPUT -p tcp --dport 22 -m recent --update --seconds 90 "
                             "--hitcount 3 --name s -j DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT",
                             "problem", "closed", "is open to everybody"),
    "a time": ("", "-A INPUT -p tcp --dport 22 -m time --timestart 08:00 -j ACCEPT", "warning",
               "closed", "which depends on the time"),
    "a mark": ("-A PREROUTING -p tcp --dport 22 -j MARK --set-mark 7",
               "-A INPUT -m mark --mark 7 -j ACCEPT", "problem", "closed", "--mark 0x7"),
    "a set of ports": ("", "-A INPUT -m set --match-set ports dst -j ACCEPT", "problem", "closed",
                       "is open to everybody"),
    "what nobody understands": ("", "-A INPUT -p tcp --dport 22 -m u32 --u32 0=1 -j ACCEPT",
                                "warning", "closed", "of which not all is understood"),
    "accepted before it is logged": ("", "-A INPUT -p tcp --dport 1024: -m limit --limit 60/s "
                                     "-j ACCEPT", "problem", "log",
                                     "step 1 is accepted before it is logged, by iptables: -A"),
    "published": (PUBLISHED[0], PUBLISHED[1], "problem", "closed",
                  "port 8080 is open to everybody, by iptables -t nat: -A DOCKER ! -i docker0 -p "
                  "tcp -m tcp --dport 8080 -j DNAT"),
    "published and guarded": (PUBLISHED[0], GUARD + PUBLISHED[1], None, None, None),
    "published and not accepted": (PUBLISHED[0], "", "problem", "accept",
                                   "port 8080 stays closed even after a knock"),
    "tidy": ("", "-A INPUT -s 10.0.0.0/8 -j ACCEPT\n-A INPUT -p udp --dport 5353 -j ACCEPT\n"
             "-A INPUT -m conntrack --ctstate DNAT -j ACCEPT\n-A INPUT -m policy --dir in --pol "
             "ipsec -j ACCEPT\n-A INPUT -p tcp -m recent --update --hitcount 9 --name s -j DROP",
             None, None, None),
}


@pytest.fixture(scope="module")
def found_there(possible):
    with Lab("none") as lab:
        lab.server.run("ipset", "restore", input="create knock_ssh hash:ip timeout 0\n"
                       "create knock_ssh6 hash:ip family inet6 timeout 0\n"
                       "create ports bitmap:port range 0-65535\nadd ports 22\n")
        lab.server.ip("route add default dev eth0")
        yield lab


def judge(lab, text, doors, program="nft"):
    """What the doctor says of the rules, but for limits of the log, of which they have none."""
    try:
        lab.server.run(program, *(("-f", "-") if program == "nft" else ()),
                       input=text.replace("PREFIX", lab.prefix))
        _, found = doctor(lab, lab.config(doors))
    finally:
        lab.server.run("nft", "flush", "ruleset")
    return {key: [line for line in lines if "IPv6" not in line] for key, lines in found.items()
            if key[0] != "ok" and key not in RECORDS and key[1] not in ("limit", "boot", "members")
            and any("IPv6" not in line for line in lines)}


def judge_nft(lab, before, rule):
    doors = nft_door(set="inet filter knockers", set_6="inet filter knockers6",
                     ports="8080/tcp" if "8080" in before else GUARDED_PORT)
    return judge(lab, NFT.replace("BEFORE", before).replace("RULE", rule), doors)


@pytest.mark.parametrize("what", NFT_OPEN)
def test_nft_that_is_open(found_there, needs, what):
    needs("nft")
    before, rule, level, words = NFT_OPEN[what]
    found = judge_nft(found_there, before, rule)
    assert {key for key in found if key[1] == "closed"} == {(level, "closed")}, found
    assert words in found[level, "closed"][0]


@pytest.mark.parametrize("what", NFT_QUIET)
def test_nft_that_is_not_open(found_there, needs, what):
    needs("nft")
    assert not judge_nft(found_there, *NFT_QUIET[what])


@pytest.mark.parametrize("what", IPTABLES)
def test_iptables(found_there, needs, what):
    needs("iptables")
    nat, rules, level, check, words = IPTABLES[what]
    text = TABLES.replace("POLICY", "DROP").replace("LAST\n", "").replace("NAT\n", nat + "\n")
    text = text.replace("RULES", rules).replace("SET", "knock_ssh")
    if "MARK" in nat:
        text = text.replace("*nat", "*mangle")
    doors = ipset_door(set="knock_ssh", set_6="knock_ssh6",
                       ports="8080/tcp" if "8080" in nat else GUARDED_PORT)
    found = judge(found_there, text, doors, "iptables-restore")
    if level is None:
        assert not found
        return
    assert (level, check) in found, found
    assert words in found[level, check][0]


@pytest.mark.parametrize("doors", ["one", "two"])
def test_every_port_of_every_door(found_there, needs, doors):
    """A policy that lets in all but what is dropped by name, and a name that is missing."""
    needs("iptables")
    text = TABLES.replace("POLICY", "ACCEPT").replace("NAT\n", "").replace("RULES\n", "")
    text = text.replace("LAST", "-A INPUT -p tcp -m multiport --dports 22,7000,8000,9000 -j DROP")
    sets = {"set": "knock_ssh", "set_6": "knock_ssh6"}
    config = (ipset_door(**sets, ports="22/tcp, 8080/tcp") if doors == "one" else
              ipset_door(**sets, ports="22/tcp")
              + ipset_door("web", "8000, 7000, 9000", **sets, ports="8080/tcp"))
    found = judge(found_there, text.replace("SET", "knock_ssh"), config, "iptables-restore")
    assert complaints(found) == {("problem", "drop")}
    assert found["problem", "drop"] == ["IPv4: port 8080: what no rule accepts is let in all the "
                                        "same"]


def test_what_rules_says_of_a_published_port(found_there, needs):
    """INPUT does not guard it; the rule that is printed does."""
    needs("iptables")
    lab = found_there
    text = TABLES.replace("POLICY", "DROP").replace("LAST\n", "").replace("NAT", PUBLISHED[0])
    text = text.replace("RULES", PUBLISHED[1]).replace("SET", "knock_ssh")
    config = lab.config(ipset_door(set="knock_ssh", set_6=None, ports="8080/tcp, 22/tcp"))
    try:
        lab.server.run("iptables-restore", input=text.replace("PREFIX", lab.prefix))
        said = lab.knocktail("rules", "iptables", "-c", config).stderr
        assert "port 8080 is sent to another machine, by iptables -t nat: -A DOCKER" in said
        assert "INPUT does not guard it" in said and "port 22" not in said
        _, found = doctor(lab, config)
        assert ("problem", "closed") in found
        rule = said[said.index("-I DOCKER-USER"):].splitlines()[0]
        lab.server.run("iptables", *rule.split())
        _, found = doctor(lab, config)
        assert ("ok", "closed") in found and ("ok", "accept") in found
        assert ("ok", "established") in found
    finally:
        lab.server.run("nft", "flush", "ruleset")
