"""Firewalls that others have written: the doctor finds nothing wrong with those that work, and says
what is wrong with those that do not."""

import pytest

from doors import iptables_door, ipset_door, nft_door
from hosts import wait_until
from lab import GUARDED_PORT, ROOT, Lab
from test_doctor import complaints, doctor

LIMIT = ("-m hashlimit --hashlimit-name k --hashlimit-mode srcip --hashlimit-upto 30/min "
         "--hashlimit-burst 32 -m limit --limit 2000/sec --limit-burst 5000")
LOG = f"{LIMIT} -j LOG --log-prefix"
STATE = "-m conntrack --ctstate RELATED,ESTABLISHED"

IPTABLES = {
    "a drop at the end": """\
*filter
:INPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p ipv6-icmp -j ACCEPT
-A INPUT -m set --match-set SET src -j ACCEPT
-A INPUT -m limit --limit 3/min -j LOG --log-prefix "other: "
-A INPUT LOG "PREFIX"
-A INPUT -j REJECT
COMMIT
""",
    "interfaces": """\
*filter
:INPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -i eth1 -j ACCEPT
-A INPUT -i eth0 STATE -j ACCEPT
-A INPUT -p ipv6-icmp -j ACCEPT
-A INPUT -i eth0 -p tcp --dport 22 -m set --match-set SET src -j ACCEPT
-A INPUT -i eth0 LOG "PREFIX"
COMMIT
""",
    "addresses": """\
*filter
:INPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -d ADDRESS STATE -j ACCEPT
-A INPUT -p ipv6-icmp -j ACCEPT
-A INPUT -d OTHER -j DROP
-A INPUT -d ADDRESS -p tcp --dport 22 -m set --match-set SET src -j ACCEPT
-A INPUT -d ADDRESS LOG "PREFIX"
COMMIT
""",
    "chains": """\
*filter
:INPUT DROP [0:0]
:LOGDROP - [0:0]
:KNOCKED - [0:0]
:WAN - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT STATE -j ACCEPT
-A INPUT ! -i lo -g WAN
-A WAN -p ipv6-icmp -j ACCEPT
-A WAN -m conntrack --ctstate INVALID -j DROP
-A WAN -m set --match-set SET src -j KNOCKED
-A WAN -j LOGDROP
-A KNOCKED -p tcp -m multiport --dports 22,443 -j ACCEPT
-A KNOCKED -j RETURN
-A LOGDROP LOG "PREFIX"
-A LOGDROP -j DROP
COMMIT
""",
    "a drop of what is too much": """\
*filter
:INPUT DROP [0:0]
:LOGDROP - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT STATE -j ACCEPT
-A INPUT -p ipv6-icmp -j ACCEPT
-A INPUT -m set --match-set SET src -p tcp --dport 22 -j ACCEPT
-A INPUT -j LOGDROP
-A LOGDROP -m hashlimit --hashlimit-name k --hashlimit-mode srcip --hashlimit-above 30/min """
"""--hashlimit-burst 32 -j DROP
-A LOGDROP -m limit --limit 2000/sec --limit-burst 5000 -j LOG --log-prefix "PREFIX"
COMMIT
""",
    "logged before routing": """\
*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -m set --match-set SET src -j RETURN
-A PREROUTING -p tcp --syn LOG "PREFIX"
COMMIT
*filter
:INPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT STATE -j ACCEPT
-A INPUT -p ipv6-icmp -j ACCEPT
-A INPUT -m set --match-set SET src -p tcp --dport 22 -j ACCEPT
COMMIT
""",
    "containers, and bans": """\
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination CONTAINER:80
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
:f2b-sshd - [0:0]
-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
-A INPUT -i lo -j ACCEPT
-A INPUT STATE -j ACCEPT
-A INPUT -p ipv6-icmp -j ACCEPT
-A INPUT -p tcp --dport 22 -m set --match-set SET src -j ACCEPT
-A INPUT -p tcp -m recent --name scan --update --seconds 60 --hitcount 20 -j DROP
-A INPUT -p tcp --syn LOG "PREFIX"
-A FORWARD -j DOCKER-USER
-A f2b-sshd -s BANNED -j REJECT
-A f2b-sshd -j RETURN
COMMIT
""",
}

NFT_SETS = """
    set knockers { type ipv4_addr; flags timeout; }
    set knockers6 { type ipv6_addr; flags timeout; }
    set seen { type ipv4_addr; flags dynamic,timeout; timeout 10s; }
    set seen6 { type ipv6_addr; flags dynamic,timeout; timeout 10s; }"""

