"""What doc/automation.md has others type works, in a booted machine.

Ansible takes some minutes, the archive and packages: tools/release runs it (KNOCKTAIL_LONG_TESTS=yes),
continuous integration does not.
"""

import os
import re
import shutil

import pytest

from hosts import wait_until
from lab import ROOT, Lab
from machine import Machine, Unavailable, booted
from test_package import SUITES, deb, tree

PLAY = ("ansible-playbook", "--inventory", "localhost,", "--connection", "local", "/root/play.yml")


def block(word):
    """The one block of the page that has the word in it."""
    with open(os.path.join(ROOT, "doc", "automation.md"), encoding="utf-8") as file:
        found = [text for text in re.findall(r"^```yaml\n(.*?)^```$", file.read(), re.M | re.S)
                 if word in text]
    assert len(found) == 1, f"{len(found)} blocks have {word!r} in them"
    return found[0]


@pytest.fixture(scope="module")
def lab(possible, log_everywhere):
    """A laboratory of our own, in which everything is open."""
    with Lab("none") as made:
        yield made


def _used(lab, make):
    """A machine, made and in the end taken down."""
    try:
        made = make()
    except Unavailable as reason:
        pytest.skip(f"no machine: {reason}")
    yield made
    made.close()
    lab.server.run("nft", "flush", "ruleset")


@pytest.fixture
def machine(lab):
    """A machine, on which knocktail is new."""
    yield from _used(lab, lambda: booted(lab))


@pytest.fixture
def controlled(lab):
    """A machine with Ansible and the package's file, not installed yet."""
    if not SUITES:
        pytest.skip("tools/deb has made no packages")

    def put_package(root):
        shutil.copy(deb(SUITES[0], "knocktail"), f"{root}/root/knocktail.deb")
    yield from _used(lab, lambda: Machine(
        lab, tree(SUITES[0], "ansible-core", "nftables", "python3-apt"), put_package))


def play(machine, check=True):
    """Runs the play, and returns what has changed."""
    done = machine.run("env", "LC_ALL=C.UTF-8", "HOME=/root", *PLAY, check=check, timeout=180)
    print(done.stdout, done.stderr)
    return dict(re.findall(r"(\w+)=(\d+)", done.stdout.splitlines()[-2] if done.stdout else ""))


def wait_opens(client, *knock):
    """A new daemon may not follow the journal yet."""
    def opens():
        client.knock(*knock)
        return client.can_connect()
    wait_until(opens, 10, "the door opens", 0.5)


@pytest.mark.skipif(os.environ.get("KNOCKTAIL_LONG_TESTS") != "yes",
                    reason="takes minutes: for tools/release")
def test_ansible(controlled, lab):
    machine = controlled
    inside, other = lab.client(), lab.client()
    assert inside.can_connect()
    machine.write("/root/play.yml", block("conf.d/web.conf"))
    assert int(play(machine)["changed"]) > 0
    assert not other.can_connect()
    wait_opens(inside, 8000, "7000/udp", 9000)
    doors = machine.run("knocktail", "check").stdout
    machine.run("systemctl", "is-enabled", "knocktail-firewall", "knocktaild")

    # The same again: nothing.
    again = play(machine)
    assert (again["changed"], again["failed"]) == ("0", "0"), again
    assert inside.can_connect()

    # What is wrong gets nowhere.
    before = machine.run("cat", "/etc/knocktail/conf.d/web.conf").stdout
    machine.write("/root/play.yml", block("conf.d/web.conf").replace("timeout  = 1h", "timeout = ever"))
    assert play(machine, check=False)["failed"] == "1"
    assert machine.run("cat", "/etc/knocktail/conf.d/web.conf").stdout == before
    assert machine.run("knocktail", "check").stdout == doors
    assert inside.can_connect() and not other.can_connect()


def cloud_init(machine, data):
    """Does what cloud-init does: writes the files, and gives the commands to a shell."""
    assert set(data) == {"write_files", "runcmd"}, data
    for file in data["write_files"]:
        assert set(file) == {"path", "owner", "permissions", "content"}, file
        machine.write(file["path"], file["content"])
        machine.run("chown", file["owner"], file["path"])
        machine.run("chmod", file["permissions"], file["path"])
    for command in data["runcmd"]:
        print(machine.run("sh", "-ec", command, timeout=60).stdout)


def test_cloud_init(machine, lab):
    yaml = pytest.importorskip("yaml")
    client, other = lab.client(), lab.client()
    assert client.can_connect()
    cloud_init(machine, yaml.safe_load(block("#cloud-config")))
    assert not other.can_connect()
    wait_opens(client, 8000, "7000/udp", 9000)
    assert not other.can_connect()
    machine.run("systemctl", "is-enabled", "knocktail-firewall", "knocktaild")
