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
import signal
import socket
import subprocess
import time

# linux/sched.h
CLONE_FS = 0x200
NAMESPACES = {"cgroup": 0x02000000, "mnt": 0x00020000, "uts": 0x04000000, "ipc": 0x08000000,
              "net": 0x40000000, "pid": 0x20000000}

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
        # Before the look, which may take long: the last one is at the end, not before.
        last = time.monotonic() > end
        value = condition()
        if value:
            return value
        if last:
            raise AssertionError(f"waited {timeout:.3g} s in vain: {what}")
        time.sleep(interval)


def listens(path):
    """Whether somebody takes connections at a socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def parse_step(step):
    """7000, "7000", "8000/udp" and "8000:udp" as (port, protocol)."""
    port, _, protocol = str(step).replace(":", "/").partition("/")
    return int(port), protocol or "tcp"


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


class Inside:
    """A thread of this process that has entered namespaces of another.

    What it starts runs there: nothing stands between it and us, and nothing is executed but it.
    The sockets that it makes stay there, wherever they are used.
    """

    def __init__(self, pid, *kinds):
        self._namespaces = [(os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC),
                             NAMESPACES[kind]) for kind in kinds]
        self._thread = concurrent.futures.ThreadPoolExecutor(1, initializer=self._enter)

    def _enter(self):
        # A thread that shares its root directory with others may not change it for them.
        calls = [(_libc.unshare, CLONE_FS)] + [(_libc.setns, *namespace)
                                               for namespace in self._namespaces]
        for call, *arguments in calls:
            if call(*arguments) != 0:
                raise OSError(ctypes.get_errno(), "a thread cannot enter a namespace")

    def __call__(self, function, *arguments, **kwargs):
        """What the function returns, called inside."""
        return self._thread.submit(function, *arguments, **kwargs).result()

    def popen(self, argv, **kwargs):
        """Starts argv inside."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs["env"] = {**ENVIRONMENT, **(kwargs.get("env") or {})}
        return self(subprocess.Popen, list(map(str, argv)), **kwargs)

    def run(self, argv, timeout, input=None, env=None):
        """Runs argv inside to its end and returns the CompletedProcess, its output as text. What
        takes longer is ended, with all that it has started, and has exited 124, as of timeout(1)."""
        with self.popen(argv, env=env, text=True, errors="replace", start_new_session=True,
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE) as process:
            status = None
            for seconds, number in (timeout, signal.SIGTERM), (1, signal.SIGKILL):
                try:
                    stdout, stderr = process.communicate(input, seconds)
                    break
                except subprocess.TimeoutExpired:
                    status, input = 124, None
                    os.killpg(process.pid, number)
            else:
                stdout, stderr = process.communicate(timeout=20)
        return subprocess.CompletedProcess(process.args, status or process.returncode, stdout,
                                           stderr)

    def close(self):
        """Leaves."""
        self._thread.shutdown()
        for descriptor, _ in self._namespaces:
            os.close(descriptor)


class Host:
    """One network namespace, and whatever else its holder has unshared."""

    NAMESPACES = ("net",)

    def __init__(self, unshare, setup):
        self._holder = subprocess.Popen(
            ["unshare", *unshare, "sh", "-ec", setup],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
        if self._holder.stdout.readline() != b"ready\n":
            self._holder.stdin.close()
            reason = self._holder.stderr.read().decode().strip()
            self._holder.wait(10)
            raise LabError(f"no namespace: {reason}")
        self.pid = self._process_1()
        # ip(8) must see the process ids of our own PID namespace.
        self._network = Inside(self.pid, "net")
        self._inside = Inside(self.pid, *self.NAMESPACES)

    def _process_1(self):
        return self._holder.pid

    def close(self):
        """Ends everything that runs inside."""
        if self._holder.returncode is not None:
            return
        self._holder.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._holder.wait(5)
        if self._holder.poll() is None:
            self._holder.kill()
            self._holder.wait(5)
        self._holder.stdout.close()
        self._holder.stderr.close()
        self._inside.close()
        self._network.close()

    def popen(self, argv, **kwargs):
        """Starts argv inside."""
        return self._inside.popen(argv, **kwargs)

    def run(self, *argv, check=True, timeout=20, input=None, env=None):
        """Runs argv inside to its end and returns the CompletedProcess, its output as text."""
        done = self._inside.run(argv, timeout, input, env)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(done.args)} exited {done.returncode}:\n"
                                 f"{done.stdout[-5000:]}{done.stderr[-5000:]}")
        return done

    def ip(self, *lines):
        """Runs lines of ip(8) in one go."""
        done = self._network.run(["ip", "-batch", "-"], 20, "\n".join(lines))
        if done.returncode != 0:
            raise LabError(f"ip: {done.stderr.strip()}")

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        """A socket inside the namespace, to be used from here."""
        return self._network(socket.socket, family, kind, protocol)


