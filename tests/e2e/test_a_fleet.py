"""A fleet: who knocks at one server is let in at all of them."""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import statistics
import struct
import subprocess
import time

import pytest

from bus import ADMIN
from doors import ipset_door
from fleet import FLEET_UID, PERSISTENT, Fleet, why_not
from hosts import ENVIRONMENT, wait_until
from lab import ROOT, program
from peers import RETURN, Peer, call, string
from test_fleet_broker import make_ca
from test_keyed_knocks import Keys, burnt, send_token, token, token_door

DOOR = ipset_door(timeout="60s", fleet="yes") + ipset_door("own", "7100, 8100, 9100", timeout="60s")


def needs():
    """Skips where there can be no fleet."""
    reason = why_not()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def fleet(possible):
    """Three servers, with an agent each, and a broker."""
    needs()
    with Fleet() as made:
        for name in ("a", "b", "c"):
            made.member(name, DOOR)
        yield made


def address(number, net="198.51.100"):
    """A source that nobody else uses."""
    return f"{net}.{number}"


def test_a_knock_at_one_opens_all(fleet):
    a, b, c = fleet.members
    client = a.lab.client()
    client.knock(7000, 8000, 9000)
    left = a.wait_open(client.v4)
    for other in (b, c):
        assert abs(other.wait_open(client.v4) - left) <= 2
    assert b.listed()[client.v4] == "@a"
    assert a.listed()[client.v4] is None


def test_it_closes_everywhere_by_hand(fleet):
    a, b, c = fleet.members
    a.open(address(201))
    for member in fleet.members:
        member.wait_open(address(201))
    # Where it came from, and where it did not.
    assert b.close_door(address(201)).returncode == 0
    for member in fleet.members:
        member.wait_closed(address(201))
    # And it can be opened again.
    c.open(address(201))
    for member in fleet.members:
        member.wait_open(address(201))


def test_a_renewal_is_one_everywhere(fleet):
    a, b, _ = fleet.members
    a.open(address(202), 10)
    assert b.wait_open(address(202)) <= 11
    a.open(address(202), 50)
    wait_until(lambda: b.is_open(address(202)) > 40, 5, "the deadline moves at b as well")


def test_all_close_at_one_deadline(fleet):
    a = fleet.members[0]
    a.open(address(203), 8)
    for member in fleet.members:
        member.wait_open(address(203))
    # No broker is needed for that.
    for member in fleet.members:
        member.relay.cut()
    ends = {}

    def all_closed():
        for member in fleet.members:
            if member.name not in ends and member.is_open(address(203)) is None:
                ends[member.name] = time.monotonic()
        return len(ends) == len(fleet.members)

    wait_until(all_closed, 15, "all close", 0.01)
    for member in fleet.members:
        member.relay.heal()
    assert max(ends.values()) - min(ends.values()) < 2
    for member in fleet.members:
        wait_until(lambda m=member: m.report()["broker"], 20, "it is connected again")


def test_nothing_is_sent_on(fleet):
    a, b, c = fleet.members
    a.open(address(204))
    for member in fleet.members:
        member.wait_open(address(204))
    # Whatever b and c have to say about it they have said when this has gone round.
    b.open(address(205))
    for member in fleet.members:
        member.wait_open(address(205))
    assert not any(grant["host"] != "a" for member in (a, b, c)
                   for grant in member.report()["open"] if grant["source"] == address(204))


def test_a_host_that_was_away_is_told(fleet):
    """Opened and closed meanwhile, whoever was away."""
    a, b, _ = fleet.members
    a.open(address(206))
    b.wait_open(address(206))
    b.relay.cut()
    wait_until(lambda: not b.report()["broker"], 10, "b notices")
    a.open(address(207))
    a.close_door(address(206))
    a.wait_closed(address(206))
    assert b.is_open(address(206)) and not b.is_open(address(207))
    b.open(address(208))
    b.relay.heal()
    wait_until(lambda: b.report()["broker"], 20, "b is connected again")
    b.wait_open(address(207))
    b.wait_closed(address(206))
    a.wait_open(address(208))


def test_a_fleet_that_was_cut_in_two(possible):
    """Each half goes on by itself, with a broker of its own; what was closed stays closed in both."""
    needs()
    with Fleet() as fleet:
        second, way = fleet.bridge()
        a, b = fleet.member("a", DOOR), fleet.member("b", DOOR, broker=second)
        c = fleet.member("c", DOOR, broker=second)
        for number, host in ((201, a), (202, b), (203, c)):
            host.open(address(number))
        for member in fleet.members:
            for number in (201, 202, 203):
                member.wait_open(address(number), 10)
        way.cut()
        b.open(address(204))
        c.wait_open(address(204))
        a.open(address(205))
        # Where it came from, and where it did not.
        a.close_door(address(201))
        a.close_door(address(203))
        c.close_door(address(202))
        b.wait_closed(address(202))
        assert a.is_open(address(202)) and c.is_open(address(201)) and c.is_open(address(203))
        assert not a.is_open(address(204)) and not b.is_open(address(205))
        way.heal()
        a.wait_open(address(204), 60)   # when the broker tries the way again
        for member in fleet.members:
            for number in (204, 205):
                member.wait_open(address(number), 20)
            for number in (201, 202, 203):
                member.wait_closed(address(number))


