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
    daemon.wait_message(" closed for ")


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


def test_what_only_root_can_do_is_told_at_its_line(lab):
    """In any spelling, installed or not."""
    commands = {"ufw allow from %IP%": "ufw needs root",
                "/sbin/ufw allow from %IP%": "/sbin/ufw needs root",
                "firewall-cmd --reload %IP%": "firewall-cmd needs root",
                "sudo -n ipset add a %IP%": "sudo gains nothing",
                "service ssh start %IP%": "service asks for root's rights",
                "no-such-program %IP%": "its program is not on this machine"}
    for command, words in commands.items():
        path = lab.file("root.conf", f"[x]\nsequence = 3,1,2\nstart_command = {command}\n"
                                     "stop_command = /bin/true %IP%\n")
        done = lab.knocktail("import", path)
        assert done.returncode == 0
        assert f"{path}:3: note: start_command: {words}" in done.stderr
        assert "needs a shell" not in done.stderr


def test_what_knockd_is_started_with(lab):
    lab.server.run("mkdir", "-p", "/run/lab/default")
    path = lab.file("beside.conf", "[x]\nsequence = 3,1,2\ncommand = /bin/true %IP%\n")
    beside = lab.file("default/knockd", 'START_KNOCKD=1\nKNOCKD_OPTS="-i eth7"\n')
    done = lab.knocktail("import", path)
    assert "interface = eth7\n" in done.stdout
    assert f"{beside}:2: note: -i: becomes the key interface" in done.stderr
    other = lab.file("sysconfig", 'OPTIONS="-d --interface=wan0"\n')
    assert "interface = wan0\n" in lab.knocktail("import", "--defaults", other, path).stdout
    lab.server.run("rm", beside)
    assert "interface" not in lab.knocktail("import", path).stdout


def test_live_the_commands_are_tried_as_the_daemons_user(lab):
    """Root may run what the daemon's user may not, and read what it may not."""
    lab.server.run("mkdir", "-p", "/run/lab/private")
    lab.server.run("chmod", "700", "/run/lab/private")
    script = lab.file("private/open", "#!/bin/sh\n", 0o755)
    passwd = lab.file("passwd", "root:x:0:0::/:/bin/sh\nknocktail:x:64999:64999::/:/bin/false\n")

    def check(command):
        config = lab.file("live.conf", '[options]\nlog_prefix = "x"\n[door d]\n'
                          f"sequence = 3,1,2\nbackend = command\nstart_command = {command} %IP%\n"
                          "stop_command = /bin/true %IP%\n", 0o600)
        return lab.server.run("unshare", "-m", "sh", "-c", f"mount --bind {passwd} /etc/passwd && "
                              f"exec {lab.cli_path} check --live -c {config}", check=False)

    for command, words in ((script, f"cannot run {script} as the daemon's user, knocktail"),
                           (f"/bin/sh {script}", f"/bin/sh cannot read {script} as the daemon's")):
        done = check(command)
        assert done.returncode == 1 and words in done.stderr, done.stderr
    lab.server.run("chmod", "755", "/run/lab/private")
    assert check(script).returncode == 0


ACCESS = """SOURCE                  ANY
OPEN_PORTS              tcp/22
KEY_BASE64              c2VjcmV0LXZhbHVl
REQUIRE_USERNAME        alice
ACCESS_EXPIRE           12/31/2037

SOURCE: 198.51.100.0/24;
OPEN_PORTS: tcp/8443;
"""


