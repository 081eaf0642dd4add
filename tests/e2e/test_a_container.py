"""doc/image.md: the image is built, and runs on a laboratory's journal and firewall.

podman runs inside the laboratory, so that "the host" is the laboratory's server. The image is kept
below build/, with the layers that are the same again. `tools/deb --check` runs this.
"""

import contextlib
import datetime
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from doors import ipset_door
from hosts import ENVIRONMENT, wait_until
from lab import ROOT, Lab
from machine import Unavailable, tree

IMAGE = "localhost/knocktail"
SECOND = ("7100", "8100", "9100")

STORE = os.environ.get("KNOCKTAIL_CACHE", os.path.join(ROOT, "build", "machine"))

STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{graph}"
runroot = "{run}"
[storage.options]
additionalimagestores = [{more}]
"""

# A laboratory has no groups of its own, and no systemd for timers.
CONTAINERS = """\
[containers]
cgroups = "disabled"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""

# The laboratory's /etc and /var/log are the machine's: from now on, of its own. Where a machine has
# both kinds of control groups, crun takes neither.
OWN_FOLDERS = """
umount --recursive --lazy /sys/fs/cgroup
mount -t cgroup2 lab /sys/fs/cgroup
mkdir -p /run/lab/etc/upper /run/lab/etc/work /run/lab/podman
mount -t overlay -o lowerdir=/etc,upperdir=/run/lab/etc/upper,workdir=/run/lab/etc/work overlay /etc
mount --bind /run/machine-id /etc/machine-id
mount -t tmpfs lab /var/log
mkdir /var/log/journal
"""


def block(word):
    """The command lines of the one block of the page that has the word in it."""
    with open(os.path.join(ROOT, "doc", "image.md"), encoding="utf-8") as file:
        found = [text for text in re.findall(r"^```sh\n(.*?)^```$", file.read(), re.M | re.S)
                 if word in text]
    assert len(found) == 1, f"{len(found)} blocks have {word!r} in them"
    return found[0].replace("\\\n", " ").splitlines()


def settings(directory, **values):
    """Writes podman's settings there, and returns the environment that names them."""
    os.makedirs(directory, exist_ok=True)
    for name, text in (("storage.conf", STORAGE.format(**values)), ("containers.conf", CONTAINERS)):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(text)
    return directory


def environment(directory):
    """For podman."""
    return {"CONTAINERS_STORAGE_CONF": f"{directory}/storage.conf", "HOME": "/root",
            "CONTAINERS_CONF": f"{directory}/containers.conf", "DISABLE_HC_SYSTEMD": "true",
            "BUILDAH_ISOLATION": "chroot"}


def at_home(line, env, timeout, **kwargs):
    """Runs a line of shell on this machine, which may take some time."""
    done = subprocess.run(["bash", "-c", f"sudo() {{ \"$@\"; }}\n{line}"], cwd=ROOT, text=True,
                          env={**os.environ, **ENVIRONMENT, **env}, timeout=timeout, check=False,
                          capture_output=True, stdin=subprocess.DEVNULL, **kwargs)
    assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def image(possible):
    """The store with the image, built as the page says from a system fresh from Debian."""
    if not glob.glob(os.path.join(ROOT, "build", "package", "*", "knocktail_*.deb")):
        pytest.skip("tools/deb has made no packages")
    for tool in ("podman", "crun"):
        if not shutil.which(tool, path=ENVIRONMENT["PATH"]):
            pytest.skip(f"{tool} is not installed")
    try:
        # As in the images of Debian: nobody waits for a disk.
        base = tree(["apt"], then="echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/unsafe-io")
    except Unavailable as reason:
        pytest.skip(f"no image: {reason}")
    store = os.path.join(STORE, "containers")
    env = environment(settings(store, graph=f"{store}/graph", run=f"{store}/run", more=""))
    name = f"localhost/{os.path.basename(base)}"
    if name not in at_home("podman images --format '{{.Repository}}'", env, 60).split():
        at_home(f"tar -C {base} -cf - . | podman import - {name}", env, 300)
    line, = block("podman build")
    assert line.endswith(" .")
    at_home(f"{line[:-1]} --build-arg BASE={name} .", env, 1800)
    at_home("podman image prune --force", env, 120)
    return store