def test_a_late_close_closes_no_later_knock(fleet):
    """Closed at a while b is cut off, where it is opened after that."""
    a, b, c = fleet.members
    a.open(address(192))
    for member in fleet.members:
        member.wait_open(address(192))
    b.relay.cut()
    wait_until(lambda: not b.report()["broker"], 10, "b notices")
    a.close_door(address(192))
    c.wait_closed(address(192))
    b.open(address(192))
    b.relay.heal()
    wait_until(lambda: b.report()["broker"], 20, "b is connected again")
    for member in (a, c):
        member.wait_open(address(192))
    a.open(address(193))
    b.wait_open(address(193))      # it has heard all that was said
    assert b.is_open(address(192)) and "@" not in b.listed()[address(192)]
    assert not any(" closed for " in event["MESSAGE"]
                   for event in b.daemon.events(SOURCE=address(192)))


def test_an_agent_that_comes_back_reopens_nothing(fleet):
    """What was closed by hand meanwhile, though this host still has it open, and its agent knows
    nothing of before."""
    a, b, c = fleet.members
    a.open(address(194))
    for member in fleet.members:
        member.wait_open(address(194))
    a.stop_agent(signal.SIGKILL)
    b.close_door(address(194))
    c.wait_closed(address(194))
    a.forget()
    a.start_agent()
    a.wait_closed(address(194))
    a.open(address(195))
    for member in (b, c):
        member.wait_open(address(195))
        assert len([event for event in member.daemon.events(SOURCE=address(194))
                    if " opened for " in event["MESSAGE"]]) == 1


def test_a_broker_that_has_lost_all(fleet):
    """It is killed, and has kept nothing: the hosts tell it again."""
    a, b, c = fleet.members
    a.open(address(209))
    for member in fleet.members:
        member.wait_open(address(209))
    c.stop_agent()
    c.close_door(address(209))
    c.wait_closed(address(209))
    c.forget()
    fleet.broker.stop(signal.SIGKILL)
    wait_until(lambda: not a.report()["broker"], 10, "a notices")
    a.lab.wait_logged("cannot reach the broker of the fleet prod", 5)
    assert a.is_open(address(209))      # nothing but the sharing is lost
    fleet.broker.start()
    wait_until(lambda: a.report()["broker"] and b.report()["broker"], 20, "they are back")
    c.start_agent()
    c.wait_open(address(209))


def test_a_broker_that_has_kept_all(possible):
    """It is killed, and has all on disk: so has who comes then; and it may be old."""
    needs()
    with Fleet(PERSISTENT) as fleet:
        one, two = (fleet.member(name, DOOR, agent=name == "one") for name in ("one", "two"))
        path = f"{fleet.directory}/mosquitto.db"

        def kept():
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                return file.read()
            return b""

        one.open(address(201))
        one.open(address(202))
        # With its word that it is there.
        wait_until(lambda: kept().count(b"knocktail/1/prod/one/") >= 3, 10, "all is on disk")
        old = kept()
        one.stop_agent(signal.SIGKILL)
        fleet.broker.stop(signal.SIGKILL)
        fleet.broker.start()
        two.start_agent()
        for number in (201, 202):
            two.wait_open(address(number))
        one.start_agent()
        one.close_door(address(202))
        two.wait_closed(address(202))
        fleet.broker.stop(signal.SIGKILL)
        with open(path, "wb") as file:
            file.write(old)
        for member in (one, two):
            wait_until(lambda m=member: not m.report()["broker"], 10, "it is noticed")
        # Whoever comes first says anew what is so: the other hears nothing that is old.
        one.stop_agent()
        fleet.broker.start()
        wait_until(lambda: two.counts()["old"] > 0, 20, "two has heard what it had kept")
        one.start_agent()
        one.open(address(203))
        two.wait_open(address(203), 20)
        assert two.is_open(address(201)) and not two.is_open(address(202))


def test_an_agent_that_was_killed(fleet):
    a, b, _ = fleet.members
    a.open(address(210))
    a.open(address(211))
    b.wait_open(address(211))
    a.stop_agent(signal.SIGKILL)
    a.close_door(address(210))
    a.wait_closed(address(210))
    assert b.is_open(address(210))
    a.open(address(212))
    a.start_agent()
    b.wait_closed(address(210))
    b.wait_open(address(212))
    assert b.is_open(address(211)) and a.is_open(address(211))


def test_a_daemon_that_was_restarted(fleet):
    """Whose a grant is outlives the daemon; what was missed is made up for."""
    a, b, _ = fleet.members
    a.open(address(213))
    b.wait_open(address(213))
    b.daemon.stop()
    a.open(address(214))
    b.start_daemon(DOOR)
    b.wait_open(address(213))
    b.wait_open(address(214))
    assert b.listed()[address(213)] == "@a"
    a.close_door(address(213))
    b.wait_closed(address(213))


