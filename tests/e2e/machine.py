"""A machine that systemd has booted: a container in a laboratory's network.

The container lives in the server's process and mount namespaces, so that it goes when they go. Its
root is an overlay over a tree that tools/make-root makes once and that stays as it is.
"""

import contextlib
import functools
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile

from hosts import ENVIRONMENT, Inside, wait_until
from lab import ROOT as REPOSITORY
from lab import LabError, program

ROOT = "/run/lab/machine/root"

# Moves itself into the control groups named before "--" and becomes what comes after it. Not every
# hierarchy takes a process without more ado (cpuset does not), nor does systemd need all of them.
IN_GROUPS = """
while [ "$1" != -- ]; do
    echo $$ >"$1/cgroup.procs" || :
    shift
done 2>/dev/null
shift
exec "$@"
"""

# Mounts a file system over a directory in a process's mount namespace, and answers nothing that it
# is asked: whoever looks in there waits, until this ends.
UNANSWERED = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
pid, path = sys.argv[1:]
fuse = os.open("/dev/fuse", os.O_RDWR)
namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other"
if (libc.setns(namespace, 0) < 0 or
        libc.mount(b"silent", path.encode(), b"fuse", 0, options.encode()) < 0):
    sys.exit(os.strerror(ctypes.get_errno()))
print("ready", flush=True)
sys.stdin.read()
"""

PACKAGES = ("systemd", "systemd-sysv", "dbus", "ipset", "iptables", "nftables", "passwd",
            "procps")


# Where `make install` puts it, depending on how the build was configured.
CONFIGS = ("/etc/knocktail/knocktail.conf", "/usr/local/etc/knocktail/knocktail.conf")

# Where programs built for tools/coverage leave what they have counted; they may write there, whatever
# else their unit forbids.
COUNTS = os.environ.get("KNOCKTAIL_COVERAGE")


class Unavailable(Exception):
    """Why no container can be made on this machine."""


def _os_release():
    with open("/etc/os-release", encoding="utf-8") as file:
        pairs = (line.rstrip("\n").partition("=") for line in file)
        return {key: value.strip('"') for key, _, value in pairs}


def _libraries(path):
    """The packages of the shared libraries that a program of ours wants."""
    done = subprocess.run(["ldd", path], capture_output=True, text=True, env=ENVIRONMENT,
                          timeout=20, check=False)
    files = [word for word in done.stdout.split() if word.startswith("/")]
    names = {name for file in files for name in (file, os.path.realpath(file), f"/usr{file}")}
    found = subprocess.run(["dpkg", "--search", *sorted(names)], capture_output=True, text=True,
                           env=ENVIRONMENT, timeout=60, check=False)
    owners = {line.rpartition(": ")[2]: line.split(":")[0] for line in found.stdout.splitlines()
              if not line.startswith("diversion by ")}
    packages = set()
    for file in files:
        for name in (file, os.path.realpath(file), f"/usr{file}"):
            if name in owners:
                packages.add(owners[name])
                break
    return packages


def tree(packages, then="", suite=None):
    """The tree of a minimal system with these packages, in which a shell has then run a command,
    made if it is not there yet. The suite is this machine's own if none is named."""
    cache = os.environ.get("KNOCKTAIL_CACHE", os.path.join(REPOSITORY, "build", "machine"))
    for tool in ("mmdebstrap", "systemd-nspawn", "dpkg", "apt-get"):
        if not shutil.which(tool, path=ENVIRONMENT["PATH"]):
            raise Unavailable(f"{tool} is not installed")
    suite = suite or _os_release().get("VERSION_CODENAME", "")
    packages = sorted(set(packages))
    key = hashlib.sha256(f"{' '.join(packages)}{then}".encode()).hexdigest()[:12]
    done = os.path.join(cache, f"tree-{suite}-{key}")
    if os.path.isdir(done):
        return done
    os.makedirs(cache, exist_ok=True)
    making = tempfile.mkdtemp(prefix="making-", dir=cache)
    try:
        os.chmod(making, 0o755)  # apt's own user goes through it
        try:
            built = subprocess.run(
                [os.path.join(REPOSITORY, "tools", "make-root"), "--then", then or ":", suite,
                 f"{making}/root", *packages],
                capture_output=True, text=True, timeout=900, check=False, stdin=subprocess.DEVNULL,
                env={**os.environ, **ENVIRONMENT})
        except subprocess.TimeoutExpired as slow:
            raise Unavailable(f"no root file system can be made: not in {slow.timeout:.0f} s") from slow
        if built.returncode != 0:
            lines = (built.stdout + built.stderr).strip().splitlines()[-3:]
            raise Unavailable(f"no root file system can be made: {' | '.join(lines) or 'silently'}")
        with contextlib.suppress(OSError):  # another run was faster
            os.rename(f"{making}/root", done)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return done


