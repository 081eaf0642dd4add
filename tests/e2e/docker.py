"""The chains that Docker makes, as it publishes them, with one container's ports."""

from behind import V4, V6

# What dockerd 27 and 28 load for `docker run -p 8080:443`, per family; DOCKER-USER is made if it is
# not there, and the jump to it is put first.
RULES = """\
*nat
:DOCKER - [0:0]
-F DOCKER
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d {loopback} -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s {subnet} ! -o inner -j MASQUERADE
-A DOCKER ! -i inner -p tcp -m tcp --dport {port} -j DNAT --to-destination {to}
COMMIT
*filter
:DOCKER - [0:0]
:DOCKER-BRIDGE - [0:0]
:DOCKER-CT - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
-P FORWARD DROP
-A DOCKER -d {address} ! -i inner -o inner -p tcp -m tcp --dport 443 -j ACCEPT
-A DOCKER ! -i inner -o inner -j DROP
-A DOCKER-BRIDGE -o inner -j DOCKER
-A DOCKER-CT -o inner -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i inner -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i inner ! -o inner -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o inner -j DROP
-I FORWARD -j DOCKER-FORWARD
COMMIT
"""

FAMILIES = (
    ("iptables", V4, f"{V4}:443", "10.9.9.0/24", "127.0.0.0/8"),
    ("ip6tables", V6, f"[{V6}]:443", "fd00:9::/64", "::1"),
)

# As dockerd arranges it whenever it starts or its firewall is flushed.
USER_CHAIN = """
{program} -n -L DOCKER-USER >/dev/null 2>&1 || {program} -N DOCKER-USER
while {program} -D FORWARD -j DOCKER-USER 2>/dev/null; do :; done
{program} -I FORWARD -j DOCKER-USER
"""

# What it has made goes before it makes that again.
CLEAN = """
while {program} -D FORWARD -j DOCKER-FORWARD 2>/dev/null; do :; done
while {program} -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER 2>/dev/null; do :; done
while {program} -t nat -D OUTPUT ! -d {loopback} -m addrtype --dst-type LOCAL -j DOCKER \\
    2>/dev/null; do :; done
while {program} -t nat -D POSTROUTING -s {subnet} ! -o inner -j MASQUERADE 2>/dev/null; do :; done
for chain in DOCKER-FORWARD DOCKER-BRIDGE DOCKER-CT DOCKER DOCKER-ISOLATION-STAGE-1 \\
    DOCKER-ISOLATION-STAGE-2; do
    {program} -F $chain 2>/dev/null || :
done
"""


def start(lab, port):
    """What dockerd does when it starts, or starts again, with one container behind `inner`."""
    for program, address, to, subnet, loopback in FAMILIES:
        values = {"program": program, "address": address, "to": to, "subnet": subnet,
                  "loopback": loopback, "port": port}
        lab.server.run("sh", "-ec", CLEAN.format(**values))
        lab.server.run(f"{program}-restore", "--noflush", input=RULES.format(**values))
        lab.server.run("sh", "-ec", USER_CHAIN.format(**values))