def test_a_late_host(fleet):
    a = fleet.members[0]
    a.open(address(215))
    a.wait_open(address(215))
    late = fleet.member("late", DOOR)
    try:
        late.wait_open(address(215))
        assert 0 in [share["heard_us"] for share in late.report()["shares"]], "kept by the broker"
    finally:
        late.close()


REPORT = "/run/knocktail-fleet/report.json"


def examine(member, told=None, doors=DOOR):
    """What the doctor says of the fleet there, by what the agent reports or by this."""
    report = member.lab.server.path(REPORT)
    os.makedirs(os.path.dirname(report), exist_ok=True)
    try:
        with open(report, "w", encoding="ascii") as file:
            json.dump(told or member.report(), file)
        done = member.lab.knocktail("doctor", "-c", member.lab.config(doors), "-o", "json")
    finally:
        shutil.rmtree(os.path.dirname(report))
    return [(found["level"], found["text"]) for found in json.loads(done.stdout)["findings"]
            if found["check"] == "fleet"]


def test_the_doctor_sees_that_nothing_is_shared(fleet):
    a = fleet.members[0]
    now = int(time.time() * 1e6)
    share = {"host": "b", "door": "ssh", "open": 0, "said_us": now, "heard_us": now}
    told = {**a.report(), "written_us": now, "shares": [share], "refusal": "",
            "counts": {"accepted": 100, "repeated": 100, "stale": 50}}
    right = [("ok", "connected to the broker of prod as a")]
    assert examine(a, told) == right
    for changed, said in (
            ({"counts": {"forged": 3}}, "3 messages of the fleet are not sealed with our key"),
            ({"counts": {"forged": 3, "accepted": 9}}, "a host has another one"),
            ({"counts": {"future": 2, "accepted": 9}}, "2 messages of the fleet are from the future"),
            ({"counts": {"stale": 60, "accepted": 200}}, "60 messages of the fleet came when their"),
            ({"counts": {"version": 1, "accepted": 9}}, "1 messages of the fleet are of another"),
            ({"refusal": "there is no door ssh"}, "at last: there is no door ssh"),
            ({"shares": [], "broker_since_us": now - 121000000}, "no other host of the fleet is heard"),
            ({"shares": [share, {**share, "host": "c", "said_us": now - 9000000}]},
             "the clock of c is 9 s behind ours"),
            ({"shares": [{**share, "said_us": now + 5000000}, {**share, "said_us": now - 4000000}]},
             "the clock of b is 5 s ahead of ours")):
        (level, text), = examine(a, {**told, **changed})
        assert level == "warning" and said in text, (changed, text)
    assert examine(a, {**told, "daemon": False}) == [
        ("problem", "knocktail-fleetd does not find knocktaild on the bus")]
    # Alone, but for what is wrong besides.
    assert len(examine(a, {**told, "refusal": "no", "shares": [], "broker_since_us": now - 121000000})) == 1
    (level, text), = examine(a, {"counts": {}})
    assert level == "unknown" and "knocktail-fleet/report.json: Bad message" in text
    # As it was kept, it was said before.
    assert examine(a, {**told, "shares": [{**share, "said_us": now - 9000000, "heard_us": 0}]}) == right
    assert examine(a, {**told, "shares": [], "broker_since_us": now - 60000000}) == right


def test_a_door_that_is_not_shared_after_all(fleet):
    """By fleet.conf, by none, and by the daemon, which was not reloaded."""
    a = fleet.members[0]
    more = DOOR + ipset_door("more", "7200, 8200, 9200", fleet="yes")
    (level, text), = examine(a, doors=more)
    assert level == "warning" and "the door more says fleet = yes, but [doors]" in text
    before = a.lab.read("/run/lab/fleet.conf")
    os.unlink(a.lab.server.path("/run/lab/fleet.conf"))
    (level, text), = examine(a)
    alone = examine(a, doors=DOOR.replace("fleet = yes", "fleet = no"))
    a.lab.file("fleet.conf", before.replace("[doors]", "[windows]"))
    wrong = examine(a, doors=DOOR.replace("fleet = yes", "fleet = no"))
    a.lab.file("fleet.conf", before, 0o600)
    config = a.lab.config(DOOR)
    os.chmod(a.lab.server.path(config), 0o644)
    with a.bus.popen_as("bob", a.lab.install(program("knocktail")), "doctor", "-c", config, "-o", "json",
                        stdout=subprocess.PIPE) as doctor:
        others = [found["text"] for found in json.loads(doctor.communicate(timeout=30)[0])["findings"]
                  if found["check"] == "fleet"]
    a.lab.file("fleet.conf", before)
    assert level == "warning" and "the door ssh says fleet = yes, but there is no" in text
    assert alone == [("ok", "this host is in no fleet")]
    assert wrong == [("problem", "/run/lab/fleet.conf is wrong")]
    assert others == ["/run/lab/fleet.conf: Permission denied"]
    late = fleet.member("stale", DOOR.replace("fleet = yes", "fleet = no"))
    try:
        a.open(address(216))
        wait_until(lambda: late.report().get("refusal"), 10, "it is refused")
        told = dict(examine(late))
        assert "does not say fleet = yes" in told["warning"], told
        assert "has said: door ssh is not the fleet's" in late.errors()
    finally:
        late.close()


