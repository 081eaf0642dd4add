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


def test_the_version():
    first, second = say("--version").stdout.splitlines()
    assert re.fullmatch(r"knocktail \d+\.\d+\.\d+", first)
    assert re.match(r"built with libsystemd \d+.*, libpcre2-8 10\.\d+, ", second)
    assert say("-V").stdout.splitlines() == [first, second]