class ControlGroups:
    """Groups of the container's own, in every hierarchy, so that two do not share one.

    The container's systemd takes for the root whatever group it is started in.
    """

    def __init__(self, name):
        self.paths = []
        with open("/proc/self/cgroup", encoding="ascii") as file:
            own = {controllers: path for _, controllers, path in
                   (line.rstrip("\n").split(":", 2) for line in file)}
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            mounts = [line.split() for line in file]
        for mount in mounts:
            kind, options = mount[mount.index("-") + 1], mount[-1].split(",")
            controllers = [key for key in own if kind == "cgroup" and key
                           and set(key.split(",")) <= set(options)]
            if kind == "cgroup2" and "" in own:
                controllers = [""]
            for key in controllers:
                path = os.path.join(mount[4], os.path.relpath(own[key], mount[3]), name)
                with contextlib.suppress(OSError):
                    os.makedirs(path, exist_ok=True)
                    self.paths.append(os.path.normpath(path))

    def close(self):
        """Removes the groups, which must be empty by now."""
        for top in self.paths:
            for path, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(path)


class Machine:
    """The booted container."""

    def __init__(self, lab, base, install):
        """`install` is called with the root directory, as seen from here, before the boot."""
        self.lab = lab
        lab.server.run("sh", "-ec", f"""
            mkdir -p {ROOT}
            mount -t tmpfs machine {ROOT}/..
            cd {ROOT}/..
            mkdir root upper work
            mount -t overlay -o lowerdir={base},upperdir=upper,workdir=work overlay root
        """)
        self.root = lab.server.path(ROOT)
        install(self.root)
        if COUNTS:
            self.write("/etc/systemd/system/service.d/counts.conf",
                       f"[Service]\nReadWritePaths=-{COUNTS}\n")
        self._boot()

    def _boot(self):
        lab = self.lab
        self._groups = ControlGroups(f"knocktail-lab-{lab.server.pid}")
        self._log = lab.file("machine.log")
        with open(lab.server.path(self._log), "wb") as log:
            # Not through lab.server.popen(): the network is joined by the container alone.
            self._nspawn = subprocess.Popen(
                ["sh", "-c", IN_GROUPS, "sh", *self._groups.paths, "--",
                 "nsenter", f"--target={lab.server.pid}", "--mount", "--pid", "--",
                 "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot",
                 "--machine=knocktail-lab", f"--directory={ROOT}", "--console=read-only",
                 "--link-journal=no", "--network-namespace-path=/proc/1/ns/net",
                 "--capability=CAP_SYSLOG,CAP_NET_ADMIN", "--bind=/dev/kmsg",
                 *([f"--bind={COUNTS}"] if COUNTS else [])],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT)
        self.leader, self._inside = 0, None
        try:
            self.leader = wait_until(self._find_leader, 20, "systemd starts")
            self._inside = Inside(self.leader, "uts", "ipc", "net", "pid", "cgroup", "mnt")
            wait_until(self._is_up, 60, "systemd has booted", 0.2)
        except AssertionError as error:
            self.close()
            raise Unavailable(f"{error}: {lab.read(self._log)[-500:]}") from None

    def _find_leader(self):
        """The container's process 1, seen from here: nsenter's grandchild that runs systemd."""
        if self._nspawn.poll() is not None:
            raise Unavailable(f"systemd-nspawn: {self.lab.read(self._log)[-500:]}")
        pid = self._nspawn.pid
        # Before that one there is another, which may end while it is looked at.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):
            for _ in range(2):
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                    pid = file.read().split()[-1]
            with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                return int(pid) if file.read().strip() == "systemd" else None
        return None

    def _is_up(self):
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    def reboot(self):
        """As after a power cut: all that is not in a file is gone, the firewall too."""
        self._end()
        self.lab.server.run("nft", "flush", "ruleset")
        self.lab.server.run("ipset", "destroy")
        self._boot()

    def console(self):
        """What the machine has said since it was booted."""
        return self.lab.read(self._log)

    def popen(self, *argv, **kwargs):
        """Starts a command inside."""
        return self._inside.popen(argv, **kwargs)

    def run(self, *argv, check=True, timeout=30):
        """Runs a command inside and returns the CompletedProcess."""
        done = self._inside.run(argv, timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(done.args)} exited {done.returncode}:\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def write(self, path, text, mode=0o644):
        """Writes a file inside."""
        path = self.root + path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def configure(self, doors):
        """Writes the configuration at the place where the installed daemon looks for it."""
        path = next(path for path in CONFIGS if os.path.exists(self.root + path))
        self.write(path, f'[options]\nlog_prefix = "{self.lab.prefix}"\n{doors}')
        self.run("systemd-tmpfiles", "--create", "knocktail.conf")
        return path

    @contextlib.contextmanager
    def unanswered(self, directory):
        """Whoever looks into the directory hangs, also after it can be looked into again, which is
        what calling the yielded function does."""
        if not os.path.exists("/dev/fuse"):
            raise Unavailable("there is no /dev/fuse")
        with subprocess.Popen(
                ["/usr/bin/python3", "-c", UNANSWERED, str(self.leader), directory],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            if process.stdout.readline() != "ready\n":
                raise LabError(f"nothing can be mounted over {directory}")
            detach = functools.partial(self.run, "umount", "--lazy", directory)
            try:
                yield detach
            finally:
                with contextlib.suppress(AssertionError):
                    detach()

    def properties(self, unit):
        """What systemd knows of a unit."""
        shown = self.run("systemctl", "show", unit).stdout
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def journal(self, unit):
        """The messages of a unit."""
        return self.run("journalctl", "--quiet", "--no-pager", "-o", "cat", "-u", unit).stdout

    def close(self):
        """Ends the container."""
        if COUNTS and self._inside:     # who is killed has not counted
            self.run("systemctl", "stop", "knocktail*.service", check=False)
        self._end()

    def _end(self):
        """With its process 1, all of it goes, and nspawn too."""
        if self.leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.leader, signal.SIGKILL)
        try:
            self._nspawn.wait(10)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait(10)
        if self._inside:
            self._inside.close()
        self._groups.close()


def booted(lab, *packages):
    """A machine, with knocktail installed but not started."""
    build = os.path.dirname(program("knocktaild"))
    if not os.path.exists(os.path.join(build, "Makefile")):
        raise Unavailable(f"{build} is no build directory")
    paths = (os.path.join(build, name) for name in ("knocktail", "knocktaild", "knocktail-fleetd"))
    libraries = set().union(*(_libraries(path) for path in paths if os.access(path, os.X_OK)))
    made = Machine(lab, tree([*PACKAGES, *packages, *libraries]), _install_from(build))
    made.run("systemd-sysusers")
    return made


def _install_from(build):
    """What puts `make install` of a build directory into a machine's root."""
    def install(root):
        done = subprocess.run(["make", "-s", "-C", build, "install", f"DESTDIR={root}"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120, check=False)
        if done.returncode != 0:
            raise LabError(f"make install: {done.stderr.strip()[-500:]}")
    return install