def test_check_knows_what_the_agent_cannot_read(fleet):
    a = fleet.members[0]
    config = a.lab.config(DOOR)
    key = a.lab.server.path(a.key)
    done = a.lab.knocktail("check", "-c", config)
    assert done.returncode == 0 and "cannot read" not in done.stderr, done
    before = a.lab.read("/run/lab/fleet.conf")
    ca = a.lab.file("whole.pem", "-----END CERTIFICATE-----\n", 0o600)
    own = a.lab.file("own.key", "-----BEGIN PRIVATE KEY-----\n", 0o600)
    try:
        os.chown(key, 0, 0)
        a.lab.file("fleet.conf", before.replace(
            f"socket = {a.relay.path}", f"host = localhost\nca = {ca}\ncertificate = {ca}\nprivate_key = {own}"),
            0o600)
        done = a.lab.knocktail("check", "-c", config)
        assert done.returncode == 2, done
        for path in ("error", a.key, ca, own):
            assert f"{path}: the agent's user, knocktail-fleet, cannot read it" in done.stderr, (path, done)
    finally:
        os.chown(key, 0, FLEET_UID)
        a.lab.file("fleet.conf", before)


def test_metrics_and_the_doctor_know_of_it(fleet, tmp_path):
    a = fleet.members[0]
    os.makedirs(a.lab.server.path("/run/knocktail-fleet"), exist_ok=True)
    report = a.lab.server.path(REPORT)
    before = a.lab.read("/run/lab/fleet.conf")
    config = a.lab.config(DOOR)

    def metrics():
        return a.lab.knocktail("metrics").stdout

    def doctor():
        done = a.lab.knocktail("doctor", "-c", config, "-o", "json")
        return [(found["level"], found["text"]) for found in json.loads(done.stdout)["findings"]
                if found["check"] == "fleet"]

    try:
        assert "knocktail_fleet" not in metrics()
        assert doctor() == [("problem", "knocktail-fleetd does not run")]
        told = a.report()
        for broker, ahead in ((True, 0), (True, 5), (False, 0)):
            told.update(broker=broker, problem="" if broker else "Connection refused")
            told["written_us"] = int(time.time() * 1e6)
            told["shares"] = [{"host": "b", "door": "ssh", "open": 1,
                               "said_us": told["written_us"] + ahead * 1000000}]
            with open(report, "w", encoding="ascii") as file:
                json.dump(told, file)
            assert f"knocktail_fleet_connected {int(broker)}\n" in metrics()
            assert 'knocktail_fleet_messages_total{cause="accepted"} ' in metrics()
            assert doctor() == [
                ("ok", "connected to the broker of prod as a") if broker and not ahead else
                ("warning", "the clock of b is 5 s ahead of ours: doors close late or early by that")
                if ahead else ("problem", "the broker cannot be reached: Connection refused")]
        told["written_us"] -= 100000000
        with open(report, "w", encoding="ascii") as file:
            json.dump(told, file)
        assert "knocktail_fleet_up 0\n" in metrics() and "knocktail_fleet_conn" not in metrics()
        told["written_us"] = int(time.time() * 1e6)
        told.update(broker=True, shares=[], broker_since_us=told["written_us"])
        with open(report, "w", encoding="ascii") as file:
            json.dump(told, file)
        make_ca(tmp_path, "ca")     # for two days
        ca = a.lab.file("ca.pem", (tmp_path / "ca.pem").read_text("ascii"))
        a.lab.file("fleet.conf", before.replace(f"socket = {a.relay.path}", f"host = localhost\nca = {ca}"))
        os.chmod(a.lab.server.path(a.key), 0o644)
        key, certificate = doctor()
        assert key[0] == "problem" and key[1].startswith(f"{a.key}: ") and "may read it" in key[1]
        assert certificate == ("warning", f"{ca} ends within two weeks, or is over")
        # One that lasts, and one of this host's.
        make_ca(tmp_path, "lasting", 30)
        lasting = a.lab.file("lasting.pem", (tmp_path / "lasting.pem").read_text("ascii"))
        a.lab.file("fleet.conf", before.replace(
            f"socket = {a.relay.path}",
            f"host = localhost\nca = {lasting}\ncertificate = {ca}\nprivate_key = {a.key}"))
        assert doctor() == [key, certificate]
        # Without openssl(1) it is not known.
        openssl = shutil.which("openssl", path=ENVIRONMENT["PATH"])
        a.lab.server.run("mount", "--bind", "/dev/null", openssl)
        try:
            assert doctor() == [key]
        finally:
            a.lab.server.run("umount", openssl)
        a.lab.file("ca.pem", (tmp_path / "ca.pem").read_text("ascii")[:300])
        assert doctor()[1] == ("problem", f"{ca} holds no certificate that openssl can read")
    finally:
        shutil.rmtree(os.path.dirname(report))
        a.lab.file("fleet.conf", before)
        os.chmod(a.lab.server.path(a.key), 0o640)
    assert doctor() == [("problem", "knocktail-fleetd does not run")]


