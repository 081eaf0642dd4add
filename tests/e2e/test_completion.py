"""The shells complete what knocktail takes: verbs, options, doors, and who stands in them."""

import os

import pytest

from doors import ipset_door
from lab import ROOT, program

DOORS = ipset_door(timeout="60s") + ipset_door("web", "7100, 8100", timeout="60s")

# Completes a line as a person at the prompt would, and prints what is offered.
BASH = """
. /usr/share/bash-completion/bash_completion
. /run/lab/completion/knocktail
. /run/lab/completion/knocktap
PATH=/run/lab:$PATH
COMP_LINE=$1
COMP_POINT=${#COMP_LINE}
COMP_TYPE=9
# Readline splits at the colons of an address, too.
read -r -a COMP_WORDS <<<"${COMP_LINE//:/ : }"
[[ $COMP_LINE == *' ' ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }
"_${COMP_LINE%% *}"
printf '%s\\n' "${COMPREPLY[@]}"
"""

ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
quiet() { local line; zpty -w shell "$1"; while zpty -r shell line; do
    [[ $line == *done-with-it* && $line != *print* ]] && break; done }
zpty -w shell 'PS1= PS2= RPS1='
quiet 'path=(/run/lab $path); fpath=(/run/lab/completion $fpath)
autoload -U compinit; compinit -u -D
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return $?; fi
    typeset -a hits; builtin compadd -A hits "$@"
    builtin print -r -- "hit<${(j:> hit<:)hits}>"
    builtin compadd "$@"
}
finish() { builtin print -r -- "the-end" }
zle -C ask complete-word _generic; zle -N finish
bindkey "^I" ask; bindkey "^X" finish; print done-with-it'
zpty -w -n shell "$1"$'\\t\\x18'
while zpty -r shell line; do
    print -r -- $line
    [[ $line == *the-end* ]] && break
done
zpty -d shell
"""

FISH = """
set PATH /run/lab $PATH
source /run/lab/completion/(string split -f 1 ' ' $argv[1]).fish
complete -C $argv[1] | cut -f 1
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


@pytest.fixture(scope="module")
def lab(bus_lab):
    """The laboratory with a bus, and a daemon's word for what there is."""
    return bus_lab


@pytest.fixture
def opened(start, lab, client, other):
    """Two clients whom doors are open for."""
    start(DOORS)
    lab.bus.wait_daemon()
    for door, address in (("ssh", client.v4), ("web", other.v6)):
        assert lab.knocktail("open", door, address).returncode == 0
    return client.v4, other.v6


@pytest.fixture(params=SCRIPTS)
def complete(request, lab, needs):
    """What a shell offers for a line."""
    needs(request.param)
    os.makedirs(lab.server.path("/run/lab/completion"), exist_ok=True)
    for name in os.listdir(os.path.join(ROOT, "completion")):
        with open(os.path.join(ROOT, "completion", name), encoding="utf-8") as file:
            lab.file(f"completion/{name}", file.read())
    lab.install(program("knocktap"), "knocktap")
    if request.param == "bash" and not os.path.exists("/usr/share/bash-completion"):
        pytest.skip("bash-completion is not installed")
    script = lab.file(f"complete.{request.param}", SCRIPTS[request.param])

    def ask(line):
        done = lab.server.run(request.param, script, line, timeout=30,
                              env={"TERM": "vt100", "HOME": "/run/lab/home",
                                   "XDG_CONFIG_HOME": "/run/lab/home/.config"})
        if request.param != "zsh":
            return set(done.stdout.split())
        hits = {hit.split(">")[0] for hit in done.stdout.split("hit<")[1:]}
        return hits - {""}
    return ask


def test_verbs(complete):
    assert {"status", "list", "open", "close", "reload", "check", "replay"} <= complete(
        "knocktail ")
    assert complete("knocktail re") == {"reload", "replay"}


def test_options(complete):
    assert complete("knocktail replay --s") == {"--since"}
    assert {"--config", "--live", "--help"} <= complete("knocktail check --")
    assert complete("knocktail list -o ") == {"text", "json"}
    assert complete("knocktail keygen -o ") == {"text", "json"}
    assert complete("knocktail setup --firewall n") == {"nft"}


def test_doors(complete, opened):
    assert complete("knocktail open ") == {"ssh", "web"}
    assert complete("knocktail close w") == {"web"}
    assert complete("knocktail open --for 10min ") == {"ssh", "web"}


def test_sources(complete, opened):
    v4, v6 = opened
    assert complete("knocktail close ssh ") == {v4}
    assert complete(f"knocktail open ssh {v4[:3]}") == {v4}
    # bash wants only what comes after the last colon.
    assert complete(f"knocktail close web {v6[:10]}") in ({v6}, {v6[v6[:10].rindex(":") + 1:]})


@pytest.fixture
def profiles(lab):
    """Two profiles of a person's."""
    os.makedirs(lab.server.path("/run/lab/home/.config/knocktail"), exist_ok=True)
    lab.file("home/.config/knocktail/hosts", "[gateway]\nhost = gw.example\n[ office ]\n", 0o600)
    lab.file("other-hosts", "[garage]\n", 0o600)


def test_profiles_of_the_client(complete, profiles):
    assert {"gateway", "office"} <= complete("knocktap ")
    assert "gateway" in complete("knocktap ga")
    assert "office" not in complete("knocktap ga")


def test_options_of_the_client(complete, profiles):
    assert complete("knocktap --so") == {"--source"}
    assert {"--key", "--spa", "--wait", "--ipv4", "--help"} <= complete("knocktap --")
    assert complete("knocktap --source ") == {"auto", "none"}


def test_profiles_of_another_file(complete, profiles):
    assert "garage" in complete("knocktap -F /run/lab/other-hosts ga")


def test_help_of_a_verb(complete):
    assert complete("knocktail help re") == {"reload", "replay"}