def test_fwknops_stanzas_become_doors_with_new_keys_if_asked(lab):
    path = lab.file("access.conf", ACCESS)
    keys = f"/run/lab/keys-{next(lab.numbers)}"
    done = lab.knocktail("import", path)
    assert done.returncode == 0 and "c2Vj" not in done.stdout + done.stderr
    assert f"{path}:3: note: KEY_BASE64: keys are not carried over" in done.stderr
    assert "[door alice]" in done.stdout and "allow = 198.51.100.0/24" in done.stdout
    assert "new key" not in done.stderr
    done = lab.knocktail("import", "--keys", keys, path)
    assert done.returncode == 0 and "c2Vj" not in done.stdout + done.stderr
    key = lab.read(f"{keys}/alice.key")
    assert key.startswith("knocktail2 ") and "expires 2037-12-31" in key
    assert os.stat(lab.server.path(f"{keys}/user-2.key")).st_mode & 0o777 in (0o600, 0o640)
    done = lab.knocktail("import", "--keys", keys, path)
    assert done.returncode == 0 and "the key that was there stays" in done.stderr
    assert lab.read(f"{keys}/alice.key") == key
    other = lab.file("knockd.conf", KNOCKD)
    assert lab.knocktail("import", "--keys", keys, other).returncode == 2


def test_fwknops_client_becomes_profiles(lab):
    path = lab.file("fwknoprc", "[default]\nFW_TIMEOUT 60\n[gate]\nSPA_SERVER 127.0.0.1\n"
                    "ALLOW_IP 127.0.0.1\nKEY_BASE64 c2VjcmV0LXZhbHVl\n")
    done = lab.knocktail("import", path)
    assert done.returncode == 0 and "c2Vj" not in done.stdout + done.stderr
    assert "Host gate\n\tKnock spa\n" in done.stdout and "HostName 127.0.0.1" in done.stdout
    assert done.stdout.index("Host *") > done.stdout.index("Host gate")


def test_what_lies_beside_an_access_conf_counts_too(lab):
    directory = f"/run/lab/fwknop-{next(lab.numbers)}"
    os.mkdir(lab.server.path(directory))
    path = lab.file(f"{os.path.basename(directory)}/access.conf", ACCESS)
    beside = lab.file(f"{os.path.basename(directory)}/fwknopd.conf", "PCAP_INTF wan0;\n")
    done = lab.knocktail("import", path)
    assert done.returncode == 0 and done.stdout.count("\ninterface = wan0\n") == 2, done
    assert f"{beside}:1: note: \"pcap_intf\": becomes the key interface" in done.stderr
    with open(lab.server.path(path), encoding="ascii") as file:
        done = lab.server.run(lab.cli_path, "import", "-", input=file.read(), check=False)
    assert done.returncode == 0 and "interface" not in done.stdout
    lab.server.run("rm", beside)
    os.mkdir(lab.server.path(beside))
    done = lab.knocktail("import", path)
    assert done.returncode == 2 and f"cannot read {beside}: Is a directory" in done.stderr, done


def test_what_cannot_be_carried_over_or_written(lab):
    nothing, small = f"/run/lab/nothing-{next(lab.numbers)}", f"/run/lab/small-{next(lab.numbers)}"
    os.mkdir(lab.server.path(small))
    lab.server.run("mount", "-t", "tmpfs", "-o", "size=8k", "small", small)
    lab.server.run("sh", "-c", f"head -c 8192 /dev/zero >{small}/filling", check=False)
    knockd = lab.file("knockd.conf", KNOCKD)
    for text, words, status, complaint in (
            ("SOURCE ANY\n", (), 1, "no door could be carried over"),
            ("[default]\nFW_TIMEOUT 60\n", (), 1, "no profile could be carried over"),
            ("[a]\nsequence = 1\n", (), 1, "no door could be carried over"),
            ("[a]\n[]\n", (), 2, ":2: error: "),
            (KNOCKD, ("--defaults", "/no/such"), 2, "cannot read /no/such: No such file"),
            (KNOCKD, ("-o", knockd), 1, f"cannot write {knockd}: File exists"),
            (KNOCKD, ("-o", "/no/such/file"), 1, "cannot write /no/such/file: No such file"),
            (KNOCKD, ("-o", f"{small}/new"), 1, "No space left on device"),
            (ACCESS, ("--keys", f"{nothing}/keys"), 1, "No such file or directory")):
        path = lab.file(f"odd-{next(lab.numbers)}.conf", text)
        done = lab.knocktail("import", *words, path)
        assert done.returncode == status and complaint in done.stderr, (text, words, done)
    assert os.listdir(lab.server.path(small)) == ["filling"]
    assert lab.read(knockd) == KNOCKD