def test_a_host_has_its_own_bounds(fleet):
    strict = fleet.member("strict", ipset_door(timeout="5s", allow="203.0.113.0/24", fleet="yes") +
                          ipset_door("other", "7100, 8100, 9100", timeout="60s", fleet="yes"),
                          shares=(("ssh", "ssh"), ("other", "else")))
    try:
        has_bounds(fleet.members[0], strict)
    finally:
        strict.close()


def has_bounds(a, strict):
    """What `strict` takes from `a`, and the other way round."""
    a.open(address(216))
    a.open(address(7, "203.0.113"))
    assert strict.wait_open(address(7, "203.0.113")) <= 5
    wait_until(lambda: strict.counts()["failed"] > 0, 5, "the other was refused")
    assert not strict.is_open(address(216))
    # What the others do not share they do not open.
    strict.open(address(9, "203.0.113"), door="other")
    wait_until(lambda: a.counts()["unshared"] > 0, 5, "a has heard of it")
    assert not a.is_open(address(9, "203.0.113"))


def test_within_100_milliseconds(fleet):
    a, b, c = fleet.members
    delays = []
    for number in range(10):
        source = address(number + 1, "203.0.113")
        client = a.lab.client()
        client.knock(7000, 8000, 9000)
        a.wait_open(client.v4)
        opened = {}

        def seen(client=client, opened=opened):
            for member in (a, b, c):
                for event in member.daemon.events(SOURCE=client.v4):
                    if " opened for " in event["MESSAGE"]:
                        opened[member.name] = int(event["__MONOTONIC_TIMESTAMP"])
            return len(opened) == 3

        wait_until(seen, 5, f"{source}: all have opened")
        delays.append((max(opened.values()) - opened["a"]) / 1000)
        client.close()
    assert statistics.median(delays) < 100, delays


def preloaded(lab, name, place):
    """A library of tests/faults, in a laboratory, as what has a program load it."""
    built = place / f"{name}.so"
    subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", built,
                    os.path.join(ROOT, f"tests/faults/{name}.c"), "-ldl"], check=True)
    return [f"LD_PRELOAD={lab.install(built)}", "ASAN_OPTIONS=verify_asan_link_order=0"]


@pytest.fixture
def busy(possible, tmp_path):
    """Two servers with doors for many."""
    needs()
    with Fleet() as made:
        for name in ("one", "two"):
            member = made.member(name)
            member.start_daemon(ipset_door(timeout="10min", max_open="20000", fleet="yes"), "max_open = 20000",
                                environment=preloaded(member.lab, "small-buffers", tmp_path))
            member.start_agent()
        yield made


def open_many(member, numbers):
    """Opens for so many sources, as fast as the daemon answers, up to a thousand a second."""
    began = time.monotonic()
    with Peer(member.lab) as peer:
        for count, number in enumerate(numbers):
            time.sleep(max(0, began + count / 1000 - time.monotonic()))
            body = string("ssh") + string(f"203.0.{number // 250}.{number % 250 + 1}")
            peer.send(call("Open", "ssu", body + struct.pack("<I", 600)))
            answer = peer.answer()
            assert answer and answer[1] == RETURN, answer
    assert len(member.lab.members()) > max(numbers)


def test_a_thousand_a_second_for_ten(busy):
    """And what waits for the bus while it hangs comes after that, or, where the daemon has kept so much
    for it and no more, is asked for."""
    one, two = busy.members
    open_many(one, range(6000))
    one.bus.signal(signal.SIGSTOP)
    open_many(one, range(6000, 9000))
    one.bus.signal(signal.SIGCONT)
    open_many(one, range(9000, 10000))
    wait_until(lambda: len(two.lab.members()) == 10000, 60, "two has them all", 0.5)
    assert not two.counts()["failed"] and not two.counts()["full"]


