"""knocktail keygen: a new key that is nobody else's business."""

import calendar
import grp
import json
import os
import re
import shutil
import stat
import subprocess
import time

import pytest

import oracle

from doors import ipset_door
from hosts import ENVIRONMENT
from lab import DAEMON_UID, program
from terminal import converse


@pytest.fixture
def keys(lab):
    """A directory of keys that the daemon's group may enter, as seen inside."""
    directory = f"/run/lab/keys-{next(lab.numbers)}"
    path = lab.server.path(directory)
    os.mkdir(path)
    os.chown(path, 0, DAEMON_UID)
    os.chmod(path, 0o750)
    return directory


def mode(path):
    """The permissions of a file."""
    return stat.S_IMODE(os.stat(path).st_mode)


def machine_realm(lab):
    """What a server is called that has no realm in its configuration."""
    return lab.server.run("systemd-id128", "machine-id", "--app-specific",
                          "616aea08474344d590c25d4564aa7ccb").stdout[:16]


def test_a_key_is_new_and_for_the_daemon_alone(lab, keys):
    found = set()
    for user in ("alice", "bob_2", "0-c"):
        done = lab.knocktail("keygen", "--keys", keys, user)
        assert (done.returncode, done.stderr) == (0, "")
        path = lab.server.path(f"{keys}/{user}.key")
        assert (mode(path), os.stat(path).st_uid, os.stat(path).st_gid) == (0o640, 0, DAEMON_UID)
        realm, key = oracle.read_key(path)
        found.add(key)
        with open(path, encoding="ascii") as file:
            line = file.read()
        assert line == oracle.key_line(key, realm)
        assert line.split()[-1] not in done.stdout
        assert f"{keys}/{user}.key" in done.stdout and "knocktap --key" in done.stdout
        assert realm == machine_realm(lab)
    assert len(found) == 3
    assert sorted(os.listdir(lab.server.path(keys))) == ["0-c.key", "alice.key", "bob_2.key"]


def test_json_names_the_file_and_holds_no_key(lab, keys):
    done = lab.knocktail("keygen", "--keys", keys, "-o", "json", "alice")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"user": "alice", "realm": machine_realm(lab),
                                       "file": f"{keys}/alice.key", "since": None,
                                       "expires": None, "old_expires": None,
                                       "page": None}
    again = lab.knocktail("keygen", "--keys", keys, "--output=json", "alice")
    assert (again.returncode, again.stdout) == (1, "")


def test_a_key_that_is_there_stays(lab, keys):
    lab.knocktail("keygen", "--keys", keys, "alice")
    path = lab.server.path(f"{keys}/alice.key")
    with open(path, "rb") as file:
        before = file.read()
    done = lab.knocktail("keygen", "--keys", keys, "--qr", "alice")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (f"knocktail keygen: {keys}/alice.key: "
                           "key already exists; not overwritten (see --rotate)\n")
    with open(path, "rb") as file:
        assert file.read() == before
    os.unlink(path)
    os.symlink("/run/lab/elsewhere", path)
    assert lab.knocktail("keygen", "--keys", keys, "alice").returncode == 1
    assert not os.path.exists(lab.server.path("/run/lab/elsewhere"))
    assert os.listdir(lab.server.path(keys)) == ["alice.key"]


def test_a_directory_that_is_not_closed_is_no_reason_to_share(lab, keys):
    """Only a directory that others cannot enter says that its group is meant."""
    for bits in (0o755, 0o700):
        os.chmod(lab.server.path(keys), bits)
        lab.knocktail("keygen", "--keys", keys, f"user{bits}")
        assert mode(lab.server.path(f"{keys}/user{bits}.key")) == 0o600


@pytest.mark.parametrize("bits", [0o770, 0o777, 0o1777])
def test_a_directory_that_others_write_into_is_refused(bits, lab, keys):
    os.chmod(lab.server.path(keys), bits)
    done = lab.knocktail("keygen", "--keys", keys, "alice")
    assert done.returncode == 1 and keys in done.stderr
    assert os.listdir(lab.server.path(keys)) == []


def test_a_missing_directory_is_made(lab, keys):
    done = lab.knocktail("keygen", "--keys", f"{keys}/new", "alice")
    assert done.returncode == 0
    made = os.stat(lab.server.path(f"{keys}/new"))
    try:
        group = grp.getgrnam("knocktail").gr_gid
    except KeyError:
        assert (stat.S_IMODE(made.st_mode), made.st_gid) == (0o700, 0)
    else:
        assert (stat.S_IMODE(made.st_mode), made.st_gid) == (0o750, group)


