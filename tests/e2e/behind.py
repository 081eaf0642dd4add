"""A machine behind the server: what doors forward to, and what containers are."""

import socket
import subprocess

from hosts import Host, wait_until
from lab import LISTENER

V4, V6 = "10.9.9.2", "fd00:9::2"
GATEWAY_V4, GATEWAY_V6 = "10.9.9.1", "fd00:9::1"
INNER_PORT = 443


class Inner(Host):
    """Its wire ends at the server's interface `inner`; without a way back it knows the server alone."""

    v4, v6 = V4, V6

    def __init__(self, lab, has_way_back=True, ports=(INNER_PORT, 8443)):
        super().__init__(["--net"], "ip link set lo up; echo ready; exec cat")
        lab.server.ip(f"link add inner type veth peer name eth0 netns {self.pid}")
        # Who sends packets on asks for the way by the link's own address, and not while that is new.
        lab.server.run("sh", "-ec", "echo 0 >/proc/sys/net/ipv6/conf/inner/accept_dad")
        lab.server.ip("link set inner up",
                      f"address add {GATEWAY_V4}/24 dev inner",
                      f"address add {GATEWAY_V6}/64 dev inner nodad")
        self.ip("link set eth0 up", f"address add {V4}/24 dev eth0",
                f"address add {V6}/64 dev eth0 nodad")
        if has_way_back:
            self.ip(f"route add default via {GATEWAY_V4}",
                    f"route add ::/0 via {GATEWAY_V6}")
        lab.server.run("sh", "-ec", "echo 1 >/proc/sys/net/ipv4/ip_forward; "
                                    "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
        self._listener = self.popen(["/usr/bin/python3", "-c", LISTENER, *map(str, ports)],
                                    stdout=subprocess.PIPE)
        assert self._listener.stdout.readline() == b"ready\n"
        for family, address in ((socket.AF_INET, V4), (socket.AF_INET6, V6)):
            wait_until(lambda where=(family, address): self._answers(lab.server, *where, ports[0]), 10,
                       "the wire to the machine behind carries both families")

    @staticmethod
    def _answers(server, family, address, port):
        with server.socket(family) as sock:
            sock.settimeout(0.3)
            return sock.connect_ex((address, port)) == 0

    def close(self):
        self._listener.terminate()
        self._listener.wait(5)
        self._listener.stdout.close()
        super().close()

    def sees(self):
        """The addresses of those who are connected."""
        said = self.run("ss", "-Htn", "state", "established").stdout.split("\n")
        peers = [line.split()[-1].rpartition(":")[0].strip("[]") for line in said if line]
        return {peer.removeprefix("::ffff:") for peer in peers}