def test_the_policy_lets_the_agent_do_that_and_no_more(fleet):
    a = fleet.members[0]
    for member, arguments in (("Open", ("ssh", address(1), "0")), ("Close", ("ssh", "")),
                              ("Reload", ()), ("Stats", ())):
        done = a.bus.call("knocktail-fleet", member, *arguments)
        assert ("AccessDenied" in done.stderr) == (member != "Stats"), done
    fleet_interface = "org.knocktail.Fleet1"
    assert a.bus.call("knocktail-fleet", "Holds", interface=fleet_interface).returncode == 0
    for user in ("bob", ADMIN):
        for member, arguments in (("Holds", ()), ("CloseAs", ("ssh", "", "", "1"))):
            done = a.bus.call(user, member, *arguments, interface=fleet_interface)
            assert "AccessDenied" in done.stderr, done
    # Neither does anybody else hear of it.
    heard = {}
    for user in ("bob", ADMIN, "knocktail-fleet"):
        with a.bus.popen_as(user, "gdbus", "monitor", "--system", "--dest", "org.knocktail",
                            stdout=subprocess.PIPE) as monitor:
            os.set_blocking(monitor.stdout.fileno(), False)
            heard[user] = ""

            def hears(text, user=user, monitor=monitor):
                heard[user] += (monitor.stdout.read() or b"").decode()
                return text in heard[user]

            wait_until(lambda: hears("is owned by"), 5, "it listens")
            for number in (188, 189):
                a.open(address(number))
            wait_until(lambda: hears(address(189)), 5, "it hears of both doors")
            monitor.kill()
    assert [user for user, text in heard.items() if "Fleet1.Held" in text] == ["knocktail-fleet"], heard
    # Nobody is let in as one who has knocked here.
    for visitor in ("alice", "", "alice@", "al ice@b", "alice@b/c"):
        done = a.bus.call("knocktail-fleet", "OpenAs", "ssh", address(190), visitor, "token",
                          str(int(time.time() + 30) * 1000000), "1", interface=fleet_interface)
        assert "InvalidArgs" in done.stderr, (visitor, done)
    done = a.bus.call("knocktail-fleet", "OpenAs", "ssh", address(190), "@b", "", "1", "1",
                      interface=fleet_interface)
    assert "its time is over" in done.stderr
    assert not a.is_open(address(190))
    # Nor at a door that is this host's alone, whatever the agent says, nor shut out of it.
    a.open(address(191), door="own")
    a.wait_open(address(191))
    for member, arguments in (("OpenAs", (address(190), "@b", "", str(int(time.time() + 30) * 1000000), "1")),
                              ("CloseAs", (address(191), "", str(int(time.time() + 30) * 1000000)))):
        done = a.bus.call("knocktail-fleet", member, "own", *arguments, interface=fleet_interface)
        assert "does not say fleet = yes" in done.stderr, done
    assert not a.is_open(address(190)) and a.is_open(address(191))


def test_a_peer_of_root_that_ends_while_it_is_served(fleet):
    """On the daemon's own socket: it is gone before its answers, or takes none, or hears of doors and takes
    nothing of it."""
    a, b, _ = fleet.members
    pid = a.daemon.pid
    holds = call("Holds", interface="org.knocktail.Fleet1")
    a.open(address(178))
    for _ in range(20):
        with Peer(a.lab) as peer:
            peer.send(holds * 3)
    with Peer(a.lab) as deaf:
        with contextlib.suppress(OSError):
            for _ in range(200):
                deaf.send(holds * 100)
        wait_until(deaf.ended, 10, "it is not served any more")
    with Peer(a.lab) as deaf, Peer(a.lab) as admin:
        deaf.send(holds)
        assert deaf.answer()
        for number in range(4000):
            if deaf.ended():
                break
            admin.send(call("Open", "ssu", string("ssh") + string(address(178)) + struct.pack("<I", 60 + number)))
            assert admin.answer()[1] == RETURN
        assert deaf.ended()
    assert a.daemon.pid == pid
    a.open(address(179))
    b.wait_open(address(179))


