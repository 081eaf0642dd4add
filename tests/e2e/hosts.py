"""Hosts for the tests: network namespaces that live exactly as long as this process.

A host is held by a process that waits for the end of a pipe. The pipe's other end is ours alone, so
that the kernel takes the whole host down, interfaces, mounts and processes included, even if this
process is killed and no clean-up code runs. Namespaces have no names, so that two labs cannot
collide and nothing is left under /run/netns.
"""

import concurrent.futures
import contextlib
import ctypes
import json
import os
import select
import socket
import subprocess
import time

CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)

# What a command of the tests sees of our environment: enough to find programs, nothing that could
# change what they print.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}

# The server: a private /run, so that journald, xtables.lock and the daemon's runtime directory are
# its own; the journals of this machine are out of sight. As process 1 of its namespace, `cat`
# ignores SIGCHLD so that the orphans it inherits are reaped.
SERVER_SETUP = """
mount -t tmpfs -o mode=0755 lab /run
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal /run/lock /run/lab
chgrp systemd-journal /run/log/journal
chmod 2755 /run/log/journal
for directory in /var/log/journal /var/lib/knocktail; do
    if [ -d $directory ]; then mount -t tmpfs -o mode=0755 lab $directory; fi
done
tr -d - </proc/sys/kernel/random/uuid >/run/machine-id
if [ -e /etc/machine-id ]; then mount --bind /run/machine-id /etc/machine-id; fi
trap '' CHLD
echo ready
exec cat
"""


class LabError(Exception):
    """The lab itself does not work: nothing is known about the program under test."""


def wait_until(condition, timeout, what, interval=0.02):
    """Waits for a true value and returns it; a test never sleeps for a guessed time."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:.3g} s in vain: {what}")
        time.sleep(interval)


def parse_step(step):
    """7000, "7000", "8000/udp" and "8000:udp" as (port, protocol)."""
    port, _, protocol = str(step).replace(":", "/").partition("/")
    return int(port), protocol or "tcp"


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


class Host:
    """One network namespace, and whatever else its holder has unshared."""

    def __init__(self, unshare, setup):
        self._holder = subprocess.Popen(
            ["unshare", *unshare, "sh", "-ec", setup],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
        if self._holder.stdout.readline() != b"ready\n":
            self._holder.stdin.close()
            reason = self._holder.stderr.read().decode().strip()
            self._holder.wait(10)
            raise LabError(f"no namespace: {reason}")
        self.pid = self._holder.pid
        self._network = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        # setns() moves one thread only: sockets made there stay there, wherever they are used.
        self._inside = concurrent.futures.ThreadPoolExecutor(1, initializer=self._enter_network)

    def _enter_network(self):
        if _libc.setns(self._network, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def close(self):
        """Ends everything that runs inside."""
        if self._holder.returncode is not None:
            return
        self._inside.shutdown()
        os.close(self._network)
        self._holder.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._holder.wait(5)
        if self._holder.poll() is None:
            self._holder.kill()
            self._holder.wait(5)
        self._holder.stdout.close()
        self._holder.stderr.close()

    def command(self, argv):
        """The argument vector that runs argv inside."""
        return ["nsenter", f"--target={self.pid}", "--net", "--", *map(str, argv)]

    def popen(self, argv, **kwargs):
        """Starts argv inside."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs["env"] = {**ENVIRONMENT, **kwargs.get("env", {})}
        return subprocess.Popen(self.command(argv), **kwargs)

    def run(self, *argv, check=True, timeout=20, input=None, env=None):
        """Runs argv inside to its end and returns the CompletedProcess, its output as text."""
        argv = ["timeout", "--kill-after=1", str(timeout), *map(str, argv)]
        done = subprocess.run(
            self.command(argv), input=input or "", text=True, errors="replace",
            capture_output=True, env={**ENVIRONMENT, **(env or {})}, timeout=timeout + 5,
            check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(argv)} exited {done.returncode}:\n"
                                 f"{done.stdout[-5000:]}{done.stderr[-5000:]}")
        return done

    def ip(self, *lines):
        """Runs lines of ip(8) in one go."""
        # Not through command(): ip must see the process ids of our own PID namespace.
        argv = ["nsenter", f"--target={self.pid}", "--net", "--", "ip", "-batch", "-"]
        done = subprocess.run(argv, input="\n".join(lines), text=True, capture_output=True,
                              env=ENVIRONMENT, timeout=20, check=False)
        if done.returncode != 0:
            raise LabError(f"ip: {done.stderr.strip()}")

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        """A socket inside the namespace, to be used from here."""
        return self._inside.submit(socket.socket, family, kind, protocol).result(10)


