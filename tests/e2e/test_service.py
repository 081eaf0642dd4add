"""knocktaild as a service of a booted systemd, as it is installed by `make install`."""

import os
import re

import pytest

from doors import command_door, ipset_door, iptables_door, nft_door
from hosts import wait_until
from lab import COMMAND_PORTS, IPTABLES_PORT, ROOT, Lab
from machine import CONFIGS, Unavailable, booted

UNIT = "knocktaild.service"
RULE = "/usr/sbin/iptables -w 5 {} DOORS -s %IP% -p tcp --dport 2201 -j ACCEPT"
DOORS = ipset_door(timeout="3s") + command_door(
    timeout="3s", start_command=RULE.format("-A"), stop_command=RULE.format("-D"))


@pytest.fixture(scope="module")
def lab(possible):
    """A laboratory of our own: its server is the machine's network."""
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def machine(lab):
    """The machine, with knocktail installed but not started."""
    try:
        made = booted(lab)
    except Unavailable as reason:
        pytest.skip(f"no service tests: {reason}")
    yield made
    made.close()


@pytest.fixture
def service(machine):
    """The running service."""
    machine.configure(DOORS)
    machine.run("systemctl", "reset-failed", UNIT, check=False)
    try:
        machine.run("systemctl", "start", UNIT)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{machine.journal(UNIT)}") from None
    yield machine
    machine.run("systemctl", "stop", UNIT)
    print(machine.journal(UNIT))


def knock_until_open(client, *steps, port=22):
    """Knocks once, and returns when the door was seen open."""
    knocked = client.knock(*steps)
    return client.wait_open(port, since=knocked)


def rules(lab):
    """The rules that commands have added."""
    listed = lab.server.run("iptables", "-S", "DOORS").stdout.splitlines()
    return [line for line in listed if line.startswith("-A")]


def test_it_guards_a_door(service, client, other):
    assert not client.can_connect()
    opened = knock_until_open(client, 7000, 8000, 9000)
    assert not other.can_connect()
    assert client.wait_closed() - opened < 4.1


def test_commands_run_in_the_sandbox(service, client, lab):
    opened = knock_until_open(client, 7100, 8100, 9100, port=COMMAND_PORTS[0])
    assert client.wait_closed(COMMAND_PORTS[0]) - opened < 4.1
    wait_until(lambda: not rules(lab), 1, "the rule is gone")


def test_nft_works_in_the_sandbox(service, client, lab):
    lab.server.run("nft", "-f", "-", input="""table inet lab {
        set open4 { type ipv4_addr; flags timeout; }
        set open6 { type ipv6_addr; flags timeout; }
    }""")
    service.configure(nft_door(timeout="60s"))
    service.run("systemctl", "restart", UNIT)
    assert "nft inet lab" not in service.journal(UNIT)
    for version in (4, 6):
        client.knock(7000, 8000, 9000, version=version)
        wait_until(lambda version=version: client.address(version) in lab.elements(version), 3,
                   "the address is in the set")
    service.run("systemctl", "stop", UNIT)
    assert not lab.elements(4) and not lab.elements(6)


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_iptables_works_in_the_sandbox(version, service, client, lab):
    service.configure(iptables_door(timeout="3s"))
    service.run("systemctl", "restart", UNIT)
    knocked = client.knock(7000, 8000, 9000, version=version)
    opened = client.wait_open(IPTABLES_PORT, version, since=knocked)
    assert client.wait_closed(IPTABLES_PORT, version) - opened < 4.1
    wait_until(lambda: not lab.owned_rules(version), 1, "the rules are gone")


def test_it_runs_as_its_own_user_with_one_capability(service):
    properties = service.properties(UNIT)
    assert properties["Type"] == "notify"
    status = service.run("cat", f"/proc/{properties['MainPID']}/status").stdout
    fields = {key: value.split() for key, _, value in
              (line.partition(":") for line in status.splitlines())}
    user = service.run("id", "-u", "knocktail").stdout.strip()
    assert user != "0"
    assert fields["Uid"] == [user] * 4
    for name in ("CapEff", "CapBnd", "CapPrm"):
        assert int(fields[name][0], 16) == 1 << 12, f"{name} is CAP_NET_ADMIN alone"
    assert fields["NoNewPrivs"] == ["1"]
    limits = service.run("cat", f"/proc/{properties['MainPID']}/limits").stdout
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M), "keys are in its memory"
    assert fields["Seccomp"] == ["2"]
    for directory in ("/run/knocktail", "/var/lib/knocktail"):
        listed = service.run("stat", "-c", "%U", directory, check=False).stdout.strip()
        assert listed in ("knocktail", ""), directory


