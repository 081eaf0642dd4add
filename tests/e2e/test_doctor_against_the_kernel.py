"""The doctor against the kernel, in firewalls such as people have: real packets from a stranger and from
somebody who has knocked. Where all is understood there is no "perhaps", and nowhere a wrong answer."""

import random
import re

import pytest

from random_rules import PLACES
from test_doctor_random_rules import PREFIX, differences, place

__all__ = ["place"]

NFT = """\
table inet filter {
    set knockers { type TYPE; flags timeout; }
    set seen { type TYPE; flags dynamic,timeout; timeout 1m; }
    TOP
    chain in {
        type filter hook input priority 0; policy drop;
        iifname "lo" accept
        iifname "docker0" accept
        ct state established,related accept
        ND
        FIRST
        IP saddr @knockers tcp dport { 22, 23, 8080 } accept
        RULES
        counter log prefix "PREFIX" drop
    }
}
MORE
"""
ND = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"
ALL = "meta l4proto ipv6-icmp accept"

# What stands at which place, each word by another table; sure, or with a perhaps allowed.
SURE, VAGUE = False, True
NFT_SHAPES = {
    # Where a packet is not let in because something else is in the way.
    "ingress drops a port": (SURE, {"MORE": "table netdev f { chain i { type filter hook ingress "
                             "device eth0 priority 0; tcp dport 22 drop; } }"}),
    "ingress of inet drops a port": (SURE, {"TOP": "chain i { type filter hook ingress device eth0 "
                                     "priority 0; tcp dport { 23, 7000 } drop; }"}),
    "ingress of another device": (SURE, {"MORE": "table netdev f { chain i { type filter hook "
                                  "ingress device docker0 priority 0; tcp dport 22 drop; } }"}),
    "ingress blocks a country": (SURE, {"MORE": "table netdev f { set b { type TYPE; flags interval; "
                                 "elements = { BANNED }; }\n chain i { type filter hook ingress "
                                 "device eth0 priority -500; policy accept; IP saddr @b drop; } }"}),
    "ingress lets in": (SURE, {"MORE": "table netdev f { chain i { type filter hook ingress device "
                        "eth0 priority 0; policy accept; tcp dport 22 accept; } }"}),
    "ingress with a policy": (SURE, {"MORE": "table netdev f { chain i { type filter hook ingress "
                              "device eth0 priority 0; policy drop; tcp dport { 23, 7000, 8080 } "
                              f"accept; {ALL}; meta protocol arp accept; }} }}"}),
    "ingress with bad flags": (SURE, {"MORE": "table netdev f { chain i { type filter hook ingress "
                               "device eth0 priority 0; tcp flags & (fin|syn) == (fin|syn) drop; "
                               "tcp flags & (syn|rst) == (syn|rst) drop; } }"}),
    "ingress against floods": (VAGUE, {"MORE": "table netdev f { chain i { type filter hook ingress "
                               "device eth0 priority 0; tcp flags syn limit rate over 1000/second "
                               "burst 500 packets drop; } }"}),
    "raw drops": (SURE, {"TOP": "chain raw { type filter hook prerouting priority raw; tcp dport "
                         "{ 23, 8000 } drop; }"}),
    "mangle drops": (SURE, {"TOP": "chain pre { type filter hook prerouting priority mangle; "
                            "policy drop; tcp dport { 22, 7000-9000 } accept; udp dport 9000 accept; "
                            f"{ALL}; iifname docker0 accept; ct state established accept; }}"}),
    "no way back": (SURE, {"TOP": "chain pre { type filter hook prerouting priority raw; fib saddr "
                           ". iif oif missing drop; }"}),
    "output drops all": (SURE, {"TOP": "chain out { type filter hook output priority 0; policy "
                         f"drop; oifname lo accept; {ALL}; }}"}),
    "output lets answers out": (SURE, {"TOP": "chain out { type filter hook output priority 0; "
                                f"policy drop; ct state established,related accept; {ALL}; }}"}),
    "output by ports": (SURE, {"TOP": "chain out { type filter hook output priority 0; policy drop; "
                        f"tcp sport {{ 22, 8080 }} accept; {ALL}; }}"}),
    "output to who has knocked": (SURE, {"TOP": "chain out { type filter hook output priority 0; "
                                  "policy drop; IP daddr @knockers tcp sport 22 oifname eth0 accept; "
                                  f"{ALL}; }}"}),
    "output in original direction": (SURE, {"TOP": "chain out { type filter hook output priority 0; "
                                     "ct direction original accept; tcp sport 23 ct state "
                                     "established reject; }"}),
    "output of users": (VAGUE, {"TOP": "chain out { type filter hook output priority 0; tcp sport "
                        "22 meta skuid 12345 drop; }"}),
    "postrouting drops": (SURE, {"TOP": "chain post { type filter hook postrouting priority "
                          "mangle; oifname eth0 tcp sport 8080 drop; }"}),
    "postrouting of nat": (SURE, {"TOP": "chain post { type nat hook postrouting priority srcnat; "
                           "oifname eth0 masquerade; }"}),
    "untracked, and answers let out by their state": (SURE, {
        "TOP": "chain raw { type filter hook prerouting priority raw; tcp dport { 22, 7000 } notrack; "
               "}\nchain out { type filter hook output priority 0; policy drop; ct state established "
               f"accept; {ALL}; }}", "RULES": "tcp dport 22 accept"}),
    "untracked both ways": (SURE, {
        "TOP": "chain raw { type filter hook prerouting priority raw; tcp dport 22 notrack; }\nchain "
               "rawout { type filter hook output priority raw; tcp sport 22 notrack; }\nchain out { type "
               "filter hook output priority 0; policy drop; ct state established,untracked accept; "
               f"{ALL}; }}", "RULES": "tcp dport { 22, 23 } accept"}),
    "egress drops": (SURE, {"MORE": "table netdev f { chain e { type filter hook egress device eth0 "
                     "priority 0; tcp sport 22 drop; } }"}),
    # Neighbours.
    "no neighbours": (SURE, {"ND": ""}),
    "only solicitations": (SURE, {"ND": "icmpv6 type nd-neighbor-solicit accept"}),
    "all of ICMPv6": (SURE, {"ND": ALL}),
    "by number": (SURE, {"ND": "icmpv6 type { 133, 134, 135, 136, 137 } accept"}),
    "with hop limit": (SURE, {"ND": "ip6 hoplimit 255 icmpv6 type { nd-neighbor-solicit, "
                       "nd-neighbor-advert } accept"}),
    "with a wrong hop limit": (SURE, {"ND": "ip6 hoplimit 64 icmpv6 type { nd-neighbor-solicit, "
                               "nd-neighbor-advert } accept"}),
    "link-local": (SURE, {"ND": "ip6 saddr fe80::/10 ip6 nexthdr icmpv6 accept\n" + ND}),
    "a map of types": (SURE, {"ND": "icmpv6 type vmap { nd-neighbor-solicit : accept, "
                              "nd-neighbor-advert : accept, echo-request : drop }"}),
    "untracked": (SURE, {"ND": "ct state vmap { invalid : drop, untracked : accept }"}),
    "invalid is dropped": (SURE, {"ND": "ct state invalid drop\n" + ND}),
    "ingress drops neighbours": (SURE, {"MORE": "table netdev f { chain i { type filter hook ingress "
                                 "device eth0 priority 0; icmpv6 type nd-neighbor-solicit drop; } }"}),
    "output drops neighbours": (SURE, {"TOP": "chain out { type filter hook output priority 0; "
                                "policy drop; ct state established accept; }"}),
    "multicast is dropped": (SURE, {"FIRST": "", "ND": "meta pkttype multicast drop\n" + ND}),
    # Open, or not.
    "a set with ranges": (SURE, {"TOP": "set p { type inet_service; flags interval; auto-merge; "
                          "elements = { 20-22, 8000-8100 }; }", "RULES": "tcp dport @p accept"}),
    "a named map": (SURE, {"TOP": "chain web { tcp dport 8080 accept; }\n map m { type inet_service "
                           ": verdict; elements = { 22 : accept, 23 : drop, 8080 : goto web }; }",
                           "RULES": "tcp dport vmap @m"}),
    "a map of intervals": (SURE, {"TOP": "map m { type inet_service : verdict; flags interval; "
                           "elements = { 1-22 : drop, 23-100 : accept }; }",
                           "RULES": "tcp dport vmap @m"}),
    "sources and ports": (SURE, {"TOP": "set s { typeof IP saddr . tcp dport; flags interval; "
                          "elements = { OWN . 22, EVERYBODY . 23 }; }",
                          "RULES": "IP saddr . tcp dport @s accept"}),
    "a map of addresses": (SURE, {"RULES": "IP saddr vmap { OWN : accept, BANNED : drop }"}),
    "interfaces": (SURE, {"RULES": "iifname vmap { eth0 : jump wan, lo : accept }",
                          "TOP": "chain wan { meta l4proto { tcp, udp } th dport 23 accept; }"}),
    "states": (SURE, {"FIRST": "ct state vmap { new : continue, established : accept, related : "
                      "accept, invalid : drop }", "RULES": "ct state new tcp dport 8080 accept"}),
    "SYN": (SURE, {"RULES": "tcp flags syn / fin,syn,rst,ack tcp dport 22 accept"}),
    "no SYN": (SURE, {"FIRST": "tcp flags & (fin|syn|rst|ack) != syn ct state new drop"}),
    "zones as firewalld has them": (SURE, {
        "TOP": "chain zones { iifname eth0 goto public; goto block; }\n chain public { jump allow; "
               "jump deny; meta l4proto { icmp, ipv6-icmp } accept; }\n chain allow { tcp dport 22 "
               "accept; }\n chain deny { tcp dport 8080 drop; }\n chain block { reject; }",
        "RULES": "jump zones"}),
    "a rich rule": (VAGUE, {"RULES": "tcp dport 22 ct state { new, untracked } limit rate "
                            "1000/minute burst 500 packets accept"}),
    "sshguard": (SURE, {"MORE": "table ip sshguard { set attackers { type ipv4_addr; flags interval; "
                        "}\n chain b { type filter hook input priority -10; ip saddr @attackers "
                        "drop; } }"}),
    "CrowdSec": (SURE, {"MORE": "table ip crowdsec { set bl { type ipv4_addr; flags timeout; "
                        "elements = { 203.0.113.9 timeout 1h }; }\n chain c { type filter hook input "
                        "priority -10; ip saddr @bl counter drop; } }"}),
    "fail2ban": (SURE, {"MORE": "table inet f2b-table { set s { type TYPE; elements = { BANNED }; }\n "
                        "chain f2b-chain { type filter hook input priority -1; tcp dport 22 IP saddr "
                        "@s reject with icmpx type port-unreachable; } }"}),
    "too many connections": (VAGUE, {"FIRST": "tcp dport 22 ct count over 90 reject"}),
    "a meter": (VAGUE, {"FIRST": "tcp dport 22 ct state new update @seen { IP saddr limit rate over "
                        "1000/minute burst 500 packets } drop"}),
    "too many connections of one": (VAGUE, {"FIRST": "tcp dport 22 ct state new add @seen { IP saddr ct "
                                    "count over 90 } reject", "RULES": "tcp dport { 22, 23 } accept"}),
    "a set that limits": (VAGUE, {"TOP": "set busy { type TYPE; size 100; flags dynamic; limit rate over "
                          "1000/minute burst 500 packets; }",
                          "FIRST": "tcp dport 22 ct state new add @busy { IP saddr } drop",
                          "RULES": "tcp dport 22 accept"}),
    "a set with limits and without": (VAGUE, {
        "TOP": "chain pre { type filter hook prerouting priority 0; tcp dport 23 update @seen { IP saddr "
               "limit rate over 1000/second burst 200 packets } accept; }",
        "FIRST": "add @seen { IP saddr } drop", "RULES": "tcp dport { 22, 23 } accept"}),
    "a counter of a name": (SURE, {"TOP": "counter ssh { }", "RULES": 'tcp dport 22 counter name '
                            '"ssh" accept'}),
    "twice": (SURE, {"MORE": "table inet second { chain i { type filter hook input priority 10; "
                     f"policy drop; ct state established accept; {ALL}; tcp dport 22 accept; }} }}"}),
    "a time": (VAGUE, {"RULES": 'tcp dport 22 meta day { "Saturday", "Sunday" } accept'}),
    "random": (VAGUE, {"RULES": "tcp dport 22 numgen random mod 2 0 accept"}),
    "a socket": (VAGUE, {"RULES": "tcp dport 22 socket wildcard 1 accept"}),
    "an ether address": (VAGUE, {"RULES": "tcp dport 22 ether saddr 02:00:00:00:00:99 accept"}),
    "a length": (VAGUE, {"RULES": "tcp dport 22 meta length 0-1500 accept"}),
    "raw bits": (VAGUE, {"RULES": "meta l4proto tcp @th,16,16 22 accept"}),
    "a router's flow table": (SURE, {"TOP": "chain fw { type filter hook forward priority 0; policy "
                              "drop; ct state established,related accept; ct status dnat accept; }\n"
                              "chain nat { type nat hook prerouting priority dstnat; iifname eth0 "
                              "tcp dport 8080 dnat IP to BOX; }"}),
    "dropped after routing": (SURE, {"TOP": "chain fw { type filter hook forward priority 0; policy "
                              "accept; }\nchain nat { type nat hook prerouting priority dstnat; tcp "
                              "dport 8080 dnat IP to BOX; }\nchain post { type filter hook "
                              "postrouting priority 0; oifname docker0 tcp dport 8080 drop; }"}),
}

