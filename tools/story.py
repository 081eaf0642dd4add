#!/usr/bin/python3
"""Shows what knocktail does: a closed port, a knock, the open port, and the port closed again.

The commands are those that the story prints; the hosts are network namespaces of this machine.
"""

import datetime
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "e2e"))

from hosts import LabError  # noqa: E402
from lab import Lab, unavailable  # noqa: E402

OPEN_FOR = 5

CONFIG = f"""\
[options]
log_prefix = "{{prefix}}"

[door ssh]
sequence    = 7000, 9000/udp, 8000
seq_timeout = 10s
timeout     = {OPEN_FOR}s
backend     = ipset
set         = knock4
set_6       = knock6
entry       = %IP%
"""

COLOURS = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


class Failure(Exception):
    """A step of the story did not happen."""


def tell(text=""):
    """A sentence of the story."""
    print(text, flush=True)


def chapter(number, text):
    """A headline."""
    bold, plain = ("\033[1m", "\033[0m") if COLOURS else ("", "")
    tell(f"\n{bold}{number}. {text}{plain}")


def show(text):
    """What a command printed."""
    for line in text.rstrip().splitlines():
        tell(f"      {line}")


def typed(host, name, command, **kwargs):
    """Runs a command line on a host as if typed there, and shows it with what came back."""
    tell(f"   {name}# {command}")
    done = host.run("bash", "-c", command, check=False, **kwargs)
    show(done.stdout + done.stderr)
    return done


def clock(event):
    """When a journal entry was written."""
    seconds = int(event["__REALTIME_TIMESTAMP"]) / 1e6
    return datetime.datetime.fromtimestamp(seconds).strftime("%H:%M:%S.%f")[:-3]


def story(lab):
    """Tells it, and raises Failure or AssertionError where it goes wrong."""
    server, client, stranger = lab.server, lab.client(), lab.client()

    tell(f"""
Three hosts, each a network namespace of this machine that goes away with this program:
   server    {server.v4}    its firewall drops everything and logs each dropped packet
   client    {client.v4}  will knock
   stranger  {stranger.v4}  will not""")

    chapter(1, "A server that answers nobody")
    tell("   Its firewall opens port 22 to the addresses in the set knock4, which is empty:")
    typed(server, "server", "iptables -S INPUT")
    tell(f"   The configuration, {len(CONFIG.splitlines())} lines:")
    config = CONFIG.format(prefix=lab.prefix)
    show(config)
    daemon = lab.daemon(config.split("\n\n", 1)[1])
    if lab.knocktail("check", "-c", daemon.config).returncode != 0:
        raise Failure("knocktail check refuses the configuration")
    tell("   knocktaild runs, as an ordinary user with CAP_NET_ADMIN and nothing else.")
    if typed(client, "client", f"nc -w 1 {server.v4} 22 </dev/null").stdout:
        raise Failure("port 22 answered before anybody had knocked")
    tell("   Nothing: the port is closed.")

    chapter(2, "A knock with what every machine has")
    for command in (f"nc -z -w 1 {server.v4} 7000",
                    f"bash -c 'echo > /dev/udp/{server.v4}/9000'",
                    f"nc -z -w 1 {server.v4} 8000"):
        typed(client, "client", command)
    knocked = time.monotonic()
    client.wait_open(since=knocked)
    tell("   What the firewall wrote to the journal, and what knocktaild made of it:")
    opened = daemon.wait_message(f"door ssh opened for {client.v4}")
    events = [event for event in daemon.events() if event["MESSAGE"] == opened]
    since = time.time() - 15
    records = [record for record in lab.records() if f"SRC={client.v4} " in record["MESSAGE"]
               and any(f" DPT={port} " in record["MESSAGE"] for port in (7000, 8000, 9000))
               and int(record["__REALTIME_TIMESTAMP"]) / 1e6 > since]
    for record in records:
        line = record["MESSAGE"]
        short = " ".join(word for word in line[len(lab.prefix):].split()
                         if word.split("=")[0] in ("IN", "SRC", "PROTO", "DPT", "SYN"))
        show(f"{clock(record)} kernel: {lab.prefix}{short} ...")
    for event in events:
        show(f"{clock(event)} knocktaild: {event['MESSAGE']}")

    chapter(3, "The port is open, to that one address")
    answer = typed(client, "client",
                   f"echo 'is anybody there?' | nc -N -w 2 {server.v4} 22").stdout
    if "is anybody there?" not in answer:
        raise Failure("no data came through the open port")
    typed(server, "server", "ipset list knock4 | tail -n 1")
    if client.v4 not in lab.members():
        raise Failure("the address is not in the set")
    if typed(stranger, "stranger", f"nc -w 1 {server.v4} 22 </dev/null").stdout:
        raise Failure("the stranger came in")
    tell("   The stranger is not let in.")

    chapter(4, f"{OPEN_FOR} seconds later it is closed again, by itself")
    client.wait_closed(timeout=OPEN_FOR + 2)
    closed = daemon.wait_message(f"door ssh closed for {client.v4}")
    for event in daemon.events():
        if event["MESSAGE"] == closed:
            show(f"{clock(event)} knocktaild: {closed}")
    if typed(client, "client", f"nc -w 1 {server.v4} 22 </dev/null").stdout:
        raise Failure("port 22 still answers")
    tell("   Nothing: the port is closed.")
    if daemon.stop() != 0:
        raise Failure("knocktaild did not stop as it should")


def interrupt(*_):
    """Ends the story once; a second key press must not end the clean-up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    """Exit status: 0 if all of it happened, 1 otherwise."""
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    reason = unavailable()
    if reason:
        print(f"demo: cannot be shown on this machine: {reason}", file=sys.stderr)
        return 1
    try:
        with Lab() as lab:
            story(lab)
    except (AssertionError, Failure, LabError) as error:
        print(f"\ndemo: this went wrong: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; nothing is left behind", file=sys.stderr)
        return 130
    tell("\nThat was it. The hosts are gone; nothing on this machine has changed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
