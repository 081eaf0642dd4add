"""Who writes to the kernel's log, and who reads it: the daemon believes no knock that any user of the
machine may have forged, and the doctor says where nothing is logged, or too much is known."""

import contextlib
import json
import os
import re
import subprocess

import pytest

from doors import ipset_door
from hosts import ENVIRONMENT, wait_until
from lab import program
from test_keyed_knocks import Keys, send_token, token, token_door
from test_one_time_sequences import one_time_door, sequences, used

__all__ = ["sequences"]

SETTINGS = "/proc/sys/net/netfilter"
IS_ON = "net.netfilter.nf_log_all_netns is on"


@contextlib.contextmanager
def settings(lab, directory, name):
    """A directory of sysctls in the place of the laboratory's own, and how to write one. The first
    network namespace's, which these stand for, is everybody's who tests on this machine."""
    inside = f"/run/lab/sysctl-{next(lab.numbers)}"
    os.mkdir(lab.server.path(inside))

    def write(value):
        lab.file(f"{os.path.basename(inside)}/{name}", f"{value}\n")

    write(0)
    lab.server.run("mount", "--bind", inside, directory)
    try:
        yield write
    finally:
        lab.server.run("umount", directory)


@pytest.fixture
def all_netns(lab):
    with settings(lab, SETTINGS, "nf_log_all_netns") as write:
        yield write


@pytest.fixture
def start(lab):
    """Starts one daemon after the other."""
    started = []

    def start_one(*arguments):
        started.append(lab.daemon(*arguments))
        return started[-1]

    yield start_one
    for daemon in started:
        daemon.close()


def refused(daemon, client):
    """A knock that opens nothing, and why."""
    client.knock(7000, 8000, 9000)
    return daemon.wait_message("refused", SOURCE=client.v4)


def opens(lab, client):
    client.knock(7000, 8000, 9000)
    wait_until(lambda: client.v4 in lab.members(), 3, "the door is open")


def test_a_sequence_that_anybody_may_have_forged(lab, start, all_netns):
    daemon = start(ipset_door())
    assert not daemon.messages(IS_ON)
    opens(lab, lab.client())
    all_netns(1)
    for _ in range(2):
        client = lab.client()
        assert "anybody may have forged it" in refused(daemon, client)
        assert client.v4 not in lab.members()
    assert daemon.stderr().count(f"{IS_ON}: anybody who may create") == 1
    all_netns(0)
    opens(lab, lab.client())
    assert daemon.stderr().count("net.netfilter.nf_log_all_netns is off again") == 1
    all_netns(1)
    refused(daemon, lab.client())
    assert daemon.stderr().count(f"{IS_ON}: anybody who may create") == 2


def test_whoever_trusts_all_users_is_let_do_so(lab, start, all_netns):
    all_netns(1)
    daemon = start(ipset_door(), "trust_all_netns = yes")
    opens(lab, lab.client())
    assert "they are trusted" in daemon.stderr()


def test_what_takes_a_key_is_not_forged(lab, start, all_netns):
    keys = Keys(lab, "alice")
    all_netns(1)
    daemon = start(token_door() + ipset_door("other"), keys.options)
    assert IS_ON in daemon.stderr()
    client = lab.client()
    assert "forged" in refused(daemon, client)
    send_token(client, token(keys.key["alice"]))
    wait_until(lambda: client.v4 in lab.members(), 3, "the door is open")


def test_a_one_time_sequence_is_used_up_all_the_same(lab, start, sequences, all_netns):
    path = sequences((7000, 8000, 9000), (7001, 8001, 9001))
    all_netns(1)
    daemon = start(one_time_door(path))
    client = lab.client()
    assert "forged" in refused(daemon, client)
    assert used(lab, path) == 1
    all_netns(0)
    client.knock(7000, 8000, 9000)
    client.knock(7001, 8001, 9001)
    wait_until(lambda: client.v4 in lab.members(), 3, "the next line opens it")
    assert used(lab, path) == 2


