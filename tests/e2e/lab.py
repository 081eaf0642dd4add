"""The laboratory: a guarded server, its firewall and its journal, and clients that knock.

All is real (kernel, netfilter, journald, the daemon) and all is private: see hosts.py. The one
thing that network namespaces share is the kernel log. So the LOG prefix is the lab's own, and
net.netfilter.nf_log_all_netns is 1 for as long as any lab runs (see kernel_log.py).
"""

import atexit
import contextlib
import grp
import itertools
import json
import os
import re
import secrets
import select
import shutil
import signal
import socket
import subprocess
import time

import kernel_log
from hosts import ENVIRONMENT, Client, LabError, Server, wait_until

__all__ = ["Lab", "LabError", "unavailable", "wait_until", "ROOT"]

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

JOURNALD = "/lib/systemd/systemd-journald"
GUARDED_PORT = 22       # opened by an address in the sets knock4, knock6
COMMAND_PORTS = (2201, 2202)    # opened by rules in the chain DOORS
NFT_PORT = 2222         # the nft firewall: opened by an address in the sets open4, open6
IPTABLES_PORT = 2223    # opened by rules in a chain that knocktail makes

# Nobody on the machine: the daemon gets by without an entry in the user database.
DAEMON_UID = 64042

# The group knocktail-admin, where a laboratory has it: the daemon is in it, as the unit has it.
ADMIN_GROUP = 64100

# journald's for "Missed N kernel messages".
JOURNAL_MISSED = "e9bf28e6e834481bb6f48f548ad13606"

TOOLS = ("unshare", "nsenter", "setpriv", "ip", "ipset", "iptables", "ip6tables", "nft",
         "journalctl", "timeout")

JOURNALD_CONF = """\
# Audit= is empty on purpose: neither switch the kernel's auditing on nor off.
[Journal]
Storage=volatile
Audit=
RateLimitIntervalSec=0
ForwardToSyslog=no
ForwardToKMsg=no
ForwardToConsole=no
ForwardToWall=no
"""

IPTABLES = """\
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOORS - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
{neighbours}
-A INPUT -p tcp --dport {guarded} -m set --match-set {set} src -j ACCEPT
-A INPUT -j DOORS
-A INPUT -j LOG --log-tcp-options --log-prefix "{prefix}"
COMMIT
"""

NEIGHBOURS = """\
-A INPUT -p ipv6-icmp --icmpv6-type neighbour-solicitation -j ACCEPT
-A INPUT -p ipv6-icmp --icmpv6-type neighbour-advertisement -j ACCEPT"""

NFT = """\
table inet lab {{
    set open4 {{ type ipv4_addr; flags timeout; }}
    set open6 {{ type ipv6_addr; flags timeout; }}
    chain input {{
        type filter hook input priority filter; policy drop;
        iif lo accept
        ct state established accept
        icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
        tcp dport {port} ip saddr @open4 accept
        tcp dport {port} ip6 saddr @open6 accept
        log prefix "{prefix}" flags all
    }}
}}
"""

# Behind the guarded ports: greets, then echoes. It answers over IPv4 and IPv6.
LISTENER = """
import socketserver, sys, threading
class Echo(socketserver.StreamRequestHandler):
    timeout = 10
    def handle(self):
        try:
            self.wfile.write(b"hello from port %d\\n" % self.server.server_address[1])
            for line in self.rfile:
                self.wfile.write(line)
        except OSError:
            pass
class Server(socketserver.ThreadingTCPServer):
    address_family = socketserver.socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
servers = [Server(("::", int(port)), Echo) for port in sys.argv[1:]]
print("ready", flush=True)
for server in servers:
    threading.Thread(target=server.serve_forever).start()
"""


# Prints what "/" is to a process, and to one that has entered the same mount namespace.
ROOTS = """
stat -Lc %d:%i /
exec nsenter --target=$$ --mount -- stat -Lc %d:%i /
"""

