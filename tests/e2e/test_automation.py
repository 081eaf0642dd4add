"""What doc/automation.md has others type works, in a booted machine."""

import os
import re

import pytest

from hosts import wait_until
from lab import ROOT, Lab
from machine import Unavailable, booted


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


@pytest.fixture
def machine(lab):
    """A machine, on which knocktail is new."""
    try:
        made = booted(lab)
    except Unavailable as reason:
        pytest.skip(f"no machine: {reason}")
    yield made
    made.close()
    lab.server.run("nft", "flush", "ruleset")


def wait_opens(client, *knock):
    """A new daemon may not follow the journal yet."""
    def opens():
        client.knock(*knock)
        return client.can_connect()
    wait_until(opens, 10, "the door opens", 0.5)


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
