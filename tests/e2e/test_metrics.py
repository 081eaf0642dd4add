"""`knocktail metrics` is read by the programs that it is meant for."""

import json
import os
import re
import shutil
import subprocess
import time

import pytest

from doors import ipset_door
from hosts import ENVIRONMENT, wait_until
from lab import ROOT
from test_keyed_knocks import Keys, send_token, token, token_door

DOORS = ipset_door(timeout="60s") + ipset_door("web", "7100, 8100", timeout="60s")
PATH = "/run/lab/knocktail.prom"


@pytest.fixture(scope="module")
def lab(bus_lab):
    """The laboratory with a bus."""
    return bus_lab


@pytest.fixture
def keys(lab):
    """The keys of alice and bob."""
    return Keys(lab, "alice", "bob")


@pytest.fixture
def counted(start, lab, client):
    """A daemon that has something to count."""
    daemon = start(DOORS)
    lab.bus.wait_daemon()
    client.knock(7000, 8000, 9000)
    client.wait_open()
    return daemon


def promtool():
    """Prometheus' own checker, from Debian's package."""
    for path in (shutil.which("promtool", path=ENVIRONMENT["PATH"]),
                 os.path.join(ROOT, "build", "promtool"),
                 os.path.join(os.environ.get("KNOCKTAIL_BUILD", ""), "promtool")):
        if path and os.access(path, os.X_OK):
            return path
    return pytest.skip("promtool is not installed")


def check(text):
    """Has promtool check Prometheus' text: not a word of complaint."""
    done = subprocess.run([promtool(), "check", "metrics"], input=text, text=True,
                          capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), text


def samples(text):
    """Name and labels to value, by the reference parser of OpenMetrics."""
    parser = pytest.importorskip("prometheus_client.openmetrics.parser",
                                 reason="python3-prometheus-client is not installed")
    families = list(parser.text_string_to_metric_families(text))
    assert all(family.documentation for family in families)
    return {(sample.name, *sample.labels.values()): sample.value
            for family in families for sample in family.samples}


def test_openmetrics(counted, lab):
    done = lab.knocktail("metrics")
    assert done.returncode == 0, done.stderr
    told = samples(done.stdout)
    assert told["knocktail_up",] == 1
    assert told["knocktail_grants", "ssh"] == 1 and told["knocktail_grants", "web"] == 0
    assert told["knocktail_grants_opened_total",] == 1
    assert told["knocktail_probes_total",] >= 3
    assert 1.7e9 < told["knocktail_start_time_seconds",] <= told[
        "knocktail_last_probe_timestamp_seconds",]
    assert any(name[0] == "knocktail_build_info" for name in told)
    assert told["knocktail_refusals_total", "replayed"] == 0
    status = json.loads(lab.knocktail("status", "-o", "json").stdout)["stats"]
    assert len(told) == len(status) + 3, "all that is counted, version, up, and one door more"


def test_refusals_are_counted_by_cause(start, lab, clients, keys):
    """What an alert needs: a replayed knock is not a wrong clock."""
    start(token_door(), keys.options)
    lab.bus.wait_daemon()
    owner, thief, late = clients(), clients(), clients()
    knock = token(keys.key["alice"])
    send_token(owner, knock)
    owner.wait_open()
    send_token(thief, knock)
    send_token(late, token(keys.key["bob"], late=120))

    def counts():
        told = json.loads(lab.knocktail("metrics", "-o", "json").stdout)
        return {sample["cause"]: sample["value"] for sample in told
                if sample["name"] == "knocktail_refusals_total" and sample["value"] > 0}

    wait_until(lambda: counts() == {"replayed": 1, "clock": 1}, 5, "both are counted")


def test_promtool_has_nothing_to_complain_of(counted, lab):
    done = lab.knocktail("metrics", "-o", "prometheus")
    assert "knocktail_probes_total" in done.stdout
    check(done.stdout)


def test_the_file_for_node_exporter(counted, lab):
    for _ in range(2):
        done = lab.knocktail("metrics", "--textfile", PATH)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        check(lab.read(PATH))
    listed = lab.server.run("sh", "-c", f"ls -l {PATH}*").stdout.splitlines()
    assert len(listed) == 1 and listed[0].startswith("-rw-r--r--"), listed


def test_the_file_is_replaced_at_one_stroke(counted, lab):
    """Whoever has opened it reads on in the old one."""
    path = lab.server.path(PATH)
    lab.knocktail("metrics", "--textfile", PATH)
    with open(path, encoding="utf-8") as old:
        before = os.fstat(old.fileno()).st_ino
        assert lab.knocktail("metrics", "--textfile", PATH).returncode == 0
        assert os.stat(path).st_ino != before
        check(old.read())


ALERTS = os.path.join(ROOT, "doc", "alerts.yml")


def test_alerts_fire_on_what_they_are_for():
    for command, path in (("check", ALERTS),
                          ("test", os.path.join(ROOT, "tests", "alerts", "alerts-test.yml"))):
        done = subprocess.run([promtool(), command, "rules", path], text=True,
                              capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_name_what_is_counted(counted, lab):
    """A counter by another name would keep an alert quiet for good."""
    with open(os.path.join(ROOT, "src/fleet/ledger.c"), encoding="utf-8") as file:
        counts = re.findall(r'\[FLEET_[A-Z]+\] = "([a-z]+)"', file.read())
    with open(os.path.join(ROOT, "src/fleet/agent/report.c"), encoding="utf-8") as file:
        counts += re.findall(r'\\"([a-z]+)\\":%" PRIu64', file.read())
    path = lab.server.path("/run/knocktail-fleet")
    os.makedirs(path)
    try:
        with open(f"{path}/report.json", "w", encoding="ascii") as file:
            json.dump({"written_us": int(time.time() * 1e6), "broker": True, "shares": [], "open": [],
                       "counts": dict.fromkeys(counts, 0)}, file)
        told = lab.knocktail("metrics", "-o", "prometheus").stdout
    finally:
        shutil.rmtree(path)
    with open(ALERTS, encoding="utf-8") as file:
        rules = file.read()
    for name in sorted(set(re.findall(r"\bknocktail_[a-z_]+", rules))):
        assert f"\n{name}" in told, name
    for causes in re.findall(r'cause[!=]?[=~]"([a-z|]+)"', rules):
        for cause in causes.split("|"):
            assert f'cause="{cause}"' in told, cause


def test_json(counted, lab):
    told = {(item["name"], item.get("door")): item["value"]
            for item in json.loads(lab.knocktail("metrics", "-o", "json").stdout)}
    assert told["knocktail_grants", "ssh"] == 1 and told["knocktail_up", None] == 1


def test_without_a_daemon(lab):
    wait_until(lambda: not lab.bus.has_daemon(), 5, "no daemon is on the bus")
    done = lab.knocktail("metrics")
    assert done.returncode == 0 and samples(done.stdout) == {("knocktail_up",): 0}
    lab.knocktail("metrics", "--textfile", PATH)
    check(lab.read(PATH))


def test_what_cannot_be_done(counted, lab):
    done = lab.knocktail("metrics", "--textfile", "/no/such/directory/x.prom")
    assert done.returncode == 1 and "/no/such/directory" in done.stderr
    for arguments in (("-o", "text"), ("x",), ("--textfile",)):
        assert lab.knocktail("metrics", *arguments).returncode == 2, arguments