NFT = {
    "verdict maps": f"""
table inet filter {{{NFT_SETS}
    set blocked {{ type ipv4_addr; elements = {{ 10.0.0.1 }}; }}
    chain in {{
        type filter hook input priority 0; policy drop;
        ct state vmap {{ established : accept, related : accept, invalid : drop }}
        iifname "lo" accept
        ip saddr @blocked drop
        meta l4proto ipv6-icmp accept
        ip saddr @knockers tcp dport {{ 22, 443 }} accept
        ip6 saddr @knockers6 tcp dport {{ 22, 443 }} accept
        update @seen {{ ip saddr timeout 12s limit rate 30/minute burst 32 packets }} limit rate 2000/second burst 5000 packets log prefix "PREFIX" level info drop
        update @seen6 {{ ip6 saddr timeout 12s limit rate 30/minute burst 32 packets }} limit rate 2000/second burst 5000 packets log prefix "PREFIX" drop
    }}
}}""",
    "a drop of what is too much": f"""
table inet filter {{{NFT_SETS}
    chain logdrop {{
        ip saddr != 0.0.0.0 add @seen {{ ip saddr limit rate over 30/minute burst 32 packets }} drop
        ip6 saddr != :: add @seen6 {{ ip6 saddr limit rate over 30/minute burst 32 packets }} drop
        limit rate 2000/second burst 5000 packets log prefix "PREFIX"
    }}
    chain in {{
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iifname "lo" accept
        meta l4proto ipv6-icmp accept
        iifname {{ "eth0", "eth2" }} jump wan
        iifname "eth1" accept
    }}
    chain wan {{
        ip daddr 192.0.2.1 ip saddr @knockers tcp dport 22 accept
        ip6 daddr 2001:db8::/32 ip6 saddr @knockers6 tcp dport 22 accept
        goto logdrop
    }}
}}""",
    "meters": f"""
table inet filter {{{NFT_SETS}
    chain in {{
        type filter hook input priority 0; policy accept;
        ct state established,related accept
        iif "lo" accept
        meta l4proto ipv6-icmp accept
        ip saddr @knockers tcp dport 22 accept
        ip6 saddr @knockers6 tcp dport 22 accept
        meter k4 size 65535 {{ ip saddr timeout 12s limit rate 30/minute burst 32 packets }} limit rate 2000/second burst 5000 packets log prefix "PREFIX"
        meter k6 size 65535 {{ ip6 saddr timeout 12s limit rate 30/minute burst 32 packets }} limit rate 2000/second burst 5000 packets log prefix "PREFIX"
        reject with icmpx type admin-prohibited
    }}
}}""",
    "tables by iptables' names": """
table ip filter {
    set knockers { type ipv4_addr; flags timeout; }
    set seen { type ipv4_addr; flags dynamic,timeout; timeout 10s; }
    chain before {
        type filter hook prerouting priority -150;
        fib daddr type local tcp flags & (syn|ack) == syn update @seen { ip saddr limit rate 30/minute burst 32 packets } limit rate 2000/second burst 5000 packets log prefix "PREFIX"
    }
    chain INPUT {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iif "lo" accept
        ip saddr @knockers tcp dport 22 ct state new counter accept
    }
}
table ip6 filter {
    set knockers6 { type ipv6_addr; flags timeout; }
    set seen { type ipv6_addr; flags dynamic,timeout; timeout 10s; }
    chain in {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        meta l4proto ipv6-icmp accept
        iif "lo" accept
        ip6 saddr @knockers6 tcp dport 22 ct state new counter accept
        tcp flags syn / syn,ack update @seen { ip6 saddr limit rate 30/minute burst 32 packets } limit rate 2000/second burst 5000 packets log prefix "PREFIX"
    }
}""",
}

PLACES = ({"SET": "knock_ssh", "ADDRESS": "192.0.2.1", "OTHER": "192.0.2.250",
           "BANNED": "203.0.113.9", "CONTAINER": "172.17.0.2"},
          {"SET": "knock_ssh6", "ADDRESS": "2001:db8::1", "OTHER": "2001:db8::250",
           "BANNED": "2001:db8:9::1", "CONTAINER": "[fd00::2]"})


@pytest.fixture(scope="module")
def bare(possible):
    """A machine without any firewall, as a test makes one and takes it away."""
    with Lab("none") as lab:
        lab.server.ip("route add default dev eth0", "route add ::/0 dev eth0")
        # There and not loaded: what asks for it finds nothing.
        lab.server.run("ipset", "restore", input="create knock_ssh hash:ip timeout 0\n"
                       "create knock_ssh6 hash:ip family inet6 timeout 0\n"
                       "create knocktail_expected bitmap:port range 1024-65535 timeout 0\n")
        yield lab