A_TRUE_ROOT = "give it a true root, as systemd-nspawn does, or tools/in-suite"


def _chroot():
    """Whether "/" is a chroot's, where nothing can be mounted apart or be entered; in words."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            points = [line.split()[4] for line in file]
    except FileNotFoundError:
        return "/proc is not mounted"
    if "/" not in points:
        return f'this is a chroot whose "/" is not a mount point: {A_TRUE_ROOT}'
    seen = subprocess.run(["unshare", "--mount", "sh", "-ec", ROOTS], capture_output=True,
                          text=True, timeout=20, env=ENVIRONMENT, check=False).stdout.split()
    if len(seen) == 2 and seen[0] != seen[1]:
        return f"this is a chroot, which nsenter leaves: {A_TRUE_ROOT}"
    return None


def unavailable():
    """Why no lab can be made on this machine, or None."""
    if os.geteuid() != 0:
        return "needs root (network namespaces, firewall rules, a journald of its own)"
    missing = [tool for tool in TOOLS if not shutil.which(tool, path=ENVIRONMENT["PATH"])]
    if missing:
        return f"not installed: {' '.join(missing)}"
    if not os.path.exists(JOURNALD):
        return f"not installed: {JOURNALD}"
    if not os.access("/dev/kmsg", os.R_OK):
        return "/dev/kmsg cannot be read"
    chroot = _chroot()
    if chroot:
        return chroot
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "true"]
    probe = subprocess.run(unshare, capture_output=True, text=True, timeout=20, check=False)
    if probe.returncode != 0:
        return f"namespaces cannot be made here: {probe.stderr.strip()}"
    return kernel_log.why_not()


def program(name):
    """Where the build has put a program; knocktap may be another one, as static as a release's."""
    if name == "knocktap" and "KNOCKTAIL_KNOCKTAP" in os.environ:
        return os.path.abspath(os.environ["KNOCKTAIL_KNOCKTAP"])
    places = [os.environ.get("KNOCKTAIL_BUILD"), os.path.join(ROOT, "build"), ROOT]
    for place in filter(None, places):
        path = os.path.join(place, name)
        if os.access(path, os.X_OK):
            return os.path.abspath(path)
    raise LabError(f"{name} is not built (KNOCKTAIL_BUILD, ./build and . were searched)")


def shorten(text, lines=100):
    """The end of a text."""
    all_of_it = text.splitlines()
    return "\n".join([*(["[...]"] if len(all_of_it) > lines else []), *all_of_it[-lines:]])