def test_a_full_disk_leaves_nothing(lab):
    directory = f"/run/lab/full-{next(lab.numbers)}"
    lab.server.run("sh", "-ec", f"""
        mkdir {directory}
        mount -t tmpfs -o size=4096,mode=0700 full {directory}
        head -c 4096 /dev/zero >{directory}/filling
    """)
    done = lab.knocktail("keygen", "--keys", directory, "alice")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert lab.server.run("ls", "-A", directory).stdout == "filling\n"


@pytest.mark.parametrize("words, complaint", [
    ((), "no user"),
    (("",), "user names have"),
    (("../alice",), "user names have"),
    (("Alice",), "user names have"),
    (("-", "alice"), "unexpected argument 'alice'"),
    (("x" * 33,), "user names have"),
    (("alice", "bob"), "unexpected argument 'bob'"),
    (("--overwrite", "alice"), "unrecognized option"),
    (("-c", "/dev/null", "alice"), "cannot be combined"),
    (("--qr", "-o", "json", "alice"), "cannot be combined"),
    (("-o", "xml", "alice"), "xml"),
    (("--realm", "Bar", "alice"), "a realm has"),
    (("--expires", "2027-02-30", "alice"), "--expires needs a date"),
    (("--expires", "2020-01-01", "alice"), "would have expired before it is good"),
    (("--since", "7d", "alice"), "--since needs a date"),
    (("--since", "2027-02-01", "--expires", "2027-01-01", "alice"), "before it is good"),
    (("--rotate", "soon", "alice"), "--rotate needs the time span"),
    (("--realm", "", "alice"), "a realm has"),
    (("--realm", "x" * 65, "alice"), "a realm has"),
])
def test_misuse(words, complaint, lab, keys):
    done = lab.knocktail("keygen", "--keys", keys, *words)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert os.listdir(lab.server.path(keys)) == []


def test_a_new_key_opens_a_door(lab, client, start, keys, tmp_path):
    """From keygen to the open door: by the configuration's directory, and a copy on the client."""
    door = ipset_door(sequence=None, seq_timeout=None, auth="token, spa", users="alice, bob")
    config = lab.config(door, f"keys = {keys}")
    for user in ("alice", "bob"):
        done = lab.knocktail("keygen", "-c", config, user)
        # Not even that they have no key yet.
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.partition(":")[0] == f"{keys}/{user}.key"
        shutil.copy(lab.server.path(f"{keys}/{user}.key"), tmp_path)
        os.chmod(tmp_path / f"{user}.key", 0o600)
    daemon = start(door, f"keys = {keys}")
    for user, version, how in (("alice", 4, []), ("bob", 6, ["--spa"])):
        client.run(program("knocktap"), "--key", tmp_path / f"{user}.key", "--door", "ssh", *how,
                   "--wait", 22, client.peer(version))
        assert daemon.events(SOURCE=client.address(version), USER=user)


def lines_of(lab, keys, user):
    """What stands in a key file."""
    with open(lab.server.path(f"{keys}/{user}.key"), encoding="ascii") as file:
        return file.read().splitlines()


def test_a_key_has_its_time(lab, keys):
    done = lab.knocktail("keygen", "--keys", keys, "--since", "2026-01-01", "--expires",
                         "2099-12-31T08:00:00Z", "alice")
    assert (done.returncode, done.stderr) == (0, "")
    assert lines_of(lab, keys, "alice")[1:] == ["since 2026-01-01", "expires 2099-12-31T08:00:00Z"]
    assert "It expires on 2099-12-31T08:00:00Z." in done.stdout
    before = time.time()
    assert lab.knocktail("keygen", "--keys", keys, "--expires", "90d", "bob").returncode == 0
    word, moment = lines_of(lab, keys, "bob")[1].split()
    assert word == "expires"
    assert 0 <= moment_of(moment) - int(before) - 90 * 86400 <= 5


def moment_of(text):
    """The Unix time of such a moment."""
    form = "%Y-%m-%dT%H:%M:%SZ" if "T" in text else "%Y-%m-%d"
    return calendar.timegm(time.strptime(text, form))