IPTABLES = """\
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT POLICY [0:0]
:x - [0:0]
:y - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -i docker0 -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
ND
FIRST
-A INPUT -p tcp -m multiport --dports 22,23,8080 -m set --match-set KNOCK src -j ACCEPT
RULES
-A INPUT -j LOG --log-prefix "PREFIX"
COMMIT
MORE
"""
SIX = "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT\n" \
      "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 136 -j ACCEPT"
IPTABLES_SHAPES = {
    "raw drops": (SURE, {"MORE": "*raw\n-A PREROUTING -i eth0 -p tcp --dport 22 -j DROP\nCOMMIT"}),
    "mangle drops": (SURE, {"MORE": "*mangle\n-A PREROUTING -p tcp -m multiport --dports 23,7000 -j "
                            "DROP\nCOMMIT"}),
    "mangle's INPUT": (SURE, {"MORE": "*mangle\n-A INPUT -p tcp --dport 8080 -j DROP\nCOMMIT"}),
    "security drops": (SURE, {"MORE": "*security\n-A INPUT -p tcp --dport 22 -j DROP\nCOMMIT"}),
    "OUTPUT drops": (SURE, {"POLICY": "DROP"}),
    "OUTPUT lets answers out": (SURE, {"POLICY": "DROP", "RULES": "-A OUTPUT -m conntrack --ctstate "
                                "ESTABLISHED,RELATED -j ACCEPT\n-A OUTPUT -p ipv6-icmp -j ACCEPT"}),
    "OUTPUT by ports": (SURE, {"POLICY": "DROP", "RULES": "-A OUTPUT -o eth0 -p tcp --sport 22 -j ACCEPT"
                               "\n-A OUTPUT -p ipv6-icmp -j ACCEPT"}),
    "OUTPUT by sets": (SURE, {"POLICY": "DROP", "RULES": "-A OUTPUT -p tcp -m set --match-set KNOCK dst "
                              "-m multiport --sports 23,8080 -j ACCEPT\n-A OUTPUT -p ipv6-icmp -j "
                              "ACCEPT"}),
    "OUTPUT of users": (VAGUE, {"RULES": "-A OUTPUT -p tcp --sport 22 -m owner --uid-owner 1234 -j "
                                "DROP"}),
    "POSTROUTING drops": (SURE, {"MORE": "*mangle\n-A POSTROUTING -o eth0 -p tcp --sport 23 -j DROP\n"
                                 "COMMIT"}),
    "raw's OUTPUT": (SURE, {"MORE": "*raw\n-A OUTPUT -p tcp --sport 22 -j DROP\nCOMMIT"}),
    "MASQUERADE": (SURE, {"MORE": "*nat\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT"}),
    "no neighbours": (SURE, {"ND": ""}),
    "only advertisements": (SURE, {"ND": "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 136 -j ACCEPT"}),
    "ufw's neighbours": (SURE, {"ND": "-A INPUT -m conntrack --ctstate INVALID -j DROP\n"
                                "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -m hl --hl-eq 255 -j "
                                "ACCEPT\n-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 136 -m hl "
                                "--hl-eq 255 -j ACCEPT\n-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type "
                                "143 -s fe80::/10 -j ACCEPT"}),
    "all of ICMPv6": (SURE, {"ND": "-A INPUT -p ipv6-icmp -j ACCEPT"}),
    "untracked, and answers let out by their state": (SURE, {
        "POLICY": "DROP", "RULES": "-A INPUT -p tcp --dport 22 -j ACCEPT\n-A OUTPUT -m conntrack --ctstate "
        "ESTABLISHED -j ACCEPT\n-A OUTPUT -p ipv6-icmp -j ACCEPT",
        "MORE": "*raw\n-A PREROUTING -p tcp --dport 22 -j CT --notrack\nCOMMIT"}),
    "OUTPUT without neighbours": (SURE, {"POLICY": "DROP", "RULES": "-A OUTPUT -m conntrack --ctstate "
                                         "ESTABLISHED -j ACCEPT"}),
    "a limit of neighbours": (VAGUE, {"ND": "-A INPUT -p ipv6-icmp -m limit --limit 900/s "
                                      "--limit-burst 900 -j ACCEPT"}),
    "ufw limit": (VAGUE, {"RULES": "-A INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -m recent "
                          "--set --name u --rsource\n-A INPUT -p tcp --dport 22 -m conntrack --ctstate "
                          "NEW -m recent --update --seconds 30 --hitcount 19 --name u --rsource -j x\n"
                          "-A INPUT -p tcp --dport 22 -j y\n-A x -j REJECT\n-A y -j ACCEPT"}),
    "hashlimit": (VAGUE, {"RULES": "-A INPUT -p tcp --dport 8080 -m hashlimit --hashlimit-upto 900/min "
                          "--hashlimit-burst 200 --hashlimit-mode srcip,dstport --hashlimit-name h -j "
                          "ACCEPT"}),
    "connlimit": (VAGUE, {"FIRST": "-A INPUT -p tcp --syn --dport 22 -m connlimit --connlimit-above 90 "
                          "--connlimit-mask 32 -j REJECT --reject-with tcp-reset"}),
    "a time": (VAGUE, {"RULES": "-A INPUT -p tcp --dport 22 -m time --timestart 00:00 --timestop "
                       "23:59:59 -j ACCEPT"}),
    "statistic": (VAGUE, {"RULES": "-A INPUT -p tcp --dport 22 -m statistic --mode random "
                          "--probability 0.99 -j ACCEPT"}),
    "fail2ban": (SURE, {"FIRST": "-A INPUT -p tcp -m multiport --dports 22 -j x\n-A x -s BANNED -j REJECT\n"
                        "-A x -j RETURN"}),
    "CSF": (SURE, {"FIRST": "-A INPUT ! -i lo -j x\n-A x -p tcp -m tcp --tcp-flags ALL NONE -j DROP\n-A x "
                   "-p tcp -m tcp --tcp-flags SYN,FIN SYN,FIN -j DROP\n-A x -p tcp -m conntrack --ctstate "
                   "NEW -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP\n-A x -m conntrack --ctstate "
                   "INVALID -j DROP", "RULES": "-A INPUT ! -i lo -p tcp -m conntrack --ctstate NEW -m tcp "
                   "--dport 23 -j ACCEPT"}),
    "a set of networks": (SURE, {"FIRST": "-A INPUT -m set --match-set friends{v} src -j DROP"}),
    "pairs": (SURE, {"RULES": "-A INPUT -m set --match-set pairs{v} src,dst -j ACCEPT"}),
    "ports": (SURE, {"RULES": "-A INPUT -p tcp -m set --match-set ports dst -j ACCEPT"}),
    "a network of one's own": (SURE, {"RULES": "-A INPUT -s OWN -p tcp --dport 22 -j ACCEPT"}),
    "a goto that comes back": (SURE, {"RULES": "-A INPUT -p tcp -j x\n-A x -g y\n-A x -p tcp --dport 22 -j "
                               "ACCEPT\n-A y -p tcp --dport 23 -j ACCEPT"}),
    "a negation": (SURE, {"RULES": "-A INPUT -p tcp ! --dport 22 -m conntrack ! --ctstate INVALID -j x\n"
                          "-A x -p tcp -m multiport --dports 23,8080 -j ACCEPT"}),
    "a mark": (SURE, {"MORE": "*mangle\n-A PREROUTING -p tcp --dport 22 -j MARK --set-xmark 0x10/0xff\n"
                      "-A PREROUTING -p tcp --dport 23 -j CONNMARK --set-xmark 0x2/0xffffffff\nCOMMIT",
                      "RULES": "-A INPUT -m mark --mark 0x10/0xf0 -j ACCEPT\n"
                      "-A INPUT -m connmark --mark 0x2 -j ACCEPT"}),
    "psad": (SURE, {"FIRST": "-A INPUT -s BANNED -j DROP\n-A FORWARD -d BANNED -j DROP\n-A OUTPUT -d BANNED "
                    "-j DROP"}),
    "a string": (VAGUE, {"FIRST": "-A INPUT -p tcp --dport 22 -m string --string \"libssh\" --algo bm "
                         "-j DROP"}),
    "geoip's place": (VAGUE, {"FIRST": "-A INPUT -p tcp --dport 22 -m u32 --u32 0&0xf0000000=0x10000000 "
                              "-j DROP"}),
}


