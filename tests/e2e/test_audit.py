"""`knocktail audit` tells from the journal who was let in, and believes no forged entry."""

import html.parser
import json
import os
import re
import shutil
import time
import xml.etree.ElementTree

import pytest

from doors import command_door, ipset_door
from hosts import wait_until
from lab import DAEMON_UID, JOURNAL_MISSED
from synthetic import (ADOPTED, CLOSE_FAILED, CLOSED, OPENED, REFUSED, RENEWED, damage, event,
                       probe, write_journal)

NOW = int(time.time())
MINE = ("--trust", f"_UID={DAEMON_UID}")


def ask(lab, *arguments):
    """What `audit -o json` says."""
    done = lab.knocktail("audit", *arguments, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_a_daemon_did(start, client, other, lab):
    daemon = start(ipset_door(timeout="1s") + ipset_door("web", "7100, 8100", timeout="60s",
                                                         allow="192.0.2.0/24"))
    client.knock(7000, 8000, 9000)
    daemon.wait_message("closed", SOURCE=client.v4)
    other.knock(7100, 8100, version=6)
    daemon.wait_message("refused", SOURCE=other.v6)
    visit, = ask(lab, *MINE, "--source", client.v4)
    assert (visit["door"], visit["source"], visit["state"]) == ("ssh", client.v4, "closed")
    assert visit["knock"] == "sequence"
    # However late journald comes to it.
    opened, closed = (int(entry["__REALTIME_TIMESTAMP"]) for entry in daemon.events(SOURCE=client.v4))
    seconds = (closed - opened) / 1e6
    assert visit["seconds"] == pytest.approx(seconds) and visit["opened"] < visit["closed"]
    refusal, = ask(lab, *MINE, "--source", other.v6.upper())
    assert (refusal["door"], refusal["state"]) == ("web", "refused")
    assert "allow" in refusal["reason"] and refusal["opened"] is None
    rows = [line.split("\t") for line in
            lab.knocktail("audit", *MINE, "--source", client.v4).stdout.splitlines()]
    assert len(rows) == 1 and rows[0][2:5] == [f"{int(seconds + 0.5)}s", "ssh", client.v4]


def test_a_door_that_is_open_and_renewed(start, client, lab):
    daemon = start(ipset_door(timeout="60s"))
    for _ in range(2):
        client.knock(7000, 8000, 9000)
        client.wait_open()
    daemon.wait_message("renewed")
    visit, = ask(lab, *MINE, "--source", client.v4)
    assert (visit["state"], visit["renewals"], visit["closed"]) == ("open", 1, None)


def test_a_door_that_would_not_close(start, client, lab):
    daemon = start(command_door(start_command="/bin/true", stop_command="/bin/false",
                                timeout="1s"))
    client.knock(7100, 8100, 9100)
    daemon.wait_message("could not be closed", SOURCE=client.v4, timeout=5)
    visit, = ask(lab, *MINE, "--source", client.v4)
    assert visit["reason"] and visit["state"] != "closed"


def test_forged_events(lab, client):
    """Whoever may write to the journal may write anything but what journald itself adds."""
    text = "".join(f"{name}={value}\n" for name, value in (
        ("MESSAGE", "door ssh opened"), ("MESSAGE_ID", OPENED), ("KNOCKTAIL_DOOR", "ssh"),
        ("KNOCKTAIL_SOURCE", client.v4), ("_SYSTEMD_UNIT", "knocktaild.service"),
        ("_UID", DAEMON_UID), ("SYSLOG_IDENTIFIER", "knocktaild")))
    lab.server.run("logger", "--journald", input=text)
    wait_until(lambda: lab.journal(f"KNOCKTAIL_SOURCE={client.v4}"), 5, "the entry is there")
    assert ask(lab, "--source", client.v4) == []
    assert ask(lab, *MINE, "--source", client.v4) == []
    assert len(ask(lab, "--trust", "_UID=0", "--source", client.v4)) == 1, "it would be seen"


@pytest.fixture(scope="module")
def past(tmp_path_factory, lab):
    """A directory of two hosts' journals, with all that can happen; its path in the lab."""
    directory = tmp_path_factory.mktemp("journal")
    t = NOW - 10000
    write_journal(str(directory / "gateway.journal"), [
        event(t, OPENED, "ssh", "198.51.100.1", deadline=t + 30, USER="alice", KNOCK="token"),
        event(t + 10, RENEWED, "ssh", "198.51.100.1", deadline=t + 40),
        event(t + 40, CLOSED, "ssh", "198.51.100.1"),
        event(t + 100, OPENED, "ssh", "198.51.100.2", deadline=t + 130, USER="bob"),
        event(t + 200, OPENED, "ssh", "198.51.100.2", deadline=t + 230, USER="bob"),
        event(t + 300, CLOSED, "web", "2001:db8::5"),
        event(t + 400, ADOPTED, "web", "2001:db8::6", deadline=t + 500),
        event(t + 500, CLOSE_FAILED, "web", "2001:db8::6", REASON="it is stuck"),
        event(t + 520, CLOSED, "web", "2001:db8::6"),
        event(t + 600, REFUSED, "ssh", "203.0.113.1", REASON="the source is not in allow"),
        event(t + 700, OPENED, "evil", "<script>alert('x')</script>\x1b[2J", deadline=t + 730),
        event(t + 800, OPENED, "ssh", "198.51.100.9", unit="user@1000.service"),
        *(probe(t + i, "[knock] ", f"203.0.113.{i % 250}", 22 if i % 2 else 3389)
          for i in range(1000)),
        probe(t, "[other] ", "203.0.113.1", 23)])
    write_journal(str(directory / "branch.journal"), [
        event(t + 50, OPENED, "ssh", "198.51.100.1", host="branch", deadline=t + 80),
        event(t + 60, CLOSED, "ssh", "198.51.100.1", host="branch")])
    inside = "/run/lab/past"
    lab.server.run("mkdir", "-p", inside)
    for name in os.listdir(directory):
        with open(directory / name, "rb") as file:
            lab.file(f"past/{name}", file.read())
    return inside


def test_the_files_of_other_hosts(lab, past):
    told = ask(lab, "--directory", past)
    ssh = [visit for visit in told if visit["source"] == "198.51.100.1"]
    assert [(visit["host"], visit["seconds"], visit["renewals"]) for visit in ssh] == [
        ("gateway", 40.0, 1), ("branch", 10.0, 0)]
    assert (ssh[0]["user"], ssh[0]["knock"]) == ("alice", "token")
    assert not [visit for visit in told if visit["source"] == "198.51.100.9"], "not the daemon's"


def test_visits_whose_end_or_beginning_is_missing(lab, past):
    bob = ask(lab, "--directory", past, "--user", "bob")
    assert [(visit["state"], visit["seconds"]) for visit in bob] == [("expired", 30.0)] * 2
    closed, adopted = ask(lab, "--directory", past, "--door", "web")
    assert (closed["opened"], closed["state"], closed["seconds"]) == (None, "closed", None)
    assert (adopted["opened"], adopted["state"], adopted["reason"]) == (
        None, "closed", "it is stuck")


def test_a_part_of_the_past(lab, past):
    t = NOW - 10000
    told = ask(lab, "--directory", past, "--since", f"@{t + 90}", "--until", f"@{t + 150}")
    assert [visit["source"] for visit in told] == ["198.51.100.2"]
    assert ask(lab, "--directory", past, "--door", "nodoor") == []


@pytest.fixture
def journal(tmp_path, lab):
    """Writes a journal of its own; returns its directory in the lab."""
    inside = f"/run/lab/journal-{next(lab.numbers)}"
    os.makedirs(lab.server.path(inside))

    def write(entries, **kwargs):
        write_journal(str(tmp_path / "system.journal"), entries, **kwargs)
        for path in tmp_path.iterdir():
            lab.file(f"{inside.removeprefix('/run/lab/')}/{path.name}", path.read_bytes())
        return inside
    yield write
    shutil.rmtree(lab.server.path(inside))


def test_a_clock_that_was_set_back(lab, journal):
    t = NOW - 10000
    past = journal([event(t, OPENED, "ssh", "198.51.100.1", deadline=t + 30),
                    event(t - 3600, CLOSED, "ssh", "198.51.100.1"),
                    event(NOW + 86400, OPENED, "ssh", "198.51.100.2", deadline=NOW + 86430)],
                   clock=False)
    closed, still_open = ask(lab, "--directory", past)
    assert (closed["state"], closed["seconds"]) == ("closed", 0.0)
    assert (still_open["state"], still_open["seconds"]) == ("open", 0.0)
    assert [line.split("\t")[2] for line in
            lab.knocktail("audit", "--directory", past).stdout.splitlines()] == ["0s", "0s"]


def test_many_doors_that_nobody_has_closed(lab, journal):
    """What an entry costs does not depend on how many there are."""
    past = journal([event(NOW - 50000 + i, OPENED, "ssh", f"10.0.{i >> 8}.{i & 255}")
                    for i in range(40000)])
    done = lab.knocktail("audit", "--directory", past, "-o", "json", timeout=20)
    told = json.loads(done.stdout)
    assert len(told) == 40000 and {visit["state"] for visit in told} == {"open"}


def test_a_long_past_makes_no_huge_page(lab, journal):
    """The lanes hold no more bars than can be told apart, the table its 5,000 rows."""
    past = journal([entry for i in range(15000) for entry in (
        event(NOW - 50000 + 2 * i, OPENED, "ssh", f"198.51.100.{i % 10}"),
        event(NOW - 50000 + 2 * i + 1, CLOSED, "ssh", f"198.51.100.{i % 10}"))])
    text = page_of(lab, past)
    assert len(text) < 2000000 and 1000 < text.count("<rect class='closed'") < 5000
    assert "too near to others" in text and "10000 older ones" in text


def test_files_that_are_damaged(lab, journal, tmp_path):
    """What can be read is told, and that it is not all."""
    entries = [event(NOW - 50000 + i, OPENED, "ssh", f"198.51.100.{i % 250}") for i in range(20000)]
    past = journal(entries[:10])
    assert len(ask(lab, "--directory", past)) == 10
    damaged = f"{past.removeprefix('/run/lab/')}/damaged.journal"
    write_journal(str(tmp_path / "damaged.journal"), entries)
    damage(str(tmp_path / "damaged.journal"))
    lab.file(damaged, (tmp_path / "damaged.journal").read_bytes())
    done = lab.knocktail("audit", "--directory", past)
    assert done.returncode == 1 and "damaged" in done.stderr
    assert 10 <= len(done.stdout.splitlines()) < 20010
    os.unlink(lab.server.path(f"/run/lab/{damaged}"))
    for name, content in (("short.journal", b"LPKSHHRH"), ("empty.journal~", b"")):
        path = lab.file(f"{past.removeprefix('/run/lab/')}/{name}", content)
        done = lab.knocktail("audit", "--directory", past)
        assert done.returncode == 1 and f"{past}/{name}" in done.stderr
        assert len(done.stdout.splitlines()) == 10
        os.unlink(lab.server.path(path))
    done = lab.knocktail("audit", "--directory", "/etc")
    assert done.returncode == 1 and "no journal file in /etc" in done.stderr


def test_what_the_journal_does_not_have(lab, journal):
    """What is older than it, and what journald has missed, but not what the kernel's log had lost when
    journald first looked; what a user writes of that counts for nothing."""
    begin = NOW - 5000

    def missed(at, n, **fields):
        return at, {"_TRANSPORT": "driver", "MESSAGE_ID": JOURNAL_MISSED, "_HOSTNAME": "gateway",
                    "MESSAGE": f"Missed {n} kernel messages", **fields}

    past = journal([event(begin, OPENED, "ssh", "198.51.100.1"), missed(begin + 1, 3000000),
                    (begin + 2, {"_TRANSPORT": "kernel", "_HOSTNAME": "gateway", "MESSAGE": "eth0: up"}),
                    missed(begin + 10, 920000),
                    missed(begin + 20, 545), missed(begin + 30, 7, _TRANSPORT="journal")])
    begins = time.strftime("the journal begins at %Y-%m-%d %H:%M:%S", time.gmtime(begin))

    def said(*arguments):
        done = lab.knocktail("audit", "--directory", past, *arguments)
        assert done.returncode == 0
        return done.stderr

    assert begins in said() and "journald missed 920545 kernel messages" in said()
    assert begins in said("--since", f"@{begin - 1}", "-o", "json")
    assert "begins" not in said("--since", f"@{begin + 15}")
    assert "missed 545 kernel" in said("--since", f"@{begin + 15}")
    assert said("--since", f"@{begin + 25}") == ""
    text = page_of(lab, past)
    assert f"T{begins[1:]}" in text and "journald missed 920545 kernel messages" in text


def test_text_that_would_steer_a_terminal(lab, past):
    assert "\x1b" not in lab.knocktail("audit", "--directory", past).stdout


class Page(html.parser.HTMLParser):
    """What is in the page: elements, and everything that would fetch or run something."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.suspicious, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        if tag not in ("meta",):
            self.open.append(tag)
        if tag in ("script", "link", "img", "iframe", "object", "embed", "base", "form"):
            self.suspicious.append(tag)
        self.suspicious += [name for name, value in attrs if name.startswith("on")
                            or name in ("src", "href") or "url(" in (value or "")]

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"{tag} closes {self.open[-3:]}"
        self.open.pop()


def page_of(lab, past, *arguments, doors=ipset_door()):
    """The page, with probes counted."""
    config = lab.file("audit.conf", '[options]\nlog_prefix = "[knock] "\n' + doors, 0o600)
    done = lab.knocktail("audit", "--html", "/run/lab/audit.html", "-c", config, *arguments,
                         *(("--directory", past) if past else ()))
    assert done.returncode == 0, done.stderr
    return lab.read("/run/lab/audit.html")


def test_the_page_needs_nothing_else_and_runs_nothing(lab, past):
    text = page_of(lab, past)
    page = Page(text)
    assert not page.suspicious and not page.open
    assert "default-src 'none'" in text
    assert "&lt;script&gt;" in text and "\x1b" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    listed = lab.server.run("stat", "-c", "%a", "/run/lab/audit.html").stdout
    assert listed.strip() == "600"


def test_the_pages_timeline(lab, past):
    text = page_of(lab, past)
    drawing = re.search(r"<svg.*?</svg>", text, re.S).group(0)
    root = xml.etree.ElementTree.fromstring(drawing)
    space = "{http://www.w3.org/2000/svg}"
    classes = [element.get("class") for element in root.iter()]
    assert classes.count("refused") == 1 and classes.count("unclosed") == 1
    assert classes.count("closed") == 6, "each visit once"
    probes = [element for element in root.iter(space + "rect")
              if element.get("class") == "probes"]
    counted = sum(int(element.find(space + "title").text.split()[0]) for element in probes)
    assert counted == 1000
    for element in root.iter(space + "rect"):
        x, width = float(element.get("x")), float(element.get("width"))
        assert 0 <= x and x + width <= 1124 and float(element.get("height")) > 0
    assert re.search(r"<b>1000</b>probes", text) and "22/tcp" in text and "23/tcp" not in text


def test_the_page_does_not_tell_the_sequence(lab, past):
    """Its ports are among the most probed, and pages are passed around."""
    assert "22/tcp" in page_of(lab, past, doors=ipset_door(sequence="9000, 22/udp, 8000"))
    text = page_of(lab, past, doors=ipset_door(sequence="9000, 22, 8000"))
    assert "Most probed ports" in text and "22/tcp" not in text
    assert "<b>1000</b>probes" in text


def test_long_names_beside_the_timeline(lab, journal):
    """They end before time begins."""
    t = NOW - 1000
    past = journal([event(t, OPENED, "d" * 32, "2001:db8:1111:2222:3333:4444:5555:6666"),
                    event(t + 900, OPENED, "x" * 3000, "198.51.100.1")])
    text = page_of(lab, past, "--since", f"@{t}")
    first = min(float(x) for x in re.findall(r"<rect class='open' x='([0-9.]+)'", text))
    assert first >= 8 + 6.9 * (32 + 1 + 38)
    assert "x" * 41 not in re.search(r"<tspan class='door'>(x+)<", text).group(1)


def test_a_page_of_an_empty_past(lab, past):
    page = Page(page_of(lab, past, "--since", "2001-01-01", "--until", "2001-01-02"))
    assert "svg" not in page.elements and not page.open


def test_a_page_without_the_configuration(lab, past):
    done = lab.knocktail("audit", "--html", "-", "--directory", past)
    assert "probes cannot be counted" in done.stderr
    assert done.returncode == 0 and "<svg" in done.stdout and "probes" not in re.sub(
        "<style.*</style>", "", done.stdout, flags=re.S)
    assert lab.knocktail("audit", "--html", "-", "-c", "/no/such/file").returncode == 2


def test_bad_usage(lab):
    for arguments in (("--since", "soon"), ("--source", "nobody"), ("--trust", "UID=0"),
                      ("--trust", "_UID"), ("-o", "xml"), ("x",),
                      ("--html", "x", "-o", "json"), ("--since", "now", "--until", "-1h")):
        assert lab.knocktail("audit", *arguments).returncode == 2, arguments
    done = lab.knocktail("audit", "--directory", "/no/such/directory")
    assert done.returncode == 1 and "/no/such/directory" in done.stderr
    assert lab.knocktail("audit", "--html", "/no/such/directory/x").returncode == 1