class Host:
    """A laboratory in which podman runs what the page says."""

    def __init__(self, lab, store):
        self.lab = lab
        lab.server.run("bash", "-ec", OWN_FOLDERS)
        settings(lab.server.path("/run/lab/podman"), graph="/run/lab/podman/graph",
                 run="/run/lab/podman/run", more=f'"{store}/graph"')
        self.env = environment("/run/lab/podman")
        self.prepared = False

    def types(self, line, check=True, timeout=120):
        """Runs a line of the page."""
        shell = f'cd {ROOT}; PATH="/run/lab:$PATH"; sudo() {{ env "$@"; }}; sudoedit() {{ :; }}\n{line}'
        return self.lab.server.run("bash", "-c", shell, check=check, timeout=timeout, env=self.env)

    def configure(self, *doors):
        """Writes the configuration, as the page has its owner and mode."""
        text = "\n".join([f'[options]\nlog_prefix = "{self.lab.prefix}"\n', *doors])
        path = self.lab.server.path("/etc/knocktail/knocktail.conf")
        if not os.path.exists(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def prepare(self):
        """All that comes before the first run."""
        self.configure(ipset_door(timeout="5min"))
        for line in block("tmpfiles"):
            self.types(line)

    def run(self, extra="", end=""):
        """Runs the container by the page's command."""
        line, = block("podman run")
        self.types(line.replace(" --detach", f" --detach {extra}") + end)
        wait_until(lambda: self.inside("knocktail status", check=False).returncode == 0, 30,
                   f"the daemon answers: {self.log()}")

    def log(self):
        """What the container has said."""
        done = self.types("podman logs knocktail", check=False)
        return done.stdout + done.stderr

    def inside(self, line, check=True):
        """A command in the container."""
        return self.types(f"podman exec knocktail {line}", check=check)

    def pid(self):
        """The daemon's process, seen in the laboratory."""
        shown = self.types("podman inspect --format '{{.State.Pid}}' knocktail").stdout
        return int(shown)

    def deadline(self):
        """When the one open door closes."""
        door, = json.loads(self.inside("knocktail list -o json").stdout)
        return datetime.datetime.fromisoformat(door["until"].replace("Z", "+00:00"))

    def stays(self, deadline):
        """Whether the open door still has that deadline."""
        return abs(self.deadline() - deadline) < datetime.timedelta(seconds=1)


@pytest.fixture(scope="module")
def lab(image):
    """A laboratory of our own."""
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def host(lab, image):
    """The host, prepared."""
    made = Host(lab, image)
    made.prepare()
    owner = os.stat("/dev/null")
    yield made
    made.types("podman rm --force --all", check=False)
    # crun gives a container's user its standard input, and the laboratory's /dev is the machine's.
    os.chown("/dev/null", owner.st_uid, owner.st_gid)


@pytest.fixture
def running(host):
    """The host, with one door and a container that runs."""
    host.configure(ipset_door(timeout="5min"))
    host.types("rm -rf /run/knocktail/grants; ipset flush knock4", check=False)
    host.run()
    yield host
    host.types("podman rm --force --time 5 knocktail", check=False)
    host.types("ipset flush knock4")


@pytest.fixture
def entered(running, clients):
    """The same, and a client who has knocked."""
    client = clients()
    client.knock(7000, 8000, 9000)
    client.wait_open(timeout=5)
    return running, client


def test_what_it_may(running, clients):
    client, other = clients(), clients()
    assert not client.can_connect()
    client.knock(7000, 8000, 9000)
    client.wait_open(timeout=5)
    assert not other.can_connect()
    status = running.types(f"cat /proc/{running.pid()}/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert set(fields["Uid"].split()) == set(fields["Gid"].split()) == {"900"}
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 1 << 12, f"{name}: {fields[name]}"
    assert fields["NoNewPrivs"] == "1"
    mounts = running.types(f"cat /proc/{running.pid()}/mounts").stdout.splitlines()
    options = {line.split()[1]: line.split()[3].split(",") for line in mounts}
    for path in ("/", "/etc/knocktail", "/etc/machine-id", "/run/log/journal", "/var/log/journal"):
        assert "ro" in options[path], f"{path}: {options.get(path)}"


def test_the_tool(entered):
    host, client = entered
    for line in block("healthcheck"):
        said = host.types(line.partition("#")[0]).stdout
        if "list" in line or "audit" in line:
            assert client.address() in said, line
    host.inside("knocktail close ssh")
    assert not client.can_connect()


def test_its_health(running):
    running.types("podman kill --signal STOP knocktail")
    try:
        assert running.types("podman healthcheck run knocktail", check=False).returncode != 0
    finally:
        running.types("podman kill --signal CONT knocktail")
    running.types("podman healthcheck run knocktail")


@pytest.mark.parametrize("reload", ["podman exec knocktail knocktail reload",
                                    "podman kill --signal HUP knocktail"])
def test_a_reload(entered, clients, reload):
    host, client = entered
    before, another = host.deadline(), clients()
    host.configure("[door ssh]\nnonsense = 1\n")
    host.types(reload, check=False)
    wait_until(lambda: "nonsense" in host.log(), 10, "the log says what is wrong")
    assert client.can_connect() and host.stays(before)
    host.configure(ipset_door(timeout="5min"), ipset_door("two", ", ".join(SECOND)))
    host.types(reload)
    assert client.can_connect() and host.stays(before)

    def opens():
        another.knock(*SECOND)
        return another.can_connect()
    wait_until(opens, 10, "the new door opens")


def test_a_stop_and_a_start(entered):
    host, client = entered
    before = host.deadline()
    host.types("podman stop knocktail")
    assert not client.can_connect()
    host.types("podman start knocktail")
    client.wait_open(timeout=10)
    assert host.stays(before)


def test_an_update(entered, clients):
    """Who knocks while there is no daemon is let in by the next one."""
    host, client = entered
    late, before, first = clients(), host.deadline(), host.pid()
    host.types("podman stop knocktail")
    late.knock(7000, 8000, 9000)
    host.run()
    assert host.pid() != first
    client.wait_open(timeout=10)
    late.wait_open(timeout=10)
    until = {door["source"]: door["until"] for door in json.loads(
        host.inside("knocktail list -o json").stdout)}
    then = datetime.datetime.fromisoformat(until[client.address()].replace("Z", "+00:00"))
    assert abs(then - before) < datetime.timedelta(seconds=1)


def test_a_death(entered, clients):
    host, client = entered
    before, first = host.deadline(), host.pid()
    host.types(f"kill -KILL {first}")
    assert client.can_connect()
    # What podman does by its restart policy, or whoever looks after it.
    with contextlib.suppress(AssertionError):
        wait_until(lambda: host.pid() not in (0, first), 5, "podman starts it again", 0.2)
    host.types("podman start knocktail")
    wait_until(lambda: host.inside("knocktail status", check=False).returncode == 0, 30,
               "the daemon answers")
    assert client.can_connect() and host.stays(before)
    other = clients()
    other.knock(7000, 8000, 9000)
    other.wait_open(timeout=5)


def test_a_doorbell_that_is_passed(host, clients):
    host.configure(ipset_door(timeout="5min"))
    host.run("--preserve-fds 1", " 3</dev/kmsg")
    try:
        assert "woken by the kernel's log" in host.log()
        client = clients()
        client.knock(7000, 8000, 9000)
        client.wait_open(timeout=5)
    finally:
        host.types("podman rm --force --time 5 knocktail")


def test_compose(host, clients):
    modules = (os.path.join(ROOT, "build"), "/usr/lib/python3/dist-packages")
    module = next((path for path in (pathlib.Path(folder, "podman_compose.py") for folder in modules)
                   if path.exists() and "group_add" in path.read_text("utf-8")), None)
    if not module:
        pytest.skip("there is no podman-compose that knows group_add, as that of Debian 13 does")
    host.lab.file("podman-compose", f'#!/bin/sh\nexec python3 {module} "$@"\n', 0o755)
    host.configure(ipset_door(timeout="5min"))
    line, = block("podman-compose up")
    host.types(line.replace(" up -d", " up -d --no-build"))
    try:
        wait_until(lambda: host.inside("knocktail status", check=False).returncode == 0, 30,
                   "the daemon answers")
        client = clients()
        client.knock(7000, 8000, 9000)
        client.wait_open(timeout=5)
        host.types("podman healthcheck run knocktail")
    finally:
        host.types(line.replace(" up -d", " down"), check=False)
    assert not client.can_connect()
