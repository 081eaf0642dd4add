"""An upgrade from Debian 12 to 13, as README has it, lets nobody in, and knocks go on opening.

Takes some minutes and the archive: tools/release runs it (KNOCKTAIL_LONG_TESTS=yes), continuous
integration does not.
"""

import contextlib
import os
import re
import shutil
import threading

import pytest

from hosts import ENVIRONMENT, Inside
from lab import Lab
from machine import Machine, Unavailable, tree
from test_the_readme import SYSTEM, Newcomer, block, knocks, paragraph

OLD, NEW = "bookworm", "trixie"

pytestmark = pytest.mark.skipif(
    os.environ.get("KNOCKTAIL_LONG_TESTS") != "yes", reason="takes minutes: for tools/release")


class Watch:
    """A stranger who tries the port all the time."""

    def __init__(self, client):
        self.n_tries = self.n_let_in = 0
        self._client = client
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._try)

    def _try(self):
        while not self._end.wait(0.05):
            version = 4 + self.n_tries % 2 * 2
            self.n_let_in += self._client.can_connect(version=version, timeout=0.1)
            self.n_tries += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._end.set()
        self._thread.join()
        print(f"{self.n_tries} tries of a stranger")
        if error[0] is None:
            assert self.n_tries > 0 and self.n_let_in == 0


def online(machine, command, timeout=300):
    """Runs it inside, but with this machine's network, which the laboratory has not."""
    shutil.copyfile("/etc/resolv.conf", f"{machine.root}/etc/resolv.conf")
    inside = Inside(machine.leader, "uts", "ipc", "pid", "cgroup", "mnt")
    done = inside.run(["sh", "-ec", command], timeout, env={**os.environ, **ENVIRONMENT})
    inside.close()
    if done.returncode != 0:
        pytest.skip(f"the archive does not answer: {done.stderr.strip()[-500:]}")


def fetch(machine):
    """What the archive has of the new Debian."""
    online(machine, f"""
        sed -i 's/{OLD}/{NEW}/' $(ls /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null)
        apt-get update
        apt-get --download-only --yes full-upgrade""")


@contextlib.contextmanager
def newcomer(packages, then):
    """Somebody on an old Debian."""
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab("none"))
        try:
            machine = Machine(lab, tree(packages, then, OLD), lambda root: None)
        except Unavailable as reason:
            pytest.skip(f"no newcomer: {reason}")
        stack.callback(machine.close)
        yield Newcomer(machine)


def starts(newcomer, lines):
    """Configures, starts the daemon, loads rules; a door opens."""
    configure, enable, load = lines
    newcomer.edits(block("ini", "[door ssh]"))
    newcomer.types(configure)
    newcomer.types(enable)
    newcomer.loads(load, newcomer.machine.lab.client(), block("sh", "nmap")[0])


def opens(newcomer):
    client = newcomer.machine.lab.client()
    assert not client.can_connect()
    knocks(client, block("sh", "nmap")[0])
    client.wait_open()
    client.close()


def upgrades(newcomer):
    said = newcomer.types("yes | sudo env DEBIAN_FRONTEND=noninteractive apt -y full-upgrade",
                          timeout=600)
    assert "libsystemd0" in said
    with open(f"{newcomer.machine.root}/etc/debian_version", encoding="ascii") as file:
        assert file.read().startswith("13")
    opens(newcomer)


def goes_on(newcomer):
    """When what the old Debian had is gone, and after a boot."""
    machine = newcomer.machine
    with Watch(machine.lab.client()):
        newcomer.types("sudo apt -y autoremove", timeout=120)
        newcomer.types("sudo systemctl restart knocktaild")
        opens(newcomer)
        assert "nothing is wrong" in newcomer.types("sudo knocktail doctor")
    machine.reboot()
    with Watch(machine.lab.client()):
        assert machine.properties("knocktaild.service")["ActiveState"] == "active"
        opens(newcomer)


def test_built_from_source(possible, log_everywhere):
    packages, build, prepare, *lines = block("sh", "make install")
    text = paragraph("apt full-upgrade").replace("the second line above again", "AGAIN")
    steps = re.search("`(make clean)` and AGAIN, and `(sudo systemctl restart knocktaild)`", text)
    with newcomer(SYSTEM, packages) as somebody:
        somebody.types(build, timeout=900)
        somebody.types(prepare)
        starts(somebody, lines)
        fetch(somebody.machine)
        with Watch(somebody.machine.lab.client()):
            upgrades(somebody)
            somebody.types(steps.group(1))
            somebody.types(build, timeout=900)
            somebody.types(steps.group(2))
            opens(somebody)
        libraries = somebody.machine.run("ldd", "/usr/sbin/knocktaild").stdout
        assert "libiniparser.so.4" in libraries
        goes_on(somebody)
