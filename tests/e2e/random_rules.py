"""Firewalls made of parts at random, for what tells what a firewall does.

A part that leaves open whether it matches (a rate, a time, a source port, what no model understands)
is vague; a firewall has vague parts or none, and says so.
"""

import re

# Parts of rules of nft, by the version of IP (0: any); {ip} is ip or ip6.
NFT_CLEAR = (
    "", "tcp dport 22", "tcp dport {{ 22, 80 }}", "tcp dport 20-30", "tcp dport != 22",
    "tcp dport @ports", "tcp dport != @ports", "tcp dport 8080", "tcp dport 1024-65535",
    "udp dport 9000", "meta l4proto tcp", "meta l4proto {{ tcp, udp }}", "meta l4proto != udp",
    "meta l4proto . th dport {{ tcp . 22, udp . 9000 }}", "meta l4proto . th dport @pairs",
    "meta l4proto . th dport != @pairs", "th dport 7000-7999", "tcp dport > 22",
    "tcp dport <= 22", 'iifname "eth0"', 'iifname != "eth0"', 'iifname {{ "lo", "eth*" }}',
    'iifname "lo"', 'iifname . tcp dport {{ "eth0" . 23, "lo" . 22 }}', "ct state new",
    "ct state established,related", "ct state {{ new, untracked }}", "ct state != new",
    "ct state invalid", "ct status dnat", "ct direction original", "meta mark 0x1",
    "meta mark & 0xf == 0x2", "meta mark != 0x1", "ct mark 0x1", "meta mark {{ 0x1, 0x4-0x8 }}",
    "tcp flags syn / fin,syn,rst,ack", "tcp flags & (fin|syn|rst|ack) != syn", "tcp flags syn",
    "{ip} saddr {all}", "{ip} saddr {own}", "{ip} saddr != {own}",
    "{ip} saddr {{ {own}, {friend} }}", "{ip} saddr @friends", "{ip} saddr != @friends",
    "{ip} saddr @knockers", "{ip} saddr @knockers tcp dport 22", "{ip} saddr != @knockers",
    "{ip} saddr . tcp dport {{ {all} . 23, {own} . 22 }}", "{ip} daddr {here}",
    "{ip} daddr != {here}", "{ip} daddr {net}", "meta nfproto ipv4", "meta protocol ip6",
    "meta nfproto {{ ipv4, ipv6 }}", "meta pkttype host",
    "meta l4proto tcp ct original proto-dst 8080",
    "meta l4proto tcp ct original proto-dst {{ 22, 23 }}", "ct original {ip} daddr {here}",
    "add @seen {{ {ip} saddr }}", "counter", "ct helper \"ftp\"",
)
NFT_VAGUE = (
    "limit rate 1000/second burst 200 packets", "limit rate over 1000/second burst 200 packets",
    "tcp dport 22 limit rate 1000/second burst 200 packets", "ct count 90", "ct count over 90",
    "quota 90 mbytes", "quota over 90 mbytes", 'limit name "often"',
    "update @seen {{ {ip} saddr limit rate 1000/second burst 200 packets }}",
    "update @seen {{ {ip} saddr limit rate over 1000/second burst 200 packets }}",
    "{ip} saddr @seen", "{ip} dscp cs1", "{ip} dscp cs0", "meta length > 40", "meta length < 40",
    'meta hour "00:00"-"23:59"', "tcp sport 53", "tcp sport 1-40000", "{ip} saddr {half}",
    "meta priority 0", "th sport 53", "tcp sport 1024-65535",
    "tcp option maxseg size 1-500",
)
NFT_MARKS = ("meta mark set 0x1", "meta mark set meta mark or 0x2", "ct mark set 0x1",
             "meta mark set meta mark and 0x1", "ct mark set meta mark", "meta mark set ct mark",
             "meta mark set meta mark xor 0x5")
NFT_MAPS = (
    "tcp dport vmap @decisions", "tcp dport vmap {{ 22 : {a}, 23 : {b}, 1024-65535 : {c} }}",
    "tcp dport vmap {{ 22 : {a}, * : {b} }}", "ct state vmap {{ established : accept, new : {a} }}",
    "meta l4proto . th dport vmap {{ tcp . 22 : {a}, udp . 9000 : {b}, tcp . 8080 : {c} }}",
    "{ip} saddr vmap {{ {own} : accept, {friend} : drop }}",
)