# The clients' addresses: for documentation (RFC 5737), and when they are used up those of services
# that are nobody's own (RFC 7526, 7535, 7450, 7534). A client takes each of them for one that the
# server sees, unlike those for benchmarks.
NETWORKS = ("198.51.100", "192.88.99", "192.31.196", "192.52.193", "192.175.48")


class Client(Host):
    """Who knocks: one address of each family, on a wire to the server."""

    def __init__(self, server, number):
        super().__init__(["--net"], "ip link set lo up; echo ready; exec cat")
        self.server = server
        self.v4 = f"{NETWORKS[(number - 1) // 254]}.{(number - 1) % 254 + 1}"
        self.v6 = f"2001:db8:c::{number:x}"
        port = f"client{number}"
        server.ip(
            f"link add {port} type veth peer name eth0 netns {self.pid}",
            f"link set {port} master eth0 up")
        self.ip(
            "link set eth0 up",
            f"address add {self.v4}/32 dev eth0",
            f"address add {self.v6}/128 dev eth0 nodad",
            f"route add 192.0.2.0/24 dev eth0 src {self.v4}",
            f"route add 2001:db8::/32 dev eth0 src {self.v6}")
        # Until the bridge has noticed the carrier it drops what comes, and ARP tries again a second
        # later.
        wait_until(lambda: self._is_plugged_in(port), 5, "the bridge forwards", 0.005)

    def _is_plugged_in(self, port):
        argv = ["nsenter", f"--target={self.server.pid}", "--net", "--",
                "ip", "-json", "-details", "link", "show", "dev", port]
        link = json.loads(subprocess.run(argv, capture_output=True, env=ENVIRONMENT, timeout=20,
                                         check=True).stdout)[0]
        return link["linkinfo"]["info_slave_data"]["state"] == "forwarding"

    def address(self, version=4):
        """Our own address."""
        return self.v6 if version == 6 else self.v4

    def peer(self, version=4):
        """The server's address."""
        return self.server.v6 if version == 6 else self.server.v4

    def _socket_to(self, version, kind):
        family = socket.AF_INET6 if version == 6 else socket.AF_INET
        return self.socket(family, kind)

    def hit(self, step, version=4):
        """Sends one packet to one port. A SYN whose socket is closed at once is not sent again."""
        port, protocol = parse_step(step)
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        with self._socket_to(version, kind) as sock:
            sock.setblocking(False)
            if protocol == "udp":
                sock.sendto(b"", (self.peer(version), port))
            else:
                sock.connect_ex((self.peer(version), port))

    def knock(self, *steps, version=4):
        """Hits the ports in order and returns when that was done (time.monotonic)."""
        for step in steps:
            self.hit(step, version)
        return time.monotonic()

    def time_knock(self, *steps, port=22, gap=0, timeout=3):
        """Knocks, and tells how many seconds after the last packet a connection comes about.

        It tries every half millisecond, without waiting for earlier tries. All in one go, so that
        nothing of ours gets in between.
        """
        return self._inside.submit(self._time_knock, steps, port, gap, timeout).result()

    def _time_knock(self, steps, port, gap, timeout):
        for i, step in enumerate(steps):
            number, protocol = parse_step(step)
            kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
            time.sleep(gap if i else 0)
            with socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK) as sock:
                sent = time.monotonic()
                if protocol == "udp":
                    sock.sendto(b"", (self.peer(), number))
                else:
                    sock.connect_ex((self.peer(), number))
        return self._time_open(port, sent + timeout) - sent

    def time_open(self, begin, port=22, timeout=3):
        """The same for a knock of another kind: begin() returns when it was made."""
        def both():
            begun = begin()
            return self._time_open(port, begun + timeout) - begun
        return self._inside.submit(both).result()

    def _time_open(self, port, end):
        with contextlib.ExitStack() as stack:
            tries, pause = [], 0.0005
            while time.monotonic() < end:
                sock = stack.enter_context(
                    socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
                tries.append(sock)
                sock.connect_ex((self.peer(), port))
                if len(tries) > 100:
                    pause = 0.01
                for ready in select.select([], tries, [], pause)[1]:
                    if ready.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                        return time.monotonic()
                    tries.remove(ready)
            raise AssertionError(f"port {port} does not open for {self.v4}")

    def can_connect(self, port=22, version=4, timeout=0.3):
        """Whether a TCP connection to the port comes about."""
        with self._socket_to(version, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            return sock.connect_ex((self.peer(version), port)) == 0

    def wait_open(self, port=22, version=4, timeout=1.5, since=None):
        """Waits for the door to open, counting from `since`, and returns how long it took."""
        start = time.monotonic() if since is None else since
        wait_until(lambda: self.can_connect(port, version, 0.1), timeout + start - time.monotonic(),
                   f"port {port} opens for {self.address(version)}")
        return time.monotonic() - start

    def wait_closed(self, port=22, version=4, timeout=5):
        """Waits for the door to close and returns the last time at which it was open."""
        end = time.monotonic() + timeout
        last_open = None
        while True:
            tried = time.monotonic()
            # On a busy machine a single packet may come late.
            if not self.can_connect(port, version, 0.2) and not self.can_connect(port, version, 0.2):
                return last_open
            last_open = tried
            if tried > end:
                raise AssertionError(f"port {port} still open after {timeout} s")
            time.sleep(0.02)


class Server(Host):
    """Who is knocked at: with processes, mounts and a /run of its own."""

    v4 = "192.0.2.1"
    v6 = "2001:db8::1"
    mac = "02:00:00:00:00:01"

    def __init__(self):
        self._spawned = []
        super().__init__(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"],
                         SERVER_SETUP)
        # unshare --fork stays outside of the PID namespace; its child is process 1 there.
        self.pid = _children(self._holder.pid)[0]
        # Without an address of its own a bridge changes it as clients come and go.
        self.ip(
            "link set lo up",
            f"link add eth0 address {self.mac} type bridge forward_delay 0 mcast_snooping 0",
            "link set eth0 up",
            f"address add {self.v4}/24 dev eth0",
            f"address add {self.v6}/32 dev eth0 nodad",
            *(f"route add {network}.0/24 dev eth0" for network in NETWORKS))

    def close(self):
        super().close()
        for process in self._spawned:
            process.wait(5)

    def command(self, argv):
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--",
                *map(str, argv)]

    def path(self, inside):
        """Where a file of the server is to be found from here."""
        return f"/proc/{self.pid}/root{inside}"

    def spawn(self, argv, **kwargs):
        """Starts argv inside; the process's own id (nsenter is only its parent) as `.inner`."""
        process = self.popen(argv, **kwargs)
        self._spawned.append(process)

        def child():
            if process.poll() is not None:
                raise LabError(f"{argv[0]} exited {process.returncode} at once")
            return _children(process.pid)

        process.inner = wait_until(child, 5, f"{argv[0]} starts", 0.002)[0]
        return process