def test_systemd_finds_little_to_blame(service):
    told = service.run("systemd-analyze", "security", "--no-pager", UNIT).stdout
    exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", told).group(1))
    assert exposure < 2.0, told


def test_systemd_finds_the_unit_well_written(machine):
    done = machine.run("systemd-analyze", "verify", "--man=no", UNIT, check=False)
    assert done.returncode == 0
    assert "knocktail" not in done.stderr, done.stderr


def test_reload(service, client):
    pid = service.properties(UNIT)["MainPID"]
    service.configure(ipset_door(sequence="7001, 8001"))
    service.run("systemctl", "reload", UNIT)
    knock_until_open(client, 7001, 8001)
    assert service.properties(UNIT)["MainPID"] == pid


def test_a_reload_with_a_mistake(service, client):
    path = service.configure(DOORS + "nonsense = 1\n")
    assert service.run("systemctl", "reload", UNIT, check=False).returncode != 0
    wait_until(lambda: path in service.journal(UNIT), 3, "the mistake is reported")
    assert service.properties(UNIT)["ActiveState"] == "active"
    knock_until_open(client, 7000, 8000, 9000)


def test_it_comes_back_after_a_kill_and_closes_what_was_open(service, client, lab):
    opened = knock_until_open(client, 7100, 8100, 9100, port=COMMAND_PORTS[0])
    before = service.properties(UNIT)["MainPID"]
    service.run("systemctl", "kill", "-s", "KILL", UNIT)
    wait_until(lambda: service.properties(UNIT)["MainPID"] not in ("0", before), 10,
               "systemd starts it again")
    last = client.wait_closed(COMMAND_PORTS[0])
    assert last is None or last - opened < 4.1
    wait_until(lambda: not rules(lab), 4, "the rule is gone")
    wait_until(lambda: service.properties(UNIT)["ActiveState"] == "active", 10, "it is ready")
    knock_until_open(client, 7000, 8000, 9000)


@pytest.fixture
def impatient(service):
    """The service, and systemd does not wait long for a sign of life."""
    drop_in = "/run/systemd/system/knocktaild.service.d/watchdog.conf"
    service.run("mkdir", "-p", os.path.dirname(drop_in))
    service.run("sh", "-c",
                f"printf '[Service]\\nWatchdogSec=1s\\nTimeoutAbortSec=1s\\n' >{drop_in}")
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "restart", UNIT)
    said = set()        # per process, READY=1 is the first that systemd hears of it

    def is_well():
        told = service.properties(UNIT)
        said.add((told["MainPID"], told["WatchdogTimestampMonotonic"]))
        return sum(pid == told["MainPID"] for pid, _ in said) > 2
    wait_until(is_well, 10, "it says time and again that it is well")
    yield service
    service.run("rm", drop_in)
    service.run("systemctl", "daemon-reload")


def check_replaced(service, before, client):
    """systemd has missed the signs of life, and there is another daemon, which works."""
    wait_until(lambda: service.properties(UNIT)["MainPID"] not in ("0", before), 15,
               "systemd starts it again")
    wait_until(lambda: service.properties(UNIT)["ActiveState"] == "active", 10, "it is ready")
    assert "Watchdog timeout" in service.journal(UNIT)
    knock_until_open(client, 7000, 8000, 9000)


def test_systemd_replaces_a_daemon_that_is_stopped(impatient, client):
    before = impatient.properties(UNIT)["MainPID"]
    impatient.run("systemctl", "kill", "--kill-whom=main", "-s", "STOP", UNIT)
    check_replaced(impatient, before, client)