NFT_OUT = ("tcp sport 22 drop", "tcp sport {{ 23, 8080 }} drop", "ct state established accept",
           "ct direction reply tcp sport 8080 drop", 'oifname "eth0" tcp sport 23 drop',
           "tcp flags & (syn|ack) == (syn|ack) tcp sport 22 drop", "meta l4proto tcp accept",
           "{ip} saddr {here} accept", "tcp dport < 1024 drop")

IPTABLES_CLEAR = (
    "", "-p tcp --dport 22", "-p tcp -m multiport --dports 22,80:90", "-p tcp ! --dport 22",
    "-p tcp -m multiport ! --dports 22,8080", "-p tcp --dport 8080", "-p tcp --dport 1024:",
    "-p udp --dport 9000", "-p tcp", "! -p udp", "-p udp", "-m set --match-set ports dst",
    "-m set ! --match-set ports dst", "-m set --match-set pairs{v} src,dst",
    "-m set --match-set friends{v} src", "-m set ! --match-set friends{v} src",
    "-m set --match-set {knock} src", "-p tcp --dport 22 -m set --match-set {knock} src",
    "-m set ! --match-set {knock} src", "-i eth0", "! -i eth0", "-i eth+", "-i lo", "-i docker0",
    "-m conntrack --ctstate NEW", "-m conntrack --ctstate NEW,UNTRACKED",
    "-m conntrack --ctstate RELATED,ESTABLISHED", "-m conntrack ! --ctstate NEW",
    "-m conntrack --ctstate INVALID", "-m conntrack --ctstate DNAT", "-m conntrack --ctdir ORIGINAL",
    "-m conntrack --ctdir REPLY", "-p tcp -m conntrack --ctorigdstport 8080",
    "-p tcp -m conntrack --ctorigdstport 20:22 --ctdir ORIGINAL",
    "-m conntrack --ctstatus SEEN_REPLY", "-m mark --mark 0x1", "-m mark ! --mark 0x1/0x3",
    "-m mark --mark 0x2/0xf", "-m connmark --mark 0x1",
    "-p tcp --tcp-flags FIN,SYN,RST,ACK SYN", "-p tcp --syn", "-p tcp ! --syn",
    "-s {own}", "! -s {own}", "-s {all}", "-d {here}", "! -d {here}",
    "-d {net}", "-m addrtype --dst-type LOCAL", "-m addrtype ! --dst-type LOCAL",
    "-m addrtype --dst-type BROADCAST", "-m pkttype --pkt-type unicast",
    "-m comment --comment \"a -p udp b\"",
    "-m policy --dir in --pol none", "-m policy --dir in --pol ipsec", "-m helper --helper ftp",
    "-m recent --set --name seen --rsource", "-m iprange --src-range {range}",
    "-m iprange ! --src-range {range}",
)
IPTABLES_VAGUE = (
    "-m limit --limit 1000/s --limit-burst 200", "-p tcp --dport 22 -m limit --limit 1000/s "
    "--limit-burst 200", "-m hashlimit --hashlimit-upto 1000/s --hashlimit-burst 200 "
    "--hashlimit-mode srcip --hashlimit-name a{n}", "-m hashlimit --hashlimit-above 1000/s "
    "--hashlimit-burst 200 --hashlimit-mode srcip --hashlimit-name b{n}",
    "-p tcp -m connlimit --connlimit-upto 90", "-p tcp -m connlimit --connlimit-above 90",
    "-m recent --update --seconds 60 --hitcount 20 --name seen",
    "-m recent ! --rcheck --seconds 60 --hitcount 20 --name seen",
    "-m recent --rcheck --name seen", "-m recent ! --rcheck --name seen",
    "-m time --timestart 00:00 --timestop 23:59:59", "-m u32 --u32 0&0xf0000000=0x0",
    "-p tcp --sport 53", "-p tcp --sport 1024:65535", "-p tcp --sport 1:40000", "-p tcp -m multiport --ports 22,53",
    "-m length --length 0:40", "-m length --length 41:", "-m quota --quota 90000000",
    "-m statistic --mode nth --every 2 --packet 0", "-m dscp --dscp 1", "-s {half}",
    "-p tcp -m tcpmss --mss 1:500", "-m mac --mac-source 02:00:00:00:00:99",
)

