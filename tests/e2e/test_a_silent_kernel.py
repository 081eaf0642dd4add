"""Where net.netfilter.nf_log_all_netns is 0, as it should be: LOG writes nothing in a network namespace
of its own, and who knocks gets in by NFLOG."""

import pytest

from kernel_log import SYSCTL
from lab import Lab
from test_nflog import KNOCK, ULOGD, Container, Nft


@pytest.fixture(scope="module")
def container(possible):
    if not ULOGD:
        pytest.skip("ulogd2 is not installed")
    with Lab("none") as lab:
        yield Container(lab, Nft)


@pytest.fixture
def lab(container):
    return container.lab


@pytest.fixture
def silent():
    """All laboratories need it at 1: no other test runs meanwhile."""
    def write(value):
        with open(SYSCTL, "w", encoding="ascii") as file:
            file.write(value)

    write("0")
    yield
    write("1")


@pytest.mark.fills_the_kernel_log
def test_a_knock_opens_where_the_kernel_logs_nothing(container, client, lab, silent):
    daemon = container.daemon()
    lab.server.run("iptables", "-t", "mangle", "-A", "INPUT", "-j", "LOG",
                   "--log-prefix", "[silent] ")
    client.knock(*KNOCK)
    client.wait_open(timeout=4)
    daemon.wait_message("opened", SOURCE=client.v4, DOOR="ssh")
    daemon.close()
    assert not any("[silent] " in entry.get("MESSAGE", "")
                   for entry in lab.journal("_TRANSPORT=kernel"))