def test_systemd_replaces_a_daemon_that_hangs_in_its_loop(impatient, client):
    """It waits for a file system that does not answer, in what it does for a SIGHUP."""
    before = impatient.properties(UNIT)["MainPID"]
    try:
        silence = impatient.unanswered("/etc/knocktail")
    except Unavailable as reason:
        pytest.skip(f"cannot make it hang: {reason}")
    with silence as detach:
        impatient.run("systemctl", "kill", "--kill-whom=main", "-s", "HUP", UNIT)
        wait_until(lambda: "fuse" in impatient.run("cat", f"/proc/{before}/wchan").stdout, 3,
                   "it hangs")
        detach()
        check_replaced(impatient, before, client)


def test_stop_closes_the_doors(service, client, lab):
    service.configure(ipset_door(timeout="60s") + command_door(
        timeout="60s", start_command=RULE.format("-A"), stop_command=RULE.format("-D")))
    service.run("systemctl", "restart", UNIT)
    knock_until_open(client, 7000, 8000, 9000)
    knock_until_open(client, 7100, 8100, 9100, port=COMMAND_PORTS[0])
    service.run("systemctl", "stop", UNIT)
    assert not lab.members() and not rules(lab)
    assert not client.can_connect() and not client.can_connect(COMMAND_PORTS[0])
    assert service.properties(UNIT)["Result"] == "success"


def test_a_kill_and_no_restart_leaves_no_command_door(service, client, lab):
    """Stopped right after the kill: ExecStopPost= has to clean up."""
    service.configure(command_door(timeout="60s", start_command=RULE.format("-A"),
                                    stop_command=RULE.format("-D")))
    service.run("systemctl", "restart", UNIT)
    knock_until_open(client, 7100, 8100, 9100, port=COMMAND_PORTS[0])
    service.run("systemctl", "kill", "-s", "KILL", UNIT)
    service.run("systemctl", "stop", UNIT)
    wait_until(lambda: not rules(lab), 3, "the rule is gone")


def test_a_mistake_in_the_configuration_is_told_at_the_start(machine):
    path = machine.configure("[door ssh]\nsequence = 7000, 99999\n")
    assert machine.run("systemctl", "start", UNIT, check=False).returncode != 0
    assert f"{path}:4: error: " in machine.journal(UNIT)
    machine.run("systemctl", "stop", UNIT)
    machine.run("systemctl", "reset-failed", UNIT, check=False)


SAY_SOMETHING = "i=0; while [ $i -lt {} ]; do i=$((i+1)); echo knocktail-lab >/dev/kmsg; {}; done"


# What closes a door, slowly, and fails when it is told to end.
CLOSE_SLOWLY = """#!/bin/sh
trap 'echo it was told to end >&2; exit 1' TERM
: >/run/knocktail/closing
sleep 1 &
wait
exec {}
"""


def test_a_stop_does_not_end_a_command(service, client, lab):
    service.write("/usr/local/bin/close-slowly",
                  CLOSE_SLOWLY.format(RULE.format("-D").replace("%IP%", '"$1"')), 0o755)
    service.configure(command_door(timeout="60s", start_command=RULE.format("-A"),
                                   stop_command="/usr/local/bin/close-slowly %IP%"))
    service.run("systemctl", "reload", UNIT)
    knock_until_open(client, 7100, 8100, 9100, port=COMMAND_PORTS[0])
    closing = service.popen("knocktail", "close", "web")
    wait_until(lambda: service.run("test", "-e", "/run/knocktail/closing", check=False).returncode == 0,
               5, "it is being closed")
    service.run("systemctl", "stop", UNIT)
    closing.communicate(timeout=10)
    assert not rules(lab)
    assert "it was told to end" not in service.journal(UNIT)


def test_the_kernels_log_wakes_it_and_does_not_start_it(service, client):
    assert "woken by the kernel's log" in service.journal(UNIT)
    service.run("systemctl", "stop", UNIT)
    client.knock(7000)
    wait_until(lambda: "DPT=7000 " in service.run("journalctl", "-k", "-q", "-n", "5").stdout, 5,
               "the kernel has said something")
    assert service.properties(UNIT)["ActiveState"] == "inactive"
    service.run("systemctl", "start", UNIT)