class Shape:
    """A firewall, as differences() takes it."""

    def __init__(self, kind, version, text, parts, is_vague):
        self.kind, self.version, self.is_vague = kind, version, is_vague
        self.random, place_of = random.Random(text), PLACES[version]
        defaults = {"TOP": "", "FIRST": "", "RULES": "", "MORE": "", "POLICY": "ACCEPT",
                    "ND": ND if kind == "nft" else SIX if version == 6 else ""}
        for words in ({**defaults, **parts}, {
                "TYPE": place_of["type"], "IP": place_of["ip"], "OWN": place_of["own"],
                "EVERYBODY": place_of["all"], "BANNED": place_of["friend"], "BOX": place_of["box"],
                "KNOCK": place_of["knock"], "PREFIX": PREFIX, "{v}": place_of["v"]}):
            for word, value in words.items():
                text = text.replace(word, value)
        # A brace that ends a chain wants a line of its own.
        self.text = re.sub(r"; \}(?= |$)", "\n}\n", text, flags=re.M) if kind == "nft" else text


def judge(place, shape):
    """Of a firewall that this machine can load."""
    try:
        place.load(shape)
    except AssertionError as error:
        place.unload(shape)
        pytest.skip(f"this machine does not load it: {error}")
    # What they know of each other from before, they learn again, if they can.
    for host in (place.server, place.stranger):
        host.ip("neigh flush all")
    try:
        wrong, said = differences(place, shape)
    finally:
        place.unload(shape)
    assert not wrong, (wrong, shape.text, [
        f"{found['level']} {found['check']} {found['text']}" for found in said.findings
        if found["check"] in ("neighbours", "log", "accept", "closed", "drop")])


@pytest.mark.parametrize("version", [4, 6], ids="IPv{}".format)
@pytest.mark.parametrize("what", NFT_SHAPES)
def test_nft(place, needs, what, version):
    needs("nft")
    is_vague, parts = NFT_SHAPES[what]
    judge(place, Shape("nft", version, NFT, parts, is_vague))


@pytest.mark.parametrize("version", [4, 6], ids="IPv{}".format)
@pytest.mark.parametrize("what", IPTABLES_SHAPES)
def test_iptables(place, needs, what, version):
    needs("iptables")
    is_vague, parts = IPTABLES_SHAPES[what]
    if version == 4 and "ipv6-icmp" in parts.get("ND", ""):
        parts = {**parts, "ND": ""}
    judge(place, Shape("iptables", version, IPTABLES, parts, is_vague))
