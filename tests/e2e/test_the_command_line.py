"""What the program says of itself."""

import re
import subprocess

import pytest

from lab import program


def say(*arguments):
    """Runs knocktail outside of any laboratory."""
    return subprocess.run([program("knocktail"), *arguments], capture_output=True, text=True,
                          timeout=20, check=False)


VERBS = re.findall(r"^  ([a-z]+)  ", say("--help").stdout, re.MULTILINE)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(verb):
    helped = say("help", verb)
    assert helped.returncode == 0
    assert helped.stdout.startswith(f"Usage: knocktail {verb}")
    assert helped.stdout == say(verb, "--help").stdout == say(verb, "-h").stdout


def test_help():
    assert len(VERBS) >= 14
    assert say("help").stdout == say("-h").stdout == say("--help").stdout


@pytest.mark.parametrize("typed, meant", [
    ("lsit", "list"), ("statsu", "status"), ("doktor", "doctor"), ("keygem", "keygen"),
    ("chek", "check"), ("raudit", "audit"), ("opne", "open"), ("x", None), ("remove", None),
    ("", None), ("-x", None), ("tsil", None)])
@pytest.mark.parametrize("how", [(), ("help",)], ids=["typed", "help"])
def test_a_mistyped_verb(how, typed, meant):
    refused = say(*how, typed)
    assert refused.returncode == 2
    assert not refused.stdout
    guess = f": did you mean '{meant}'?" if meant else ""
    assert refused.stderr == (f"knocktail: there is no verb '{typed}'{guess}\n"
                              "Try 'knocktail --help'.\n")


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_option(verb):
    refused = say(verb, "--no-such-option")
    assert refused.returncode == 2
    assert refused.stderr == (f"knocktail {verb}: unrecognized option '--no-such-option'\n"
                              f"Try 'knocktail {verb} --help'.\n")


# What a verb is told that cannot be, and how it puts it. Nothing is done.
MISUSES = {
    "audit": (("x", "unexpected argument 'x'"), ("--html x -o json", "cannot be combined"),
              ("--since 2026-11-22 --until 2026-11-21", "--since is not before --until"),
              ("--since soon", "invalid time 'soon'"), ("--source here", "is not an IP address"),
              ("--trust UNIT=x", "is not a field"), ("--trust _UID", "is not a field"),
              ("--trust _UID=", "is not a field"), ("-o xml", "unknown output format 'xml'")),
    "check": (("x", "unexpected argument 'x'"), ("-o", "requires an argument")),
    "close": (("", "a door is needed"), ("a b c", "and nothing else")),
    "doctor": (("a b", "unexpected argument 'b'"), ("--knock here", "'here' is not an address"),
               ("--timeout 0", "not a time span between 1s and 1h"),
               ("--timeout 2h", "not a time span between 1s and 1h"),
               ("--timeout x", "not a time span between 1s and 1h")),
    "fleet": (("x", "unexpected argument 'x'"),),
    "import": (("", "missing file"), ("a b", "unexpected argument 'b'"),
               ("/no/such/file", "cannot read /no/such/file"),
               ("--keys /tmp/x /dev/null", "--keys is for an access.conf")),
    "keygen": (("--fleet x y", "unexpected argument 'y'"),
               *((f"--fleet {more}", "--fleet stands alone") for more in (
                   "-c x", "--keys x", "--realm x", "--since x", "--expires x", "--rotate x", "--qr",
                   "--page x", "--host x.y", "--door x", "--url x", "--no-passphrase", "-o json")),
               ("-c x --keys y alice", "cannot be combined"), ("--realm x alice", "needs --keys"),
               ("--keys x --page y --url https://x/ -o json alice", "cannot be combined"),
               ("--keys x --door y alice", "need --page"), ("--host x_y alice", "--host")),
    "keys": (("x", "unexpected argument 'x'"),),
    "list": (("a b", "unexpected argument 'b'"),),
    "metrics": (("x", "unexpected argument 'x'"), ("-o xml", "xml")),
    "open": (("a", "a door and an address are needed"), ("a 192.0.2.1 c", "and nothing else"),
             *((f"a 192.0.2.1 --for {span}", "is not a number of whole seconds")
               for span in ("x", "0", "1500ms", "200y"))),
    "page": (("alice", "needs a user and the name"), ("alice x y", "unexpected argument 'y'"),
             ("-c x --keys y alice z", "cannot be combined"), ("Alice x", "not one that can have"),
             ("--url http://x/ alice x", "--url needs an address"), ("--door a.b alice x", "--door")),
    "reload": (("x", "unexpected argument 'x'"),),
    "replay": (("x", "unexpected argument 'x'"), ("--file a --text b", "cannot be combined"),
               ("--directory a --file b", "cannot be combined"), ("--log a", "--log goes with --text"),
               ("--since @2 --until @2", "--since is not before --until")),
    "rules": (("", "missing firewall type"), ("pf", "unknown firewall type 'pf'"),
              ("nft x", "unexpected argument 'x'"),
              ("nft --remove --apply", "--remove goes with neither"),
              ("nft --remove --install", "--remove goes with neither"),
              ("nft --confirm-by-knock", "goes with --apply"), ("nft --yes", "goes with --apply"),
              ("nft --apply --confirm-by-knock --yes", "without --confirm-by-knock"),
              ("ipset --nflog 5", "neither with --remove nor with sets"),
              ("nft --remove --nflog 5", "neither with --remove nor with sets"),
              ("nft --ulogd", "--ulogd goes with --nflog"),
              ("nft --ulogd --nflog 5 --apply", "--ulogd prints"),
              ("nft --ulogd --nflog 5 --install", "--ulogd prints"),
              ("nft --nflog 0", "not a group"), ("nft --nflog 65536", "not a group"),
              ("nft --nflog x", "not a group"), ("nft --open x", "is not a list of ports"),
              ("nft --open all", "is not a list of ports"), ("nft --confirm-within 2h", "not a time span")),
    "setup": (("x", "unexpected argument 'x'"), ("--sequence --user alice", "--user has a key")),
    "status": (("x", "unexpected argument 'x'"),),
    "watch": (("x", "unexpected argument 'x'"),),
}


def test_every_verb_can_be_misused():
    assert sorted(MISUSES) == sorted(VERBS)


@pytest.mark.parametrize("verb, words, complaint", [
    (verb, *case) for verb, cases in MISUSES.items() for case in cases])
def test_misuse(verb, words, complaint):
    refused = say(verb, *words.split())
    assert refused.returncode == 2 and not refused.stdout, refused
    assert complaint in refused.stderr, refused


def test_an_empty_address_closes_nothing():
    refused = say("close", "ssh", "")
    assert refused.returncode == 2 and "the address is empty" in refused.stderr, refused


def test_the_version():
    first, second = say("--version").stdout.splitlines()
    assert re.fullmatch(r"knocktail \d+\.\d+\.\d+", first)
    assert re.match(r"built with libsystemd \d+.*, libpcre2-8 10\.\d+, ", second)
    assert say("-V").stdout.splitlines() == [first, second]
