"""`knocktail import`: a door of knockd's opens and closes as a door of knocktail's."""

import os
import re

from lab import COMMAND_PORTS, DAEMON_UID

KNOCKD = f"""\
[options]
\tUseSyslog

[openClose]
\tsequence      = 7000,8000:udp,9000
\tseq_timeout   = 5
\ttcpflags      = syn
\tstart_command = iptables -I DOORS -s %IP% -p tcp --dport {COMMAND_PORTS[0]} -j ACCEPT && true
\tcmd_timeout   = 1
\tstop_command  = iptables -D DOORS -s %IP% -p tcp --dport {COMMAND_PORTS[0]} -j ACCEPT
"""


def test_what_it_writes_opens_and_closes_the_door(lab, client, start):
    path = lab.file("knockd.conf", KNOCKD)
    done = lab.knocktail("import", path)
    assert done.returncode == 0
    assert f"{path}:8: note: start_command: needs a shell" in done.stderr
    assert "7000" not in done.stderr
    doors = done.stdout.partition('log_prefix = "[knock] "')[2]
    daemon = start(doors)
    client.knock(7000, "8000/udp", 9000)
    client.wait_open(COMMAND_PORTS[0])
    client.wait_closed(COMMAND_PORTS[0])
    assert daemon.messages(" closed for ")


def test_a_file_that_is_there_stays(lab):
    path = lab.file("knockd.conf", KNOCKD)
    output = f"/run/lab/imported-{next(lab.numbers)}.conf"
    assert lab.knocktail("import", "-o", output, path).returncode == 0
    assert os.stat(lab.server.path(output)).st_mode & 0o777 == 0o640
    os.chown(lab.server.path(output), 0, DAEMON_UID)
    assert lab.knocktail("check", "-c", output).returncode == 0
    before = lab.read(output)
    done = lab.knocktail("import", "-o", output, path)
    assert done.returncode == 1 and "File exists" in done.stderr
    assert lab.read(output) == before


def test_exit_status(lab):
    broken = lab.file("knockd.conf", KNOCKD + "[x]\nsequence = 0\ncommand = /bin/true\n")
    done = lab.knocktail("import", broken)
    assert done.returncode == 1 and "LEFT OUT" in done.stderr and "[door openclose]" in done.stdout
    none = lab.file("none.conf", "[x]\nsequence = 0\n")
    assert lab.knocktail("import", none).returncode == 1
    for arguments in ((), ("/no/such/file",), (lab.file("no.conf", "x = y\n"),), (broken, "x")):
        assert lab.knocktail("import", *arguments).returncode == 2


STEPS = ("7000,8000:udp,9000", "7000: UDP ,8000 :Tcp", "7000:udp:x,+008000", "7000/udp,8000 # no",
         "7000 8000,9000x:udp", " 7000 ", ",".join(str(port) for port in range(32, 0, -1)))


def test_sequences_mean_what_they_mean_to_knockd(lab, needs):
    """knockd tells how it has read them before it misses its interface."""
    needs("knockd")
    path = lab.file("steps.conf", "".join(f"[d{number}]\nsequence = {steps}\ncommand = /bin/true\n"
                                          for number, steps in enumerate(STEPS)))
    done = lab.server.run("knockd", "-c", path, "-D", "-i", "nowhere", check=False)
    theirs = re.findall(r"sequence: (\S+)", done.stdout + done.stderr)
    ours = re.findall(r"^sequence = (.*)", lab.knocktail("import", path).stdout, re.M)
    assert len(theirs) == len(STEPS)
    assert [steps.replace("/udp", ":udp").replace(" ", "") for steps in ours] == [
        steps.replace(":tcp", "") for steps in theirs]