IPTABLES_OUT = ("-p tcp --sport 22 -j DROP", "-p tcp -m multiport --sports 23,8080 -j DROP",
                "-m conntrack --ctstate ESTABLISHED -j ACCEPT", "-m conntrack --ctdir REPLY -p tcp "
                "--sport 8080 -j DROP", "-o eth0 -p tcp --sport 23 -j DROP",
                "-p tcp --tcp-flags SYN,ACK SYN,ACK --sport 22 -j DROP", "-p tcp -j ACCEPT",
                "-s {here} -j ACCEPT", "-p tcp --dport :1023 -j DROP")

PLACES = {
    4: {"ip": "ip", "v": "", "knock": "knock_ssh", "all": "0.0.0.0/0", "own": "10.0.0.0/8",
        "friend": "203.0.113.9", "here": "192.0.2.1", "net": "192.0.2.0/24", "half": "128.0.0.0/1",
        "range": "10.0.0.1-10.0.0.99", "box": "172.17.0.2", "type": "ipv4_addr"},
    6: {"ip": "ip6", "v": "6", "knock": "knock_ssh6", "all": "::/0", "own": "fd12::/16",
        "friend": "2001:db8:9::9", "here": "2001:db8::1", "net": "2001:db8::/32",
        "half": "2000::/4", "range": "fd12::1-fd12::99", "box": "fd00::2", "type": "ipv6_addr"},
}

IPSETS = """\
create knock_ssh hash:ip timeout 0
create knock_ssh6 hash:ip family inet6 timeout 0
create ports bitmap:port range 0-65535
add ports 22
add ports 8080
create pairs hash:net,port
add pairs 0.0.0.0/1,tcp:23
add pairs 128.0.0.0/1,tcp:23
add pairs 10.0.0.0/8,tcp:22
create pairs6 hash:ip,port family inet6
add pairs6 2001:db8:9::9,tcp:22
create friends hash:net
add friends 203.0.113.0/24
create friends6 hash:net family inet6
add friends6 2001:db8:9::/48
"""