@pytest.fixture
def shaped(bare):
    """Loads a firewall of some kind, and tells the doors that go with it."""
    def load(text, program="iptables"):
        if program == "nft":
            bare.server.run("nft", "-f", "-", input=text.replace("PREFIX", bare.prefix))
            kind = "ip{} filter" if "ip filter" in text else "inet filter"
            return nft_door(set=kind.format("") + " knockers", ports=GUARDED_PORT,
                            set_6=kind.format("6") + " knockers6")
        for place, restore in zip(PLACES, (program, program.replace("iptables", "ip6tables"))):
            rules = text.replace(" LOG \"", f" {LOG} \"").replace("STATE -j", f"{STATE} -j")
            for word, value in {**place, "PREFIX": bare.prefix}.items():
                rules = rules.replace(word, value)
            bare.server.run(f"{restore}-restore", input=rules)
        return ipset_door(set="knock_ssh", set_6="knock_ssh6", ports=GUARDED_PORT)

    yield load
    bare.server.run("sh", "-c", """
        nft flush ruleset; ipset flush
        for program in iptables-legacy ip6tables-legacy; do
            $program -P INPUT ACCEPT
            for table in nat mangle filter; do
                printf '*%s\\nCOMMIT\\n' $table | $program-restore
            done
        done""")


def knocks_and_is_let_in(lab, doors):
    """The proof that the machine is healthy."""
    daemon, client = lab.daemon(doors), lab.client()
    for version in (4, 6):
        assert not client.can_connect(version=version)
        since = client.knock(7000, 8000, 9000, version=version)
        client.wait_open(version=version, since=since)
    client.close()
    return daemon


@pytest.mark.parametrize("shape", [(kind, name) for kind, names in (
    ("iptables", IPTABLES), ("nft", NFT), ("iptables-legacy", ("chains", "containers, and bans")))
    for name in names], ids=": ".join)
def test_a_healthy_machine_of_another_shape(bare, shaped, needs, shape):
    kind, name = shape
    needs(kind)
    doors = shaped((NFT if kind == "nft" else IPTABLES)[name], kind)
    daemon = knocks_and_is_let_in(bare, doors)
    status, found = doctor(bare, bare.config(doors))
    assert not complaints(found) and status == 0
    daemon.stop()


@pytest.mark.parametrize("kind", ["iptables", "nft"])
def test_the_firewalls_to_start_from(bare, shaped, kind):
    """Those of etc/, with another prefix."""
    with open(f"{ROOT}/etc/firewall.{kind}", encoding="ascii") as file:
        text = file.read().replace("[knock] ", bare.prefix)
    doors = shaped(text, kind)
    if kind == "nft":
        doors = doors.replace("filter knockers", "knock knock_ssh")
    daemon = knocks_and_is_let_in(bare, doors)
    status, found = doctor(bare, bare.config(doors))
    assert not complaints(found) and status == 0
    daemon.stop()


def test_a_knock_that_is_sent_elsewhere(bare, shaped):
    doors = shaped(IPTABLES["containers, and bans"].replace("8080", "8000"))
    _, found = doctor(bare, bare.config(doors))
    assert complaints(found) - {("problem", "daemon")} == {("problem", "log")}
    assert "step 2 is sent elsewhere before it is logged" in found["problem", "log"][0]


def test_legacy_rules_beside_others(bare, shaped, needs):
    """What the old tables drop is dropped, whatever the new ones say."""
    needs("iptables-legacy")
    doors = shaped(IPTABLES["chains"])
    bare.server.run("iptables-legacy", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "DROP")
    _, found = doctor(bare, bare.config(doors))
    assert complaints(found) - {("problem", "daemon")} == {("problem", "accept")}
    assert len(found["problem", "accept"]) == 1
    assert "IPv4: port 22 stays closed" in found["problem", "accept"][0]
    assert "because of iptables-legacy: -A INPUT" in found["problem", "accept"][0]


@pytest.mark.parametrize("log, said", [
    ('log prefix "PREFIX" group 0', "no rule logs packets like it"),
    ('log prefix "PREFIX" level debug', "logged at level 7"),
])
def test_lines_that_never_come_to_the_journal(bare, shaped, log, said):
    text = NFT["verdict maps"].replace('log prefix "PREFIX" level info', log)
    path = bare.config(shaped(text, "nft"))
    setting = bare.server.path("/run/systemd/journald.conf.d/zzz.conf")
    with open(setting, "w", encoding="ascii") as file:
        file.write("[Journal]\nMaxLevelStore = info \n")
    try:
        _, found = doctor(bare, path)
    finally:
        bare.server.run("rm", "/run/systemd/journald.conf.d/zzz.conf")
    assert complaints(found) - {("problem", "daemon")} == {("problem", "log")}
    assert all("IPv4" in text for text in found["problem", "log"])
    assert said in found["problem", "log"][0]


def test_a_machine_without_ipv6(possible):
    """Nothing is asked of rules for packets that cannot come."""
    with Lab("none") as lab:
        doors = iptables_door(ports=GUARDED_PORT)
        lab.server.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6")
        rules = lab.knocktail("rules", "iptables", "-c", lab.config(doors)).stdout
        lab.server.run("iptables-restore", "--noflush", input=rules)
        lab.daemon(doors)
        lab.client().knock(7000)
        wait_until(lambda: lab.records(), 3, "a probe is logged")
        status, found = doctor(lab, lab.config(doors))
        assert not complaints(found) and status == 0