# The clients' addresses: for documentation (RFC 5737), and when they are used up those of services
# that are nobody's own (RFC 7526, 7535, 7450, 7534). A client takes each of them for one that the
# server sees, unlike those for benchmarks.
NETWORKS = ("198.51.100", "192.88.99", "192.31.196", "192.52.193", "192.175.48")


class Client(Host):
    """Who knocks: one address of each family, on a wire to the server."""

    def __init__(self, server, number):
        super().__init__(["--net"], "ip link set lo up; echo ready; exec cat")
        self.server = server
        self._last_open = {}  # by port and version: when it was last seen open
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
        link = json.loads(self.server.run("ip", "-json", "-details", "link", "show", "dev", port)
                          .stdout)[0]
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
        return self._network(self._time_knock, steps, port, gap, timeout)

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
        return self._network(both)

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
        tried = time.monotonic()
        with self._socket_to(version, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            if sock.connect_ex((self.peer(version), port)) != 0:
                return False
        self._last_open[port, version] = tried
        return True

    def wait_open(self, port=22, version=4, timeout=5, since=None):
        """Waits for the door to open, counting from `since`, and returns a time at which it was open."""
        start = time.monotonic() if since is None else since
        wait_until(lambda: self.can_connect(port, version, 0.1), timeout + start - time.monotonic(),
                   f"port {port} opens for {self.address(version)}")
        return time.monotonic()

    def wait_closed(self, port=22, version=4, timeout=5, not_before=0):
        """Waits for the door to close and returns the last time at which it was seen open, if ever.
        However seldom we get to look, it must not be seen closed before a certain time."""
        end = time.monotonic() + timeout
        # On a busy machine a single packet may come late.
        while self.can_connect(port, version, 0.2) or self.can_connect(port, version, 0.2):
            if time.monotonic() > end:
                raise AssertionError(f"port {port} still open after {timeout} s")
            time.sleep(0.02)
        early = not_before - time.monotonic()
        assert early <= 0, f"port {port} closed at least {early:.3f} s too early"
        return self._last_open.get((port, version))


class Server(Host):
    """Who is knocked at: with processes, mounts and a /run of its own."""

    v4 = "192.0.2.1"
    v6 = "2001:db8::1"
    mac = "02:00:00:00:00:01"
    NAMESPACES = ("mnt", "net", "pid")

    def __init__(self):
        self._spawned = []
        super().__init__(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"],
                         SERVER_SETUP)
        # Without an address of its own a bridge changes it as clients come and go.
        self.ip(
            "link set lo up",
            f"link add eth0 address {self.mac} type bridge forward_delay 0 mcast_snooping 0",
            "link set eth0 up",
            f"address add {self.v4}/24 dev eth0",
            f"address add {self.v6}/32 dev eth0 nodad",
            *(f"route add {network}.0/24 dev eth0" for network in NETWORKS))

    def close(self):
        # Its process 1 takes all others along, and is gone when we have waited for ours.
        self._holder.stdin.close()
        for process in self._spawned:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
        super().close()

    def _process_1(self):
        # unshare --fork stays outside of the PID namespace.
        return _children(self._holder.pid)[0]

    def path(self, inside):
        """Where a file of the server is to be found from here."""
        return f"/proc/{self.pid}/root{inside}"

    def spawn(self, argv, **kwargs):
        """Starts argv inside, to be waited for when the server is gone."""
        process = self.popen(argv, **kwargs)
        self._spawned.append(process)
        return process