def test_a_kernel_that_goes_on_talking_does_not_keep_the_bell_away(service):
    """The kernel's log is full, as it is on each machine that has run for long."""
    service.run("sh", "-c", SAY_SOMETHING.format(3000, ":"))
    for _ in range(5):
        service.run("sh", "-c", f"""
            ({SAY_SOMETHING.format(200, "sleep 0.01")}) & talker=$!
            systemctl restart {UNIT}
            kill $talker""")
    assert "polling the journal" not in service.journal(UNIT)
    before = service.journal(UNIT).count("woken by the kernel's log")
    service.run("systemctl", "kill", "-s", "KILL", UNIT)
    wait_until(lambda: service.journal(UNIT).count("woken by the kernel's log") > before, 10,
               "its successor has the bell too")


def test_the_installation_is_complete(machine):
    for path in ("knocktaild", "knocktail"):
        assert machine.run("sh", "-c", f"command -v {path}").stdout
    assert machine.run("knocktail", "check", check=False).returncode in (0, 2)


def test_the_timer_writes_the_counters(service, client):
    """For node_exporter: what the document has typed, on a machine that has its directory."""
    directory = "/var/lib/prometheus/node-exporter"
    service.run("mkdir", "-p", directory)
    knock_until_open(client, 7000, 8000, 9000)
    service.run("systemctl", "enable", "--now", "knocktail-metrics.timer")
    service.run("systemctl", "start", "knocktail-metrics.service")
    written = service.run("cat", f"{directory}/knocktail.prom").stdout
    assert "\nknocktail_up 1\n" in written
    assert "\nknocktail_grants_opened_total 1\n" in written
    assert service.properties("knocktail-metrics.timer")["ActiveState"] == "active"
    service.run("systemctl", "disable", "--now", "knocktail-metrics.timer")
    told = service.run("systemd-analyze", "verify", "--man=no", "knocktail-metrics.service",
                       "knocktail-metrics.timer", check=False)
    assert "knocktail" not in told.stderr