class Liar:
    """A broker that lies: what it has heard it alters, replays, moves to other topics."""

    def __init__(self, fleet):
        self._socket = fleet.broker.socket
        self._listener = subprocess.Popen(
            ["mosquitto_sub", "-V", "5", "--unix", self._socket, "-t", "#", "-F", "%t %x"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        os.set_blocking(self._listener.stdout.fileno(), False)
        self._heard, self._rest = [], ""
        self._numbers = itertools.count(1)

    def heard(self):
        """All messages so far."""
        while True:
            text = (self._listener.stdout.read() or b"").decode()
            if not text:
                return self._heard
            *lines, self._rest = (self._rest + text).split("\n")
            self._heard += [(line.split()[0], bytes.fromhex(line.split()[1])) for line in lines]

    def hear_all(self):
        """Waits until it has heard all that was said so far."""
        mark = f"mark {next(self._numbers)}"
        self.say("new", mark.encode(), False)
        wait_until(lambda: ("new", mark.encode()) in self.heard(), 10, "it has heard it all")

    def hear(self, act):
        """What is said of something new while that is done: hosts greet each other at any time."""
        self.hear_all()
        known = {topic for topic, _ in self.heard()}
        act()
        return wait_until(lambda: [said for said in self.heard() if said[0] not in known], 5, "it hears of it")[0]

    def say(self, topic, payload, kept=True):
        """Says something to all; nothing: it forgets what it has kept."""
        subprocess.run(["mosquitto_pub", "-V", "5", "--unix", self._socket, "-t", topic, "-q", "1",
                        "-s" if payload else "-n", *(["-r"] if kept else [])], input=payload, env=ENVIRONMENT, check=True,
                       timeout=10)

    def close(self):
        """The end."""
        self._listener.kill()
        self._listener.wait(10)
        self._listener.stdout.close()


@pytest.fixture
def liar(fleet):
    """A broker that lies."""
    made = Liar(fleet)
    wait_until(made.heard, 10, "it hears what is kept")
    yield made
    made.close()


def test_a_broker_that_lies(fleet, liar):
    a, b, _ = fleet.members
    topic, message = liar.hear(lambda: a.open(address(220)))
    b.wait_open(address(220))
    assert topic.startswith("knocktail/1/prod/a/") and len(message) == 297
    assert address(220).encode() not in message and b"ssh" not in message
    a.close_door(address(220))
    b.wait_closed(address(220))

    def counted(reason):
        return b.counts()[reason]

    def lie(reason, *said):
        had = counted(reason)
        liar.say(*said)
        wait_until(lambda: counted(reason) > had, 5, f"b has counted it as {reason}: {b.counts()}")
        for member in fleet.members:
            assert not member.is_open(address(220))

    lie("old", topic, message)
    lie("old", topic, message, False)
    lie("forged", topic, message[:60] + bytes([message[60] ^ 1]) + message[61:])
    lie("forged", topic.replace("/a/", "/c/"), message)
    lie("forged", "knocktail/1/prod/x/" + "0" * 32, message)
    lie("malformed", topic, message[:-1])
    lie("version", topic, b"\2" + message[1:])
    over = liar.hear(lambda: a.open(address(225), 2))
    for member in (a, b):
        member.wait_closed(address(225))
    lie("stale", *over)
    assert not b.is_open(address(225))
    # What is too large does not even come: who can write to the broker could kill them by it.
    had = counted("malformed")
    liar.say("knocktail/1/prod/x", b"x" * 100000)
    lie("malformed", topic, b"\1")
    assert counted("malformed") == had + 1
    # Neither does a new start make it forget.
    b.stop_agent(signal.SIGKILL)
    b.start_agent()
    lie("old", topic, message)
    b.lab.wait_logged("that count for nothing", 15)
    # It can only have the hosts not hear of each other.
    a.open(address(221))
    b.wait_open(address(221))


def test_a_broker_that_withholds(fleet, liar):
    """To a host that has never heard of it, it can show an open and keep what has closed it: until
    the deadline, and to nobody else."""
    a, b, c = fleet.members
    c.stop_agent()
    said = liar.hear(lambda: a.open(address(228), 8))
    b.wait_open(address(228))
    shut = liar.hear(lambda: a.close_door(address(228)))
    b.wait_closed(address(228))
    for topic, _ in (said, shut):
        liar.say(topic, b"")
    liar.say(*said)
    c.start_agent()
    assert c.wait_open(address(228)) <= 8
    c.wait_closed(address(228), 8)
    assert not b.is_open(address(228)) and not a.is_open(address(228))


def test_an_agent_is_killed_once_a_door_is_closed(fleet, liar):
    """It does not believe a broker that shows what was said before."""
    a, b, _ = fleet.members
    path = b.lab.server.path("/run/fleet-state/closed")
    wait_until(lambda: not os.path.exists(path) or time.time() - os.stat(path).st_mtime > 0.2, 10,
               "nothing is being saved")
    said = liar.hear(lambda: a.open(address(227)))
    b.wait_open(address(227))

    def close_and_kill():
        a.close_door(address(227))
        b.wait_closed(address(227))
        b.stop_agent(signal.SIGKILL)

    shut = liar.hear(close_and_kill)
    for topic, _ in (said, shut):
        liar.say(topic, b"")
    liar.say(*said)
    b.start_agent()
    wait_until(lambda: b.counts()["old"] + b.counts()["closed"] > 0, 5, "b has heard that and knows better")
    assert not b.is_open(address(227))


def test_an_agent_stops_while_it_waits_for_the_daemon(fleet):
    """What comes to an end with it starts nothing new."""
    a, b, _ = fleet.members
    pid = b.daemon.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        a.open(address(226))
        wait_until(lambda: address(226) in [grant["source"] for grant in b.report()["open"]], 5,
                   "b has heard of it")
        # It closes without a hand that all would have to follow.
        a.stop_agent(signal.SIGKILL)
        a.close_door(address(226))
        a.start_agent()
        wait_until(lambda: address(226) not in [grant["source"] for grant in b.report()["open"]], 5,
                   "b has heard that it is closed")
        assert b.stop_agent() == 0
    finally:
        os.kill(pid, signal.SIGCONT)
        b.start_agent()


def test_two_hosts_of_one_name(fleet, liar):
    """That is reported, and a broker cannot make it up."""
    a = fleet.members[0]
    topic, message = liar.hear(lambda: a.open(address(223)))
    a.stop_agent()
    a.close_door(address(223))
    liar.say(topic, b"")
    a.start_agent()
    accepted = a.report()["counts"]["sent"]
    liar.say(topic, message, False)
    twin = fleet.member("twin", DOOR, agent=False)
    try:
        a.open(address(224))
        wait_until(lambda: a.report()["counts"]["sent"] > accepted, 5, "all has gone round")
        assert "calls itself" not in a.errors()
        twin.start_agent(host="a")
        wait_until(lambda: "calls itself a:" in a.errors(), 15, "it is reported")
    finally:
        twin.close()


def test_another_fleet_is_none_of_ours(fleet):
    a = fleet.members[0]
    b = fleet.members[1]
    b.stop_agent()
    other = "knocktail-fleet1 " + "A" * 43 + "=\n"
    key = b.lab.file("other.key", other, 0o640)
    os.chown(b.lab.server.path(key), 0, FLEET_UID)
    b.start_agent(key=key)
    a.open(address(222))
    wait_until(lambda: b.counts()["forged"] > 0, 5, "b cannot read it")
    assert not b.is_open(address(222))
    b.stop_agent()
    b.start_agent()
    b.wait_open(address(222))


def test_a_clock_that_is_off(fleet, tmp_path):
    """A door closes early where the clock is ahead, and not late where it is behind."""
    a, b, _ = fleet.members
    clock = [*preloaded(b.lab, "set-clock", tmp_path), "SET_CLOCK=/run/lab/offset"]
    # It says so every ten minutes at most.
    a.stop_agent()
    a.start_agent()
    b.stop_agent()
    b.daemon.stop()
    b.lab.file("offset", "0")
    b.start_daemon(DOOR, environment=clock)
    for offset, expected in ((5, 25), (-5, 30)):
        b.stop_agent()
        b.lab.file("offset", str(offset))
        b.start_agent(clock=clock)
        source = address(230 + offset)
        a.open(source, 30)
        assert expected - 3 <= b.wait_open(source) <= expected
        # It says whole seconds, and back in time it is not believed at once.
        if offset > 0:
            a.lab.wait_logged("the clock of b is", 5)
            wait_until(lambda: re.search("of b is [456] s ahead of ours", str(examine(a))), 10, "seen")
            assert all(share["heard_us"] for share in a.report()["shares"] if share["host"] == "b")
        a.close_door(source)
        b.wait_closed(source)
        b.open(source, 30)
        a.wait_open(source)
        b.close_door(source)
        a.wait_closed(source)
    b.stop_agent()
    b.daemon.stop()
    b.start_daemon(DOOR)
    b.start_agent()


@pytest.fixture
def keyed(possible):
    """Two servers where alice has the same key."""
    needs()
    with Fleet() as made:
        for name in ("one", "two"):
            member = made.member(name)
            member.keys = Keys(member.lab, "alice")
        two, one = made.members[1], made.members[0]
        with open(one.keys.path("alice"), encoding="ascii") as file:
            line = file.read()
        with open(two.keys.path("alice"), "w", encoding="ascii") as file:
            file.write(line)
        for member in made.members:
            member.start_daemon(token_door(timeout="60s", fleet="yes"), member.keys.options)
            member.start_agent()
        yield made


@pytest.mark.parametrize("is_away", [False, True], ids=["told", "told-later"])
def test_a_used_token_and_a_removed_key(keyed, is_away):
    one, two = keyed.members
    client, thief = one.lab.client(), two.lab.client()
    ports = token(one.keys.key["alice"])
    if is_away:
        one.stop_agent()
    send_token(client, ports)
    one.wait_open(client.v4)
    if is_away:
        one.start_agent()
    two.wait_open(client.v4)
    assert two.listed()[client.v4] == "alice@one"
    wait_until(lambda: burnt(two.daemon), 5, "two has heard that it was used")
    # Who has seen it on its way to one has no use for it at two.
    if thief.v4 == client.v4:
        thief = two.lab.client()
    send_token(thief, ports)
    two.daemon.wait_message("refused", SOURCE=thief.v4)
    assert two.daemon.events(SOURCE=thief.v4)[-1]["KNOCKTAIL_REASON"].startswith("replayed")
    assert not two.is_open(thief.v4)
    # Her key goes at one, and not at two.
    one.keys.remove("alice")
    one.lab.knocktail("reload")
    one.wait_closed(client.v4)
    two.wait_closed(client.v4)


# Says hello on the daemon's own socket, makes a call, and prints all that comes.
LISTEN = """
import os, socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.connect("/run/knocktail/control")
peer.sendall(b"\\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\\r\\n")
peer.recv(1000)
peer.sendall(b"BEGIN\\r\\n" + bytes.fromhex(sys.argv[1]))
while said := peer.recv(65536):
    os.write(1, said)
"""


def test_what_was_used_is_not_for_administrators(keyed):
    one = keyed.members[0]
    heard = {"root": b"", ADMIN: b""}
    with contextlib.ExitStack() as stack:
        listeners = {user: stack.enter_context(one.bus.popen_as(
            user, "/usr/bin/python3", "-c", LISTEN, call("Stats").hex(), stdout=subprocess.PIPE))
                     for user in heard}

        def hear(user, text):
            heard[user] += listeners[user].stdout.read() or b""
            return text in heard[user]

        for user, listener in listeners.items():
            stack.callback(listener.kill)
            os.set_blocking(listener.stdout.fileno(), False)
            wait_until(lambda u=user: hear(u, b"since_us"), 5, "it is answered")
        client = one.lab.client()
        send_token(client, token(one.keys.key["alice"]))
        for user in heard:
            wait_until(lambda u=user: hear(u, client.v4.encode()), 5, "it hears that the door is open")
    assert b"Burnt" in heard["root"] and b"Burnt" not in heard[ADMIN]
