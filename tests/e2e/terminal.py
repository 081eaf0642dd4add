"""A terminal, for what asks a question on it."""

import contextlib
import os
import pty
import select
import subprocess
import time


def converse(host, argv, *answers, timeout=60):
    """Runs argv of a host on a terminal of its own, answers each of its questions, which end in ": ",
    and returns its exit status and what was seen."""
    terminal, other = pty.openpty()
    process = host.popen(["setsid", "--ctty", *argv], stdin=other, stdout=other, stderr=other)
    os.close(other)
    answers, seen, asked, end = list(answers), b"", 0, time.monotonic() + timeout
    try:
        with contextlib.suppress(OSError):  # nobody holds the other side any more
            while select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
                data = os.read(terminal, 4096)
                if not data:
                    break
                seen += data
                if answers and seen[asked:].endswith(b": "):
                    asked = len(seen)
                    os.write(terminal, answers.pop(0).encode() + b"\n")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(1, end - time.monotonic()))
        assert process.poll() is not None, f"{argv} waits for ever, after {seen!r}"
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    return process.returncode, seen.decode(errors="replace")