def test_a_key_is_replaced(lab, client, start, keys, tmp_path):
    """Both are good; a third key is not kept."""
    door = ipset_door(sequence=None, seq_timeout=None, auth="token", users="alice", timeout="60s")
    options = f"keys = {keys}"
    config = lab.config(door, options)

    def keygen(*words):
        return lab.knocktail("keygen", "-c", config, *words, "alice")

    def knock():
        return client.run(program("knocktap"), "--key", tmp_path / "alice.key", "--door", "ssh",
                          "--wait", 22, client.peer(), check=False)

    missing = keygen("--rotate", "7d")
    assert missing.returncode == 1 and "cannot replace this key: No such file" in missing.stderr
    assert keygen().returncode == 0
    path = lab.server.path(f"{keys}/alice.key")
    first = lines_of(lab, keys, "alice")[0]
    shutil.copy(path, tmp_path)
    os.chmod(tmp_path / "alice.key", 0o600)
    done = keygen("--rotate", "1h", "--expires", "30d")
    assert (done.returncode, done.stderr) == (0, "")
    assert (mode(path), os.stat(path).st_gid) == (0o640, DAEMON_UID)
    lines = lines_of(lab, keys, "alice")
    assert lines[0].startswith("knocktail2 ") and lines[0] != first and lines[2] == first
    assert lines[1].startswith("expires ") and lines[3].startswith("expires ")
    assert "The key before is good until" in done.stdout
    daemon = start(door, options)
    assert knock().returncode == 0
    listed = json.loads(lab.knocktail("keys", "-c", daemon.config, "--state", daemon.state,
                                      "-o", "json").stdout)
    assert [(row["user"], row["key"], row["doors"], row["state"]) for row in listed] == [
        ("alice", "current", ["ssh"], "good"), ("alice", "before", ["ssh"], "good")]
    assert listed[0]["used"] is None and listed[1]["used"] is not None
    text = lab.knocktail("keys", "-c", daemon.config, "--state", daemon.state).stdout
    assert re.match(r"alice\tcurrent\tssh\t-\t[-0-9]+ [^\t]+\tgood\n"
                    r"alice\tbefore\tssh\t[-0-9]+ [^\t]+\t[-0-9]+ [^\t]+\tgood\n", text)
    second = lines_of(lab, keys, "alice")[0]
    assert keygen("--rotate", "7d").returncode == 0
    lines = lines_of(lab, keys, "alice")
    assert len(lines) == 3 and lines[1] == second and first not in lines


def refuse_to_replace(lab, keys, realm, *why):
    """The file stays as it is, and the complaint says why, and what to do."""
    path = lab.server.path(f"{keys}/alice.key")
    with open(path, "rb") as file:
        before = file.read()
    done = lab.knocktail("keygen", "--keys", keys, "--realm", realm, "--rotate", "7d", "alice")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{keys}/alice.key: cannot replace this key: " in done.stderr
    for words in (*why, "remove this file", "leave out --rotate"):
        assert words in done.stderr
    with open(path, "rb") as file:
        assert file.read() == before
    assert os.listdir(lab.server.path(keys)) == ["alice.key"]


def test_a_key_that_others_may_know_is_not_kept(lab, keys):
    lab.knocktail("keygen", "--keys", keys, "--realm", "lab", "alice")
    path = lab.server.path(f"{keys}/alice.key")
    for bits, group, owner, why in ((0o644, DAEMON_UID, 0, "everybody may read"),
                                    (0o660, DAEMON_UID, 0, "its group may write it"),
                                    (0o640, 12345, 0, "its group may read it"),
                                    (0o600, DAEMON_UID, 12345, "it belongs to another user")):
        os.chown(path, owner, group)
        os.chmod(path, bits)
        refuse_to_replace(lab, keys, "lab", why)
        assert (mode(path), os.stat(path).st_uid) == (bits, owner)


def test_a_key_of_another_realm_is_not_kept(lab, keys):
    """The daemon takes no file whose keys are for different realms."""
    lab.knocktail("keygen", "--keys", keys, "--realm", "old", "alice")
    refuse_to_replace(lab, keys, "new", "it is for the realm old", "the new one is for new")


def test_keys_fails_if_it_does_not_have_all(lab, keys):
    """It lists what it has, and its exit status says that this is not all."""
    def listed(directory):
        config = lab.config(ipset_door(sequence=None, seq_timeout=None, auth="token", users="*"),
                            f"keys = {directory}\nrealm = lab")
        done = lab.knocktail("keys", "-c", config, "-o", "json")
        return done.returncode, [row["user"] for row in json.loads(done.stdout)], done.stderr

    assert listed(keys) == (0, [], "")
    for user in ("alice", "bob"):
        lab.knocktail("keygen", "--keys", keys, "--realm", "lab", user)
    assert listed(keys) == (0, ["alice", "bob"], "")
    os.chmod(lab.server.path(f"{keys}/bob.key"), 0o644)
    status, users, complaint = listed(keys)
    assert (status, users) == (1, ["alice"]) and f"{keys}/bob.key: everybody may" in complaint
    status, users, complaint = listed(f"{keys}/missing")
    assert (status, users) == (1, []) and f"{keys}/missing: No such file" in complaint


