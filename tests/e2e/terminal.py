"""A terminal, for what asks a question on it."""

import contextlib
import os
import pty
import select
import time


def converse(argv, *answers, timeout=60, env=None):
    """Runs argv on a terminal of its own, answers each of its questions, which end in ": ", and
    returns its exit status and what was seen."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, {**os.environ, **(env or {})})
    answers, seen, asked, end = list(answers), b"", 0, time.monotonic() + timeout
    try:
        with contextlib.suppress(OSError):  # nobody holds the other side any more
            while select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
                data = os.read(fd, 4096)
                if not data:
                    break
                seen += data
                if answers and seen[asked:].endswith(b": "):
                    asked = len(seen)
                    os.write(fd, answers.pop(0).encode() + b"\n")
        assert time.monotonic() < end, f"{argv} waits for ever, after {seen!r}"
    except BaseException:
        os.kill(pid, 9)
        raise
    finally:
        os.close(fd)
        status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status), seen.decode(errors="replace")