def fill_queue(path, datagram):
    """Sends to a socket that nobody reads from until it takes no more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(path)
        with contextlib.suppress(BlockingIOError):
            for _ in range(100000):
                sock.send(datagram)


class Notifications:
    """What a service says to its manager (sd_notify)."""

    def __init__(self, server, name):
        self.address = f"/run/lab/{name}"
        path = server.path(self.address)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        os.chmod(path, 0o666)
        self.said = []

    def _receive(self, timeout):
        if select.select([self._socket], [], [], timeout)[0]:
            self.said += self._socket.recv(65536).decode(errors="replace").splitlines()

    def wait(self, word, timeout, process, start=0):
        """Waits for a line that comes after the first `start` ones; returns the count up to it."""
        end = time.monotonic() + timeout
        while word not in self.said[start:]:
            if process.poll() is not None:
                raise AssertionError(f"exited {process.returncode} without saying {word}")
            if time.monotonic() > end:
                raise AssertionError(f"waited {timeout} s in vain for {word}; heard {self.said}")
            self._receive(0.05)
        return self.said.index(word, start) + 1

    def hear_all(self):
        """Takes in what has been said so far, so that there is room for more, and counts the lines."""
        heard = -1
        while heard < len(self.said):
            heard = len(self.said)
            self._receive(0)
        return heard

    def close(self):
        """Stops listening."""
        self._socket.close()


class Daemon:
    """One run of knocktaild, as its own user with CAP_NET_ADMIN and nothing else."""

    def __init__(self, lab, config, user=DAEMON_UID, runtime="/run/knocktail", state=None,
                 binary=None, environment=(), doorbell=True):
        self.lab = lab
        self.config = config
        self.errors = lab.file(f"daemon-{next(lab.numbers)}.stderr")
        self._notifications = Notifications(lab.server, f"notify-{next(lab.numbers)}")
        self.runtime = runtime
        self.state = state or f"{runtime}-state"
        argv = ["env", f"NOTIFY_SOCKET={self._notifications.address}",
                f"RUNTIME_DIRECTORY={runtime}", f"STATE_DIRECTORY={self.state}",
                "ASAN_OPTIONS=detect_leaks=1", *environment, binary or lab.daemon_path, "-c", config]
        if user:
            group = grp.getgrnam("systemd-journal").gr_gid
            argv = ["setpriv", f"--reuid={user}", f"--regid={user}", f"--groups={group},{ADMIN_GROUP}",
                    "--inh-caps=-all,+net_admin", "--ambient-caps=-all,+net_admin",
                    "--bounding-set=-all,+net_admin", "--no-new-privs", *argv]
            for directory in filter(None, (runtime, None if state else self.state)):
                path = lab.server.path(directory)
                os.makedirs(path, mode=0o711, exist_ok=True)
                os.chown(path, user, user)
        with open(lab.server.path(self.errors), "wb") as errors, \
                open("/dev/kmsg" if doorbell else os.devnull, "rb") as bell:
            self._process = lab.server.spawn(argv, stdin=bell, stdout=errors, stderr=errors)
        self.pid = self._process.pid
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            ids = [line.split() for line in file if line.startswith("NSpid:")][0]
        self._inner_pid = ids[-1]

    def wait_ready(self, timeout=10):
        """Waits until the daemon tails the journal."""
        try:
            self._notifications.wait("READY=1", timeout, self._process)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.stderr()}") from None
        return self

    def manager_hears(self, word, timeout, start=0):
        """Waits for what the daemon says to its manager after the first `start` lines; returns the
        count up to it."""
        return self._notifications.wait(word, timeout, self._process, start)

    def manager_hears_all(self):
        """The manager takes in what it has been told so far; returns the count of lines."""
        return self._notifications.hear_all()

    @property
    def manager_heard(self):
        """What the manager has heard so far, line by line."""
        return self._notifications.said

    def hang_manager(self):
        """The manager does not listen, and its queue is full, until it is asked what it hears."""
        fill_queue(self.lab.server.path(self._notifications.address), b"STATUS=filling the queue")

    def stderr(self):
        """What the daemon has written to standard error."""
        with open(self.lab.server.path(self.errors), encoding="utf-8", errors="replace") as file:
            return file.read()

    def running(self):
        """Whether the daemon is alive."""
        return self._process.poll() is None

    def signal(self, number):
        """Sends a signal."""
        os.kill(self.pid, number)

    def reload(self, timeout=5):
        """Has the configuration read again, and waits until the daemon is ready again."""
        heard = self._notifications.hear_all()
        self.signal(signal.SIGHUP)
        heard = self._notifications.wait("RELOADING=1", timeout, self._process, heard)
        self._notifications.wait("READY=1", timeout, self._process, heard)

    def wait(self, timeout=5):
        """Waits for the daemon's end and returns its exit status."""
        return self._process.wait(timeout)

    def stop(self, timeout=5):
        """SIGTERM, and the exit status."""
        if self.running():
            self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self):
        """SIGKILL: the daemon cannot clean up."""
        if self.running():
            self.signal(signal.SIGKILL)
        self.wait()

    def events(self, **fields):
        """The daemon's own journal entries; fields narrow them down: events(DOOR="ssh")."""
        entries = self.lab.journal(f"_PID={self._inner_pid}")
        wanted = {f"KNOCKTAIL_{name}": value for name, value in fields.items()}
        return [entry for entry in entries if wanted.items() <= entry.items()]

    def messages(self, text, **fields):
        """The messages of those events that contain a text."""
        return [entry["MESSAGE"] for entry in self.events(**fields) if text in entry["MESSAGE"]]

    def wait_message(self, text, timeout=5, **fields):
        """Waits for such a message and returns the latest one."""
        return wait_until(lambda: self.messages(text, **fields), timeout,
                          f"the journal says {text!r}; it says {self.messages('')}")[-1]

    def close(self):
        """Ends the daemon, however it is."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop()
        self.kill()
        self._notifications.close()
        with contextlib.suppress(ValueError):
            self.lab.daemons.remove(self)


class Lab:
    """One server, and as many clients as a test asks for."""

    # What laboratories had to say in which something failed, and which are gone.
    obituaries = []

    def __init__(self, firewall="iptables"):
        """With "none", everything is open and nothing is logged."""
        self.numbers = itertools.count(1)
        self.daemons = []
        self._clients = itertools.count(1)
        self._firewall = firewall
        self._stack = contextlib.ExitStack()
        atexit.register(self.close)
        # 29 characters are what iptables takes.
        self.prefix = f"[kt-{os.getpid()}-{secrets.token_hex(3)}] "
        try:
            self._stack.callback(kernel_log.LogEverywhere().close)
            self.server = Server()
            self._stack.callback(self.server.close)
            self._install_programs()
            self._start_journald()
            if firewall == "nft":
                self.server.run("nft", "-f", "-",
                                input=NFT.format(prefix=self.prefix, port=NFT_PORT))
            elif firewall == "iptables":
                self._start_iptables()
            self._start_listener(GUARDED_PORT, *COMMAND_PORTS, NFT_PORT, IPTABLES_PORT)
            self._began_us = time.monotonic_ns() // 1000
        except BaseException:
            self.close()
            raise

    def close(self):
        """Takes everything down."""
        atexit.unregister(self.close)
        self._stack.close()

    def __enter__(self):
        return self

    def __exit__(self, _, error, __):
        if isinstance(error, Exception):
            self.obituaries.extend(self.describe())
        self.close()

    def describe(self):
        """What may explain a failure: titles and texts."""
        for daemon in self.daemons:
            state = "runs" if daemon.running() else f"exited {daemon.wait()}"
            yield f"knocktaild's log ({daemon.errors}; it {state})", shorten(daemon.stderr(), 300)
        yield "the firewall's last lines, with the kernel's and journald's time", self._last_lines()
        programs = [("nft", "list", "ruleset")]
        if self._firewall == "iptables":
            programs = [("iptables-save", "-c"), ("ip6tables-save", "-c"), ("ipset", "save")]
        for argv in programs:
            done = self.server.run(*argv, check=False)
            yield f"the firewall: {' '.join(argv)}", shorten(done.stdout + done.stderr)

    def _last_lines(self):
        with open(kernel_log.SYSCTL, encoding="ascii") as file:
            notes = "" if file.read().strip() == "1" else (
                f"{kernel_log.SYSCTL} is no longer 1: no LOG rule in here writes anything\n")
        for entry in self.missed():
            notes += f"{entry['__MONOTONIC_TIMESTAMP']} journald: {entry['MESSAGE']}\n"
        return notes + "".join(
            f"{record.get('_SOURCE_MONOTONIC_TIMESTAMP')} {record['__MONOTONIC_TIMESTAMP']} "
            f"{record['MESSAGE'][len(self.prefix):]}\n" for record in self.records()[-30:])

    def _install_programs(self):
        # Copies inside the lab: the daemon's user may be unable to enter the build's directory.
        self.daemon_path = self.install(program("knocktaild"))
        self.cli_path = self.install(program("knocktail"))

    def install(self, path, name=None):
        """Copies a program to where everybody in the lab may run it."""
        inside = f"/run/lab/{name or os.path.basename(path)}"
        shutil.copyfile(path, self.server.path(inside))
        os.chmod(self.server.path(inside), 0o755)
        return inside

    def file(self, name, content="", mode=0o644):
        """Writes a file into the lab and returns its path there."""
        inside = f"/run/lab/{name}"
        path = self.server.path(inside)
        with open(path, "w" if isinstance(content, str) else "wb") as file:
            file.write(content)
        os.chmod(path, mode)
        return inside

    def read(self, inside):
        """The text of a file of the lab; empty if there is none."""
        try:
            with open(self.server.path(inside), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    # The journal

    def _start_journald(self):
        self.journald_conf(JOURNALD_CONF)
        with open(self.server.path("/run/machine-id"), encoding="ascii") as file:
            self._machine_id = file.read().strip()
        self._run_journald()

    def _run_journald(self):
        notifications = Notifications(self.server, f"notify-{next(self.numbers)}")
        errors = self.file("journald.stderr")
        with open(self.server.path(errors), "wb") as file:
            self._journald = self.server.spawn(
                ["env", f"NOTIFY_SOCKET={notifications.address}", JOURNALD],
                stdout=file, stderr=file)
        try:
            notifications.wait("READY=1", 20, self._journald)
        except AssertionError as error:
            raise LabError(f"journald: {error}\n{self.read(errors)}") from None
        finally:
            notifications.close()
        wait_until(lambda: self.journal_directory, 5, "journald opens its journal")

    def journald_conf(self, text=None):
        """journald's configuration; with a text, from its next start on."""
        path = "/run/systemd/journald.conf.d/zz-lab.conf"
        if text is not None:
            with open(self.server.path(path), "w", encoding="ascii") as file:
                file.write(text)
        return self.read(path)

    @property
    def journald_pid(self):
        """journald's process, seen from here."""
        return self._journald.pid

    def signal_journald(self, number):
        """Sends journald a signal."""
        os.kill(self._journald.pid, number)

    @property
    def journal_directory(self):
        """Where the journal files are, inside the lab; None before there are any."""
        base = "/run/log/journal"
        names = os.listdir(self.server.path(base))
        return f"{base}/{names[0]}" if names else None

    def journal(self, *matches):
        """Journal entries as dictionaries."""
        done = self.server.run("journalctl", "--quiet", "--directory", self.journal_directory,
                               "--output=json", "--all", "--no-pager", *matches, check=False)
        assert done.returncode in (0, 1), done     # 1: --grep has found none
        return [json.loads(line) for line in done.stdout.splitlines()]

    def records(self):
        """What the firewall has logged so far. Others may have filled the journal."""
        return [entry for entry in self.journal("_TRANSPORT=kernel", "--case-sensitive",
                                                f"--grep=^{re.escape(self.prefix)}")
                if str(entry.get("MESSAGE", "")).startswith(self.prefix)]

    def missed(self):
        """What journald says of kernel messages that it has missed since the lab is there."""
        return [entry for entry in self.journal(f"MESSAGE_ID={JOURNAL_MISSED}")
                if int(entry["__MONOTONIC_TIMESTAMP"]) > self._began_us]

    def wait_logged(self, text, timeout=5):
        """Waits until any of the newest journal entries, which others may have filled, contains the
        text: whatever came before it is there too."""
        def found():
            return [entry for entry in self.journal("--lines=5000")
                    if text in str(entry.get("MESSAGE", ""))]
        return wait_until(found, timeout, f"the journal contains {text!r}")[-1]

    def rotate_journal(self):
        """Has journald begin a new file."""
        before = set(os.listdir(self.server.path(self.journal_directory)))
        os.kill(self._journald.pid, signal.SIGUSR2)
        wait_until(lambda: set(os.listdir(self.server.path(self.journal_directory))) - before, 5,
                   "journald rotates")

    def restart_journald(self, number=signal.SIGTERM, between=None):
        """Ends journald and starts it again; `between` is called in between."""
        os.kill(self._journald.pid, number)
        self._journald.wait(10)
        if between:
            between()
        self._run_journald()

    def revive_journald(self):
        """Starts journald again where it has died, as systemd does."""
        if self._journald.poll() is not None:
            self._run_journald()

    @contextlib.contextmanager
    def hung_journald(self):
        """journald hangs, and its queue is full: whoever wants to be heard would have to wait."""
        os.kill(self._journald.pid, signal.SIGSTOP)
        try:
            fill_queue(self.server.path("/run/systemd/journal/socket"),
                       b"MESSAGE=filling the queue\n")
            yield
        finally:
            os.kill(self._journald.pid, signal.SIGCONT)

    # The firewall

    def _start_iptables(self):
        self.server.run("ipset", "restore", input=(
            "create knock4 hash:ip timeout 0\n"
            "create knock6 hash:ip family inet6 timeout 0\n"))
        for restore, neighbours, name in (("iptables-restore", "", "knock4"),
                                          ("ip6tables-restore", NEIGHBOURS, "knock6")):
            self.server.run(restore, input=IPTABLES.format(
                neighbours=neighbours, guarded=GUARDED_PORT, set=name, prefix=self.prefix))

    def close_doors(self):
        """Whatever still is open."""
        if self._firewall == "nft":
            self.server.run("nft", "-f", "-", input="flush set inet lab open4\n"
                            "flush set inet lab open6\n", check=False)
            return
        self.server.run("ipset", "restore", input="flush knock4\nflush knock6\n", check=False)
        for program_name in ("iptables", "ip6tables"):
            for chain in ("DOORS", "KNOCKTAIL"):
                self.server.run(program_name, "-F", chain, check=False)

    def members(self, name="knock4"):
        """What is in an ipset: address to the seconds left."""
        listed = self.server.run("ipset", "save", name).stdout.splitlines()
        entries = [line.split() for line in listed if line.startswith("add ")]
        return {words[2]: int(words[words.index("timeout") + 1]) for words in entries}

    def elements(self, version=4):
        """What is in a set of the nft firewall: address to the milliseconds left."""
        listed = self.server.run("nft", "--json", "list", "set", "inet", "lab", f"open{version}")
        sets = [item["set"] for item in json.loads(listed.stdout)["nftables"] if "set" in item]
        elements = [element["elem"] for element in sets[0].get("elem", [])]
        return {element["val"]: element.get("expires") for element in elements}

    def owned_rules(self, version=4):
        """The rules in knocktail's own chain."""
        program = "iptables" if version == 4 else "ip6tables"
        listed = self.server.run(program, "-S", "KNOCKTAIL", check=False).stdout.splitlines()
        return [line for line in listed if line.startswith("-A")]

    def _start_listener(self, *ports):
        listener = self.server.spawn(
            ["/usr/bin/python3", "-c", LISTENER, *ports], stdout=subprocess.PIPE)
        if listener.stdout.readline() != b"ready\n":
            raise LabError("nothing listens on the guarded ports")
        self._stack.callback(listener.stdout.close)

    # Whoever takes part

    def client(self):
        """A new host with addresses of its own, not seen before."""
        client = Client(self.server, next(self._clients))
        self._stack.callback(client.close)
        return client

    def config(self, doors, options="", mode=0o640):
        """Writes a configuration file and returns its path in the lab."""
        text = f'[options]\nlog_prefix = "{self.prefix}"\n{options}\n{doors}'
        path = self.file(f"knocktail-{next(self.numbers)}.conf", text, mode)
        os.chown(self.server.path(path), 0, DAEMON_UID)
        return path

    def daemon(self, doors, options="", **kwargs):
        """A daemon that guards these doors, ready."""
        daemon = Daemon(self, self.config(doors, options), **kwargs)
        self.daemons.append(daemon)
        self._stack.callback(daemon.close)
        return daemon.wait_ready()

    def knocktail(self, *arguments, **kwargs):
        """Runs the administrator's program inside; never raises for its exit status."""
        return self.server.run(self.cli_path, *arguments, check=False, **kwargs)