def test_keys_says_which_are_good_and_for_what(lab, keys):
    """Not yet good, expired, or good: each for the doors that name their user, or everybody."""
    doors = [ipset_door(name, sequence=None, seq_timeout=None, auth=auth, users=users)
             for name, auth, users in (("one", "token", "alice"), ("two", "spa", "*"),
                                       ("three", "token, spa", "bob, alice"))]
    config = lab.config("".join(doors) + ipset_door("steps"), f"keys = {keys}\nrealm = lab")
    for user, *term in (("alice", "since 2020-01-01", "expires 2999-01-01"), ("bob", "since 2999-01-01"),
                        ("carol", "expires 2020-01-01"), ("dave",)):
        lab.knocktail("keygen", "--keys", keys, "--realm", "lab", user)
        with open(lab.server.path(f"{keys}/{user}.key"), "a", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in term)
    listed = json.loads(lab.knocktail("keys", "-c", config, "-o", "json").stdout)
    assert [(row["user"], row["doors"], row["state"]) for row in listed] == [
        ("alice", ["one", "two", "three"], "good"), ("bob", ["two", "three"], "not yet"),
        ("carol", ["two"], "expired"), ("dave", ["two"], "good")]
    assert (listed[0]["since"][:10], listed[2]["expires"][:10]) == ("2020-01-01", "2020-01-01")
    text = lab.knocktail("keys", "-c", config).stdout.splitlines()
    assert [line.split("\t")[2] for line in text] == ["one,two,three", "two,three", "two", "two"]
    said = converse(lab.server, ["env", "TERM=xterm", lab.cli_path, "keys", "-c", config])[1]
    assert re.findall(r"^(\S*)(?:alice|bob|carol|dave) +current", said, re.M) == [
        "", "\x1b[31m", "\x1b[31m", ""], said


def test_the_realm_is_the_servers(lab, keys):
    config = lab.config(ipset_door(sequence=None, seq_timeout=None, auth="token", users="*"),
                        f"keys = {keys}\nrealm = bar.example-1_a")
    assert lab.knocktail("keygen", "-c", config, "alice").returncode == 0
    assert lab.knocktail("keygen", "--keys", keys, "--realm", "baz", "bob").returncode == 0
    for user, realm in (("alice", "bar.example-1_a"), ("bob", "baz")):
        assert oracle.read_key(lab.server.path(f"{keys}/{user}.key"))[0] == realm
    done = lab.knocktail("keygen", "-c", config, "--realm", "baz", "carol")
    assert done.returncode == 2 and "the configuration names the realm" in done.stderr


def test_a_configuration_that_is_wrong_makes_no_key(lab, keys):
    config = lab.config(ipset_door(colour="red"), f"keys = {keys}")
    done = lab.knocktail("keygen", "-c", config, "alice")
    assert done.returncode == 2
    assert config in done.stderr
    assert os.listdir(lab.server.path(keys)) == []


def test_the_qr_code_can_be_read(lab, keys, needs, tmp_path):
    """By a reader of QR codes, from what the terminal would show."""
    needs("zbarimg")
    done = lab.knocktail("keygen", "--keys", keys, "--qr", "alice")
    lines = re.findall("^\x1b\\[30;107m(.*)\x1b\\[0m$", done.stdout, re.MULTILINE)
    rows = []
    for line in lines:
        rows.append([0 if block in "▀█" else 255 for block in line])
        rows.append([0 if block in "▄█" else 255 for block in line])
    scale = 4
    pixels = b"".join(bytes(value for value in row for _ in range(scale))
                      for row in rows for _ in range(scale))
    width, height = len(rows[0]) * scale, len(rows) * scale
    picture = tmp_path / "code.pgm"
    picture.write_bytes(b"P5 %d %d 255\n" % (width, height) + pixels)
    read = subprocess.run(["zbarimg", "--quiet", "--nodbus", picture], capture_output=True,
                          text=True, timeout=60, check=True, env=ENVIRONMENT).stdout
    with open(lab.server.path(f"{keys}/alice.key"), encoding="ascii") as file:
        assert read == f"QR-Code:{file.read()}"
