"""Journal files with a past that nobody has to wait for, made by systemd-journal-remote."""

import os
import subprocess

import pytest

REMOTE = "/lib/systemd/systemd-journal-remote"
BOOT = "0123456789abcdef0123456789abcdef"
OPENED = "42a50f8f5ea249e49ae99fb737f626b6"
RENEWED = "462b4f00f13647029d570ee6f7892f2e"
CLOSED = "f0751f8fdaae49babb5ef4c484078ef8"
REFUSED = "eab28f7a42864e76964d72e19d731e9c"
CLOSE_FAILED = "1fe2c419a8a345799f1fb843f45ae94e"
ADOPTED = "c1f1606564144d36b97c2de3f91a4a50"

PROBE = ("{prefix}IN=eth0 OUT= MAC=02:00:00:00:00:01:02:00:00:00:00:02:08:00 SRC={source} "
         "DST=192.0.2.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=40000 DPT={port} "
         "WINDOW=64240 RES=0x00 SYN URGP=0 ")


def event(time, message_id, door, source, host="gateway", unit="knocktaild.service", deadline=None,
          **fields):
    """One event of the daemon's; times are seconds since 1970."""
    entry = {"_SYSTEMD_UNIT": unit, "_HOSTNAME": host, "MESSAGE": "event",
             "MESSAGE_ID": message_id, "KNOCKTAIL_DOOR": door, "KNOCKTAIL_SOURCE": source}
    if deadline:
        entry["KNOCKTAIL_DEADLINE"] = str(int(deadline * 1000000))
    return time, {**entry, **{f"KNOCKTAIL_{name}": text for name, text in fields.items()}}


def probe(time, prefix, source, port):
    """One record of the kernel's."""
    return time, {"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "0", "_HOSTNAME": "gateway",
                  "MESSAGE": PROBE.format(prefix=prefix, source=source, port=port)}


def write_journal(path, entries, clock=True):
    """Writes a journal file with these entries, by their time; without a clock that one can trust, in
    the order in which they are given."""
    if not os.path.exists(REMOTE):
        pytest.skip("systemd-journal-remote is not installed")
    blocks = []
    if clock:
        entries = sorted(entries, key=lambda entry: entry[0])
    for number, (time, fields) in enumerate(entries, 1):
        monotonic = time - entries[0][0] + 1 if clock else number
        block = [f"__REALTIME_TIMESTAMP={int(time * 1000000)}",
                 f"__MONOTONIC_TIMESTAMP={int(monotonic * 1000000)}",
                 f"_BOOT_ID={BOOT}"]
        block += [f"{name}={text}" for name, text in fields.items()]
        blocks.append("\n".join(block) + "\n")
    done = subprocess.run([REMOTE, "-o", path, "--split-mode=none", "-"],
                          input="\n".join(blocks) + "\n", text=True, capture_output=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def damage(path):
    """Overwrites some of a journal file's middle."""
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        for place in range(size // 3, size // 2, 64):
            os.pwrite(file.fileno(), b"\xff" * 16, place)
