"""Laboratories: they go together, whichever root they run in, and leave nothing behind.

The switch is a file here, for on this machine's own other laboratories may count.
"""

import fcntl
import inspect
import os
import signal
import subprocess
import sys
import threading

import pytest

import kernel_log
from hosts import wait_until

LIBRARY = os.path.join(os.path.dirname(__file__), "../../tools/lib.sh")

# Another root: what it has under /dev, /run and /tmp is its own, but for the stand-in of the sysctl.
ELSEWHERE = """
root=$1; shift
mount --rbind / $root
mount -t tmpfs other $root/tmp
mkdir -p $root$(dirname $root)
mount --bind $(dirname $root) $root$(dirname $root)
mount -t tmpfs other $root/dev
mount -t tmpfs other $root/run
mount -t proc proc $root/proc
exec chroot $root "$@"
"""

# A laboratory as a process: its arguments are its keeper's command line.
LABORATORY = ("import subprocess, sys; keeper = subprocess.Popen(sys.argv[1:], "
              "stdin=subprocess.PIPE, start_new_session=True); keeper.wait()")


@pytest.fixture
def switch(possible, tmp_path):
    """The stand-in; `.keeper()` starts a laboratory's keeper, in another root or not."""
    class Switch:
        path = tmp_path / "switch"
        directory = f"knocktail-lab-test-{os.getpid()}"
        keepers = []

        def value(self):
            """What it stands at."""
            return self.path.read_text().strip()

        def keeper(self, elsewhere=False):
            """A laboratory that holds it."""
            # As text, for the tree itself may be below /tmp.
            argv = [sys.executable, "-BI", "-c", inspect.getsource(kernel_log), self.path,
                    self.directory]
            if elsewhere:
                root = tmp_path / f"root-{len(self.keepers)}"
                root.mkdir()
                argv = ["unshare", "--mount", "sh", "-ec", ELSEWHERE, "sh", root, *argv]
            self.keepers.append(subprocess.Popen(argv, stdin=subprocess.PIPE,
                                                 stdout=subprocess.PIPE))
            assert self.keepers[-1].stdout.readline() == b"ready\n"
            return self.keepers[-1]

        def has_waiters(self):
            """Whether somebody waits for a share, and has others wait behind."""
            common = kernel_log.open_common()
            turn = os.open(f"{self.directory}/turn", os.O_RDWR | os.O_CLOEXEC, dir_fd=common)
            os.close(common)
            try:
                fcntl.flock(turn, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return False
            except BlockingIOError:
                return True
            finally:
                os.close(turn)

        def left(self):
            """What is left in the place that all roots share."""
            common = kernel_log.open_common()
            try:
                return [name for name in os.listdir(common) if name == self.directory]
            finally:
                os.close(common)

    made = Switch()
    yield made
    for keeper in made.keepers:
        keeper.kill()
        keeper.communicate()
    # What a test that failed has left.
    made.keeper().communicate()


def test_every_test_has_a_share(no_laboratory):
    if no_laboratory:
        pytest.skip(no_laboratory)
    common = kernel_log.open_common()
    share = os.open(f"{kernel_log.DIRECTORY}/share", os.O_RDWR | os.O_CLOEXEC, dir_fd=common)
    os.close(common)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(share, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(share)


@pytest.mark.parametrize("before", ["0", "1"])
@pytest.mark.parametrize("roots", [(False, False), (False, True), (True, True)])
def test_the_last_one_puts_the_switch_back(before, roots, switch):
    switch.path.write_text(before)
    first, second = map(switch.keeper, roots)
    assert switch.value() == "1"
    first.communicate()
    assert switch.value() == "1"
    second.communicate()
    assert switch.value() == before
    assert not switch.left()


def test_a_killed_laboratory_lets_go(switch):
    """Its keeper is not killed with it, and sees the pipe end."""
    switch.path.write_text("0")
    lab = subprocess.Popen(
        [sys.executable, "-c", LABORATORY, sys.executable, "-BI", kernel_log.__file__, switch.path,
         switch.directory], stdout=subprocess.PIPE, start_new_session=True)
    assert lab.stdout.readline() == b"ready\n"
    assert switch.value() == "1"
    os.killpg(lab.pid, signal.SIGKILL)
    lab.communicate()
    wait_until(lambda: not switch.left(), 5, "the keeper ends")
    assert switch.value() == "0"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_suite_waits_for_a_killed_laboratory_to_let_go(number, switch, tmp_path):
    """What is process 1 there takes all with it when it ends (tools/in-suite)."""
    switch.path.write_text("0")
    place = tmp_path / "a place: this, that"
    (place / "mnt").mkdir(parents=True)
    (place / "source").mkdir()
    os.symlink("/", place / "root")
    os.link(switch.path, place / "source/switch")
    suite = subprocess.Popen(
        ["bash", "-c", '. "$1"; shift; enter "$@"', "bash", LIBRARY, place,
         sys.executable, "-c", LABORATORY, sys.executable, "-BI", "-c",
         inspect.getsource(kernel_log), "/src/switch", switch.directory],
        stdout=subprocess.PIPE, start_new_session=True)
    assert suite.stdout.readline() == b"ready\n"
    assert switch.value() == "1"
    os.killpg(suite.pid, number)
    suite.communicate(timeout=20)
    assert (switch.value(), switch.left()) == ("0", [])


def test_what_a_killed_keeper_leaves_is_mended(switch):
    switch.path.write_text("0")
    killed = switch.keeper(elsewhere=True)
    killed.kill()
    killed.communicate()
    assert (switch.value(), switch.left()) == ("1", [switch.directory])
    switch.keeper().communicate()
    assert (switch.value(), switch.left()) == ("0", [])


def test_who_fills_the_log_is_alone(switch):
    """Nobody has a share of it then, and nobody gets one while somebody waits to be alone."""
    switch.path.write_text("0")
    switch.keeper()
    shares = [kernel_log.Share(directory=switch.directory) for _ in range(2)]
    got = []

    def take(alone):
        share = kernel_log.Share(alone, switch.directory)
        got.append(alone)
        release.wait(10)
        share.close()

    release = threading.Event()
    alone = threading.Thread(target=take, args=(True,))
    alone.start()
    shares.pop().close()
    wait_until(switch.has_waiters, 5, "it has its turn")
    late = threading.Thread(target=take, args=(False,))
    late.start()
    late.join(0.2)
    assert got == []
    shares.pop().close()
    wait_until(lambda: got, 5, "it is alone")
    late.join(0.2)
    assert got == [True]
    release.set()
    alone.join(5)
    late.join(5)
    assert got == [True, False]


def test_one_run_at_a_time(tmp_path):
    """In one tree; and nothing that outlives a run keeps the next one out."""
    code = '. "$1"; alone_in "$2"; logged "$2/log" sleep 0.2; bash -c "$3" bash "$@"; exit $?'
    for _ in range(2):
        done = subprocess.run(["bash", "-c", code, "first", LIBRARY, tmp_path,
                               '. "$1"; alone_in "$2"; echo together'],
                              capture_output=True, text=True, check=False, timeout=20)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"bash: another run is in {tmp_path}\n"