def users(machine):
    """An administrator and somebody else, each as the beginning of a command line of knocktail."""
    machine.run("useradd", "--groups", "knocktail-admin", "alice", check=False)
    machine.run("useradd", "bob", check=False)
    return (("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "knocktail")
            for user in ("alice", "bob"))


@pytest.fixture
def without_dbus(machine):
    """The machine, for which nobody has installed a bus."""
    machine.run("systemctl", "stop", "dbus.socket", "dbus.service")
    machine.run("rm", "-f", "/run/dbus/system_bus_socket")
    yield machine
    machine.run("systemctl", "start", "dbus.socket")


def test_it_is_asked_without_a_bus(without_dbus, service, client):
    """On a socket that the sandbox lets it give to the administrators, and that a stop takes away."""
    as_alice, as_bob = users(service)
    assert service.run("stat", "-c", "%U %G %a", "/run/knocktail/control").stdout == (
        "knocktail knocktail-admin 660\n")
    knock_until_open(client, 7000, 8000, 9000)
    assert client.v4 in service.run(*as_alice, "list").stdout
    service.run(*as_alice, "close", "ssh")
    assert not client.can_connect()
    service.run("knocktail", "open", "ssh", client.v4)
    assert client.can_connect()
    done = service.run(*as_bob, "list", check=False)
    assert done.returncode == 1 and "Permission denied" in done.stderr, done
    service.run("knocktail", "reload")
    assert "running since" in service.run("knocktail", "status").stdout
    service.run("systemctl", "stop", UNIT)
    assert service.run("ls", "/run/knocktail/control", check=False).returncode != 0
    done = service.run("knocktail", "status", check=False)
    assert done.returncode == 3 and "systemctl start knocktaild" in done.stderr, done


def test_who_may_read_what_is_installed(service):
    """As tmpfiles has it, however the configuration was written."""
    path = next(path for path in CONFIGS if os.path.exists(service.root + path))
    for name, owned in ((path, "640 root knocktail"),
                        (f"{os.path.dirname(path)}/keys", "750 root knocktail")):
        assert service.run("stat", "-c", "%a %U %G", name).stdout == f"{owned}\n", name


def test_the_bus_is_reached_from_the_sandbox(service, client):
    """With the policy as it is installed, for users as sysusers has made them."""
    wait_until(lambda: service.run("knocktail", "status", check=False).returncode == 0, 10,
               "it is on the bus")
    as_alice, as_bob = users(service)
    service.run("systemctl", "reload", "dbus")
    assert client.v4 not in service.run(*as_bob, "list").stdout
    service.run(*as_alice, "open", "ssh", client.v4)
    client.wait_open()
    assert client.v4 in service.run(*as_bob, "list").stdout
    assert service.run(*as_bob, "close", "ssh", check=False).returncode == 1
    service.run(*as_alice, "close", "ssh")
    assert not client.can_connect()
    assert client.v4 in service.run("knocktail", "audit").stdout


def test_nobody_undoes_a_stop_over_the_bus(machine, client):
    """Whoever may ask the daemon could have it open again what the administrator has closed."""
    call = ("busctl", "call", "org.knocktail", "/org/knocktail", "org.knocktail.Manager1", "Stats")
    machine.configure(ipset_door(timeout="60s"))
    machine.run("systemctl", "enable", "--now", UNIT)
    try:
        knock_until_open(client, 7000, 8000, 9000)
        machine.run("systemctl", "stop", UNIT)
        done = machine.run("knocktail", "status", check=False)
        assert done.returncode == 3 and "systemctl start knocktaild" in done.stderr, done
        assert machine.run(*call, check=False).returncode != 0
        assert machine.properties(UNIT)["ActiveState"] == "inactive"
        assert not client.can_connect()
    finally:
        machine.run("systemctl", "disable", UNIT)


def test_journalctl_explains_an_event(service, client):
    knock_until_open(client, 7000, 8000, 9000)
    service.run("journalctl", "--update-catalog")
    told = service.run("journalctl", "--no-pager", "-x", f"KNOCKTAIL_SOURCE={client.v4}").stdout
    assert f"The door ssh has been opened for {client.v4}" in told
    assert f"knocktail close ssh {client.v4}" in told


def told_by_the_book(machine):
    """Puts the files of doc/notify.md in their places, and the scripts' in that of a plain one."""
    with open(os.path.join(ROOT, "doc", "notify.md"), encoding="utf-8") as file:
        files = re.findall(r"^`(/\S+)`.*?^```ini\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
    own = os.path.dirname(next(path for path in CONFIGS if os.path.exists(machine.root + path)))
    written = []
    for path, content in files:
        path = path.replace("/etc/knocktail", own)
        machine.run("mkdir", "-p", os.path.dirname(path))
        machine.write(path, content, 0o640)
        machine.run("chgrp", "knocktail", path)
        written.append(path)
    machine.write("/usr/local/sbin/knock-told", "#!/bin/sh\necho told of $*\n", 0o755)
    return written


def test_somebody_is_told_as_the_document_has_it(service, client):
    written = told_by_the_book(service)
    assert len(written) == 3
    try:
        service.run("systemctl", "daemon-reload")
        service.run("systemctl", "start", "knock-told.socket")
        service.run("systemctl", "reload", UNIT)
        for seconds in (3, 3):                        # its service ends in between
            knock_until_open(client, 7000, 8000, 9000)
            client.wait_closed()
        wait_until(lambda: service.journal("knock-told.service").count(
            f"told of ssh {client.v4} {seconds}") == 2, 5, "both were told")
        assert "notify_command" not in service.journal(UNIT)
    finally:
        service.run("systemctl", "stop", "knock-told.socket", "knock-told.service")
        service.run("rm", *written)


def test_it_starts_without_a_kernel_log_of_its_own(machine, client):
    """As in a container. The last test: the machine has none afterwards."""
    machine.configure(DOORS)
    machine.run("umount", "--lazy", "/dev/kmsg")
    machine.run("rm", "/dev/kmsg")
    machine.run("systemctl", "start", UNIT)
    assert "no /dev/kmsg was passed: polling the journal" in machine.journal(UNIT)
    knock_until_open(client, 7000, 8000, 9000)
    machine.run("systemctl", "stop", UNIT)