def test_a_namespace_of_its_own(start):
    assert "this network namespace is not the host's" in start(ipset_door()).stderr()


def asked(lab, config):
    """What the doctor says of the log and its readers, and what check --live says."""
    told = json.loads(lab.knocktail("doctor", "-c", config, "-o", "json", timeout=60).stdout)
    said = {(finding["check"], finding["level"]): finding["text"] for finding in told["findings"]
            if finding["check"] in ("log", "readers")}
    return said, lab.knocktail("check", "--live", "-c", config)


def test_the_doctor_tells_of_forgeries(lab, all_netns):
    config, trusting = lab.config(ipset_door()), lab.config(ipset_door(), "trust_all_netns = yes")
    said, check = asked(lab, config)
    assert set(said) == {("log", "ok"), ("readers", "ok")}
    assert check.returncode == 0 and "netns" not in check.stderr
    all_netns(1)
    said, check = asked(lab, config)
    assert f"door ssh: sequences are refused: {IS_ON}" in said["log", "problem"]
    assert check.returncode == 1 and "door ssh: sequences are refused" in check.stderr
    said, check = asked(lab, trusting)
    assert f"door ssh: sequences are trusted: {IS_ON}" in said["log", "warning"]
    assert check.returncode == 0 and "warning: sequences are trusted" in check.stderr
    said, check = asked(lab, lab.config(token_door(), Keys(lab, "alice").options))
    assert not [text for text in said.values() if "netns" in text]


def test_the_doctor_tells_who_reads(lab, sequences):
    config = lab.config(ipset_door())
    path = "/proc/sys/kernel/dmesg_restrict"
    for value, level in (("0", "warning"), ("1", "ok"), ("2", "ok")):
        restrict = lab.file(f"restrict-{value}", f"{value}\n")
        lab.server.run("mount", "--bind", restrict, path)
        try:
            said, check = asked(lab, config)
            assert ("readers", level) in said, said
            assert ("kernel.dmesg_restrict is 0" in check.stderr) == (value == "0")
            said, check = asked(lab, lab.config(one_time_door(sequences((7000, 8000)))))
            assert ("readers", "ok") in said and "dmesg" not in check.stderr
        finally:
            lab.server.run("umount", path)


def test_a_container_cannot_see_it(lab):
    """Process 1 is in the same network namespace, as in a container: it is seen from what comes."""
    prefix = lab.prefix.replace("kt-", "no-")
    path = lab.config(ipset_door())
    unheard = lab.file("unheard.conf", lab.read(path).replace(lab.prefix, prefix))
    said, check = asked(lab, unheard)
    assert "which cannot be seen from here" in said["log", "unknown"]
    assert check.returncode == 0
    assert check.stderr.count("warning: this network namespace is not the host's") == 1
    lab.client().knock(7000)
    wait_until(lab.records, 3, "a probe is logged")
    said, check = asked(lab, path)
    assert "unknown" not in {level for _, level in said} and "namespace" not in check.stderr


def test_a_namespace_on_the_host(lab, tmp_path):
    """Whoever may enter the host's network namespace sees what it is there, and it is 1 now."""
    path = lab.server.path(lab.config(ipset_door()))
    done = subprocess.run(["unshare", "--net", program("knocktail"), "doctor", "-c", path],
                          env=ENVIRONMENT, capture_output=True, text=True, check=False,
                          timeout=60)
    assert "network namespace" not in done.stdout, done.stdout
    zero = tmp_path / "zero"
    zero.write_text("0\n", encoding="ascii")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", f"mount --bind {zero} {SETTINGS}/nf_log_all_netns\n"
         f"exec unshare --net {program('knocktail')} doctor -c {path}"], env=ENVIRONMENT,
        capture_output=True, text=True, check=False, timeout=60)
    assert re.search(r"^problem +log +this network namespace is not the host's: LOG writes nothing "
                     r"here \(net.netfilter.nf_log_all_netns is 0\)", done.stdout, re.M), done
