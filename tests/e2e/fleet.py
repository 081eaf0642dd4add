"""A fleet: servers with a firewall, a journal, a bus, a daemon and an agent each, and a broker."""

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from bus import USERS, Bus
from hosts import ENVIRONMENT, listens, wait_until
from lab import Lab, program, shorten

FLEET_UID = USERS["knocktail-fleet"][0]

BROKER = """\
user root
per_listener_settings false
listener 0 {directory}/broker
allow_anonymous true
max_queued_messages 0
max_inflight_messages 1000
set_tcp_nodelay true
log_type warning
log_type error
{more}
"""

# What it keeps is on disk a moment later.
PERSISTENT = """\
persistence true
persistence_location {directory}/
autosave_on_changes true
autosave_interval 1
"""

# Whatever is sent while the way is cut is kept for when it is there again.
BRIDGE = """\
connection first
address 127.0.0.1:{port}
bridge_protocol_version mqttv50
topic knocktail/# both 1
cleansession false
notifications false
restart_timeout 1 5
"""


def why_not():
    """Why there can be no fleet here, or None."""
    missing = [tool for tool in ("mosquitto", "dbus-daemon", "gdbus")
               if not shutil.which(tool, path=ENVIRONMENT["PATH"])]
    return f"not installed: {' '.join(missing)}" if missing else None


