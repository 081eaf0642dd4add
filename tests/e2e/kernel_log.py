"""The kernel's one log, which all laboratories of a machine share, whichever root they run in.

LogEverywhere has LOG rules in network namespaces write to it; Share and its exclusive form keep a
test that fills it apart from those that must not miss a line.

What laboratories have to agree on is as wide as the kernel's log and its sysctl: it is kept in
devtmpfs, of which a kernel has one, and which is reached without a mount that others could see or
lack. A laboratory of another chroot or container finds the same files there.

Between a LOG rule and journald a line can be lost in two places. While the switch is 0, the kernel
writes nothing in a network namespace that is not the first, and nobody says so
(net/netfilter/nf_log_syslog.c). What the ring of the kernel's log overwrites before journald has read
it is missing in the numbers of the messages: journald says "Missed N kernel messages".
"""

import contextlib
import ctypes
import fcntl
import os
import subprocess
import sys

SYSCTL = "/proc/sys/net/netfilter/nf_log_all_netns"
DIRECTORY = "knocktail-lab"

# linux/mount.h; the numbers of these system calls are the same on all of Debian's architectures.
FSOPEN, FSCONFIG, FSMOUNT = 430, 431, 432
CLOEXEC, CMD_CREATE = 1, 6

_libc = ctypes.CDLL(None, use_errno=True)


def _call(*arguments):
    result = _libc.syscall(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"devtmpfs: {os.strerror(ctypes.get_errno())}")
    return result


def open_common():
    """A descriptor of the root of devtmpfs; OSError where there is none to be had."""
    with contextlib.ExitStack() as stack:
        system = _call(FSOPEN, b"devtmpfs", CLOEXEC)
        stack.callback(os.close, system)
        _call(FSCONFIG, system, CMD_CREATE, None, None, 0)
        mount = _call(FSMOUNT, system, CLOEXEC, 0)
        stack.callback(os.close, mount)
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount)


def why_not():
    """Why LOG rules cannot be made to write everywhere here, or None."""
    if not os.access(SYSCTL, os.W_OK):
        return f"{SYSCTL} cannot be written (it is the first network namespace's)"
    try:
        os.close(open_common())
    except OSError as error:
        return error.strerror
    return None


class Keeper:
    """Holds the sysctl at 1, and puts the machine's own value back if it is the last to go.

    The first keeper to come notes that value, and the note stays until the last one has put it
    back: a keeper that was killed leaves it to its successor. Each has a shared lock on the note;
    whoever comes or goes locks the root of devtmpfs meanwhile, so that of two that go together one
    is the last.
    """

    def __init__(self, sysctl, directory):
        self._sysctl, self._directory = sysctl, directory
        self._common = open_common()
        with self._gate():
            with contextlib.suppress(FileExistsError):
                os.mkdir(directory, 0o700, dir_fd=self._common)
            self._note = os.open(f"{directory}/value", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600,
                                 dir_fd=self._common)
            fcntl.flock(self._note, fcntl.LOCK_SH)
            if os.fstat(self._note).st_size == 0:
                with open(sysctl, encoding="ascii") as file:
                    os.pwrite(self._note, file.read().strip().encode(), 0)
            self._write("1")

    @contextlib.contextmanager
    def _gate(self):
        fcntl.flock(self._common, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._common, fcntl.LOCK_UN)

    def _write(self, value):
        with open(self._sysctl, "w", encoding="ascii") as file:
            file.write(value)

    def close(self):
        """Puts the old value back unless somebody else still needs ours."""
        with self._gate():
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._note, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._write(os.pread(self._note, 8, 0).decode())
                for name in os.listdir(f"/proc/self/fd/{self._common}/{self._directory}"):
                    os.unlink(f"{self._directory}/{name}", dir_fd=self._common)
                os.rmdir(self._directory, dir_fd=self._common)
            os.close(self._note)
        os.close(self._common)


class LogEverywhere:
    """LOG rules in namespaces write to the kernel log while this is held.

    A process of its own keeps the switch, and lets go of it when a pipe from here ends: also when
    this process is killed and no clean-up code runs.
    """

    def __init__(self):
        self._keeper = subprocess.Popen(
            [sys.executable, "-BI", __file__, SYSCTL, DIRECTORY], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        if self._keeper.stdout.readline() != b"ready\n":
            reason = self._keeper.communicate(timeout=5)[1].decode(errors="replace").strip()
            raise OSError(f"{SYSCTL} cannot be kept: {reason.splitlines()[-1:]}")

    def close(self):
        """Lets go."""
        self._keeper.communicate(timeout=10)


class Share:
    """A share in the kernel's log, or all of it, while laboratories are held.

    Whoever wants all of it waits until nobody has a share, and nobody gets one meanwhile.
    """

    def __init__(self, alone=False, directory=DIRECTORY):
        self._directory = directory
        with contextlib.ExitStack() as stack:
            common = open_common()
            stack.callback(os.close, common)
            turn = self._open(common, "turn")
            stack.callback(os.close, turn)
            fcntl.flock(turn, fcntl.LOCK_EX)
            self._lock = self._open(common, "share")
            fcntl.flock(self._lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)

    def _open(self, common, name):
        return os.open(f"{self._directory}/{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600,
                       dir_fd=common)

    def close(self):
        """Gives it back."""
        os.close(self._lock)


def main():
    """Keeps the switch until the standard input ends: kernel_log.py SYSCTL DIRECTORY."""
    keeper = Keeper(*sys.argv[1:])
    try:
        print("ready", flush=True)
        sys.stdin.buffer.read()
    finally:
        keeper.close()


if __name__ == "__main__":
    main()