class Rules:
    """A firewall of one kind for one version of IP."""

    def __init__(self, random, kind, version, prefix, refused=()):
        self.random, self.kind, self.version, self.prefix = random, kind, version, prefix
        self.is_vague = random.random() < 0.5
        self.places = PLACES[version]
        self.n = 0
        clear, vague = ((NFT_CLEAR, NFT_VAGUE) if kind == "nft"
                        else (IPTABLES_CLEAR, IPTABLES_VAGUE))
        self.clear = [part for part in clear if part not in refused]
        self.vague = [part for part in vague if part not in refused]
        self.text = self._nft() if kind == "nft" else self._iptables()

    def _condition(self):
        random = self.random
        pool = self.vague if self.is_vague and random.random() < 0.25 else self.clear
        self.n += 1
        return random.choice(pool).format(n=self.n, **self.places)

    def _verdict(self, jumps, can_reject, in_map=False):
        """A chain that is jumped to comes later than the one that jumps."""
        random = self.random
        words = ["accept"] * 4 + ["drop"] * 3 + ["return"]
        words += ["reject"] if can_reject and not in_map else []
        words += [random.choice(("jump", "goto", "jump")) + f" c{chain}" for chain in jumps[:3]]
        return random.choice(words)

    def _chain(self, jumps, can_reject, n_max=5):
        rule = self._nft_rule if self.kind == "nft" else self._iptables_rule
        return [rule(jumps, can_reject) for _ in range(self.random.randint(0, n_max))]

    def _can_be_together(self, *conditions):
        """Whoever has knocked may be of a network that others are not of: that is never clear."""
        knocked = "@knockers" if self.kind == "nft" else self.places["knock"]
        return (self.is_vague or not any(knocked in condition for condition in conditions)
                or not all(re.search(r"saddr|src|-s ", condition) for condition in conditions))

    def _nft_rule(self, jumps, can_reject):
        random = self.random
        condition, chance = self._condition(), random.random()
        if random.random() < 0.2:
            more = self._condition()
            condition += " " + more if self._can_be_together(condition, more) else ""
        if chance < 0.1:
            verdicts = {name: self._verdict(jumps, can_reject, True) for name in "abc"}
            return random.choice(NFT_MAPS).format(**verdicts, **self.places)
        if chance < 0.2:
            return f"{condition} {random.choice(NFT_MARKS)}"
        if chance < 0.35:
            return f'{condition} counter log prefix "{self.prefix}"' + random.choice(
                ("", "", " drop"))
        return f"{condition} {self._verdict(jumps, can_reject)}"

    def _move(self):
        """Where the three ports may be sent."""
        box = self.places["box"]
        bracketed = f"[{box}]" if self.version == 6 else box
        ip, port = self.places["ip"], self.random.choice((22, 23, 8080))
        moves = {"nft": (f"tcp dport {port} redirect to :2222", f"tcp dport {port} redirect to :23",
                         f"tcp dport {port} dnat {ip} to {bracketed}:80",
                         f"tcp dport {port} dnat {ip} to {box}",
                         f"dnat {ip} to tcp dport map {{ {port} : {box}, 99 : {box} }}",
                         f"fib daddr type local tcp dport {port} dnat {ip} to {bracketed}:80")}
        here = self.places["here"]
        tables = (f"-p tcp --dport {port} -j REDIRECT --to-ports 2222",
                  f"-p tcp --dport {port} -j REDIRECT --to-ports 23",
                  f"-p tcp --dport {port} -j DNAT --to-destination {bracketed}:80",
                  f"-p tcp --dport {port} -j DNAT --to-destination {box}",
                  f"-m addrtype --dst-type LOCAL -p tcp --dport {port} -j DNAT "
                  f"--to-destination {bracketed}:80",
                  f"-d {here} ! -i docker0 -p tcp --dport {port} -j DNAT "
                  f"--to-destination {bracketed}:80")
        return self.random.choice(moves["nft"] if self.kind == "nft" else tables)

    def _nft(self):
        random, places = self.random, self.places
        chains = {f"c{i}": self._chain(range(i + 1, 4), False, 4) for i in range(4)}
        base = ['iifname "docker0" accept', "meta l4proto ipv6-icmp accept"]

        def hook(name, kind, where, priority, rules, policy="accept"):
            lines = "\n  ".join([f"type {kind} hook {where} priority {priority}; policy {policy};",
                                 *rules])
            return f" chain {name} {{\n  {lines}\n }}\n"

        text = (f"table inet filter {{\n set knockers {{ type {places['type']}; flags timeout; }}\n"
                f" set seen {{ type {places['type']}; flags dynamic,timeout; timeout 1m; }}\n"
                f" set friends {{ type {places['type']}; elements = {{ {places['friend']} }}; }}\n"
                " set ports { type inet_service; flags interval; elements = { 22, 8080-8090 }; }\n"
                " set pairs { type inet_proto . inet_service; elements = { tcp . 22, udp . 9000 }; "
                "}\n limit often { rate 1000/second burst 200 packets; }\n"
                " map decisions { type inet_service : verdict; elements = { 22 : "
                f"{random.choice(('accept', 'drop', 'jump leaf'))}, 8080 : "
                f"{random.choice(('accept', 'drop', 'goto leaf'))} }}; }}\n"
                f" chain leaf {{ {random.choice(NFT_CLEAR).format(**places)} accept; }}\n")
        for name in reversed(chains):
            text += f" chain {name} {{\n  " + "\n  ".join(chains[name] or ["counter"]) + "\n }\n"
        jumps = range(4)
        # Without it no rule may refuse what comes after the first packet.
        established = ["ct state established,related accept"] if random.random() < 0.7 else []
        can_reject = bool(established)
        text += hook("in", "filter", "input", 0,
                     base + established + self._chain(jumps, can_reject, 8),
                     random.choice(("drop", "drop", "accept")))
        if random.random() < 0.3:
            text += hook("in2", "filter", "input", 10, base + established
                         + self._chain(jumps, can_reject, 3),
                         random.choice(("drop", "accept", "accept")))
        if random.random() < 0.4:
            text += hook("pre", "filter", "prerouting", -150, base + self._chain(jumps, False, 3))
        if random.random() < 0.1:
            text += hook("raw", "filter", "prerouting", -300, base + [
                random.choice(("tcp dport 22", "tcp dport 7000-8000", "")) + " notrack"])
        if random.random() < 0.5:
            moves = [self._move() for _ in range(random.randint(1, 3))]
            if random.random() < 0.3:
                moves.insert(0, f"{self._condition()} {random.choice(('accept', 'return'))}")
            text += hook("nat", "nat", "prerouting", -100, moves)
        if random.random() < 0.7:
            text += hook("fw", "filter", "forward", 0, base + established
                         + self._chain(jumps, can_reject, 6), random.choice(("drop", "drop", "accept")))
        # Who has knocked may be answered from another port than a stranger, where nat tells them apart.
        if random.random() < 0.3 and "type nat" not in text:
            text += hook("out", "filter", "output", 0, ['oifname != "eth0" accept', base[1]] + [
                random.choice(NFT_OUT).format(**places) for _ in range(random.randint(1, 3))],
                random.choice(("accept", "accept", "drop")))
        # The laboratory's device is a bridge, where these may come before ingress (br_netfilter).
        if random.random() < 0.5 and "hook prerouting" not in text:
            text += (" chain ingress {\n  type filter hook ingress device eth0 priority 0;\n  "
                     + "\n  ".join(random.choice((
                         "tcp dport 22 drop", "tcp dport { 23, 7000 } drop", "udp dport 9000 drop",
                         "tcp dport 8080 accept", f"{places['ip']} saddr {places['own']} drop",
                         f"{places['ip']} daddr {places['here']} tcp dport 8000-8080 drop",
                         "tcp flags & (fin|syn) == (fin|syn) drop"))
                                  for _ in range(random.randint(1, 3))) + "\n }\n")
        return text + "}\n"

    def _iptables_rule(self, jumps, can_reject):
        random = self.random
        condition, chance = self._condition(), random.random()
        # Each protocol and each interface can be said once.
        if random.random() < 0.2 and "-p" not in condition:
            more = self._condition()
            words = set(condition.split()) & set(more.split()) - {"-m", "!", "0x1"}
            condition += (" " + more if not words and self._can_be_together(condition, more)
                          else "")
        if chance < 0.1:
            return condition + " -j MARK --set-xmark " + random.choice(
                ("0x1/0xffffffff", "0x2/0x2", "0x0/0x1"))
        if chance < 0.25:
            return f'{condition} -j LOG --log-prefix "{self.prefix}"'
        verdict = self._verdict(jumps, can_reject)
        return condition + " " + (verdict.replace("jump", "-j").replace("goto", "-g")
                                  if " " in verdict else f"-j {verdict.upper()}")

    def _iptables(self):
        random = self.random

        def table(name, chains):
            lines = [f"*{name}"] + [f":{chain} {policy} [0:0]" for chain, policy, _ in chains]
            lines += [f"-A {chain} {rule}" for chain, _, rules in chains for rule in rules]
            return "\n".join([*lines, "COMMIT", ""])

        base = ["-i docker0 -j ACCEPT", "-p ipv6-icmp -j ACCEPT"]
        established = (["-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"]
                       if random.random() < 0.7 else [])
        jumps = range(4)
        can_reject = bool(established)
        leaving = [] if random.random() < 0.8 else ["! -o eth0 -j ACCEPT", base[1]] + [
            random.choice(IPTABLES_OUT).format(**self.places) for _ in range(random.randint(1, 3))]
        filters = [(f"c{i}", "-", self._chain(range(i + 1, 4), can_reject, 4)) for i in jumps]
        text = table("filter", [
            ("INPUT", random.choice(("DROP", "DROP", "ACCEPT")),
             base + established + self._chain(jumps, can_reject, 8)),
            ("FORWARD", random.choice(("DROP", "DROP", "ACCEPT")),
             base + established + self._chain(jumps, can_reject, 6)),
            ("OUTPUT", random.choice(("ACCEPT", "ACCEPT", "DROP")) if leaving else "ACCEPT",
             leaving), *filters])
        if random.random() < 0.4:
            text += table("mangle", [("PREROUTING", "ACCEPT", base + self._chain((), False, 3)),
                                     ("INPUT", "ACCEPT", self._chain((), False, 1))])
        if random.random() < 0.1:
            text += table("raw", [("PREROUTING", "ACCEPT", base + [random.choice(
                ("-p tcp --dport 22", "-p tcp --dport 7000:8000", "")) + " -j CT --notrack"])])
        if random.random() < 0.5 and not leaving:
            moves = [self._move() for _ in range(random.randint(1, 3))]
            if random.random() < 0.3:
                moves.insert(0, f"{self._condition()} -j {random.choice(('ACCEPT', 'RETURN'))}")
            text += table("nat", [("PREROUTING", "ACCEPT", moves)])
        return text