class Relay:
    """A way to the broker that can be cut: a socket, and what is passed on between it and another.

    Without a path it is a port of the loopback's.
    """

    def __init__(self, path, target):
        self.path = path
        self._target = target
        self._lock = threading.Lock()
        self._pairs = []
        self.is_cut = False
        self._listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self._listener.bind(path or ("127.0.0.1", 0))
        if path:
            os.chmod(path, 0o666)
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            try:
                if self.is_cut:
                    raise OSError
                far.connect(self._target)
            except OSError:
                near.close()
                far.close()
                continue
            with self._lock:
                self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @property
    def port(self):
        """That of the loopback's."""
        return self._listener.getsockname()[1]

    def cut(self):
        """Ends all connections, and takes no more."""
        self.is_cut = True
        with self._lock:
            for pair in self._pairs:
                for end in pair:
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
            self._pairs.clear()

    def heal(self):
        """Takes connections again."""
        self.is_cut = False

    def close(self):
        """The end."""
        self.cut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Broker:
    """mosquitto, on a socket in a directory of its own."""

    def __init__(self, directory, more=""):
        self.directory = directory
        self.socket = f"{directory}/broker"
        self._config = f"{directory}/broker.conf"
        with open(self._config, "w", encoding="ascii") as file:
            file.write(BROKER.format(directory=directory, more=more.format(directory=directory)))
        self._process = None
        self.start()

    def start(self):
        """Starts it, and waits until it listens."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)
        with open(f"{self.directory}/broker.log", "ab") as log:
            self._process = subprocess.Popen(["mosquitto", "-c", self._config], stdout=log, stderr=log,
                                             stdin=subprocess.DEVNULL, env=ENVIRONMENT)

        def is_there():
            assert self._process.poll() is None, self.log()
            return listens(self.socket)

        wait_until(is_there, 10, "the broker listens")
        os.chmod(self.socket, 0o666)

    @property
    def pid(self):
        """Its process."""
        return self._process.pid

    def log(self):
        """What it has said."""
        with open(f"{self.directory}/broker.log", encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self, number=signal.SIGTERM):
        """Ends it."""
        if self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(10)


class Member:
    """One server of the fleet."""

    def __init__(self, fleet, name, broker=None, shares=(("ssh", "ssh"),)):
        self.fleet, self.name, self.shares = fleet, name, dict(shares)
        self.stack = contextlib.ExitStack()
        self.lab = self.stack.enter_context(Lab())
        self.bus = Bus(self.lab)
        self.bus.start()
        self.daemon = self.agent = None
        self.relay = fleet.relay(name, broker)
        self.agent_path = self.lab.install(program("knocktail-fleetd"))
        for directory in ("/run/fleet", "/run/fleet-state"):
            os.mkdir(self.lab.server.path(directory), 0o700)
            os.chown(self.lab.server.path(directory), FLEET_UID, FLEET_UID)
        self.key = self.lab.file("fleet.key", f"knocktail-fleet1 {fleet.key}\n", 0o640)
        os.chown(self.lab.server.path(self.key), 0, FLEET_UID)
        self._errors = self.lab.file("agent.stderr", mode=0o666)

    def start_daemon(self, doors, options="", **kwargs):
        """Starts its daemon."""
        self.daemon = self.lab.daemon(doors, options, **kwargs)
        self.bus.wait_daemon()
        return self.daemon

    def start_agent(self, wait=True, clock=None, **replaced):
        """Starts its agent; waits until it is connected."""
        doors = "\n".join(f"{door} = {name}" for door, name in self.shares.items())
        values = {"name": self.fleet.name, "host": self.name, "key": self.key,
                  "socket": self.relay.path, **replaced}
        config = self.lab.file("fleet.conf", (
            "[fleet]\nname = {name}\nhost = {host}\nkey = {key}\n"
            "[broker]\nsocket = {socket}\n[doors]\n").format(**values) + doors + "\n")
        before = self.report().get("since_us", 0)
        environment = ["RUNTIME_DIRECTORY=/run/fleet", "STATE_DIRECTORY=/run/fleet-state"]
        if clock:
            environment += clock
        with open(self.lab.server.path(self._errors), "ab") as errors:
            self.agent = self.lab.server.spawn(
                ["setpriv", f"--reuid={FLEET_UID}", f"--regid={FLEET_UID}", "--clear-groups",
                 "--bounding-set=-all", "--no-new-privs", "env", *environment, self.agent_path, "-c",
                 config], stdout=errors, stderr=errors)
        if wait:
            wait_until(lambda: self.report().get("since_us", 0) not in (0, before) and
                       self.report()["broker"] and self.report()["daemon"], 15,
                       f"the agent of {self.name} is connected: {self.errors()}")

    def stop_agent(self, number=signal.SIGTERM):
        """Ends its agent, and returns its exit status."""
        if self.agent and self.agent.poll() is None:
            os.kill(self.agent.pid, number)
            return self.agent.wait(10)
        return None

    def forget(self):
        """Its agent, which does not run, will know nothing of before."""
        path = self.lab.server.path("/run/fleet-state")
        shutil.rmtree(path)
        os.mkdir(path, 0o700)
        os.chown(path, FLEET_UID, FLEET_UID)

    def errors(self):
        """What the agent says on standard error."""
        return self.lab.read("/run/lab/agent.stderr")

    def report(self):
        """What it reports; {} before it does."""
        text = self.lab.read("/run/fleet/report.json")
        return json.loads(text) if text else {}

    def counts(self):
        """What it has counted."""
        return self.report().get("counts", {})

    def is_open(self, address):
        """Whether its firewall lets this address in; for how long."""
        return self.lab.members().get(address)

    def wait_open(self, address, timeout=5):
        """Waits until it does."""
        return wait_until(lambda: self.is_open(address), timeout,
                          f"{self.name} lets {address} in: {self.errors()} {self.counts()}", 0.005)

    def wait_closed(self, address, timeout=5):
        """Waits until it does not."""
        wait_until(lambda: self.is_open(address) is None, timeout,
                   f"{self.name} shuts {address} out: {self.errors()} {self.counts()}", 0.005)

    def open(self, address, seconds=60, door="ssh"):
        """Opens by hand."""
        done = self.lab.knocktail("open", door, address, "--for", f"{seconds}s")
        assert done.returncode == 0, done

    def close_door(self, address, door="ssh"):
        """Closes by hand."""
        return self.lab.knocktail("close", door, address)

    def listed(self):
        """What `knocktail list` has: address to user."""
        done = self.lab.knocktail("list", "-o", "json")
        return {grant["source"]: grant["user"] for grant in json.loads(done.stdout)}

    def close(self):
        """The end."""
        self.stop_agent()
        self.stack.close()
        with contextlib.suppress(ValueError):
            self.fleet.members.remove(self)


class Fleet:
    """The servers, and what is between them."""

    def __init__(self, more=""):
        self.name = "prod"
        self.key = base64.b64encode(secrets.token_bytes(32)).decode()
        self._stack = contextlib.ExitStack()
        self.directory = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="kt-fleet-"))
        os.chmod(self.directory, 0o711)
        self.broker = Broker(self.directory, more)
        self._stack.callback(self.broker.stop)
        self.members = []

    def relay(self, name, broker=None):
        """A way to the broker, or to another one."""
        relay = Relay(f"{self.directory}/{name}", (broker or self.broker).socket)
        self._stack.callback(relay.close)
        return relay

    def bridge(self):
        """A second broker, which hears all that the first one does and tells it all; and the way
        between the two."""
        way = Relay(None, self.broker.socket)
        self._stack.callback(way.close)
        directory = f"{self.directory}/second"
        os.mkdir(directory, 0o711)
        second = Broker(directory, BRIDGE.format(port=way.port))
        self._stack.callback(second.stop)
        return second, way

    def member(self, name, doors=None, agent=True, broker=None, **kwargs):
        """A server more, ready."""
        member = Member(self, name, broker, **kwargs)
        self._stack.callback(member.close)
        self.members.append(member)
        if doors is not None:
            member.start_daemon(doors)
            if agent:
                member.start_agent()
        return member

    def describe(self):
        """What may explain a failure: titles and texts."""
        for member in self.members:
            yield f"the agent's log on {member.name}", shorten(member.errors())
            for title, text in member.lab.describe():
                yield f"{member.name}: {title}", text
        yield "the broker's log", shorten(self.broker.log())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()
