"""A release becomes RPM packages, here without what other distributions' names of libraries need.

tools/deb makes the tarball, and `tools/deb --check` runs this.
"""

import glob
import os
import shutil
import subprocess

import pytest

from hosts import ENVIRONMENT
from lab import ROOT

# Files of each package, in which a glob's are not all named.
WANTED = {
    "knocktail": {"/etc/knocktail/knocktail.conf", "/usr/bin/knocktail", "/usr/sbin/knocktaild",
                  "/usr/lib/systemd/system/knocktaild.service", "/usr/lib/sysusers.d/knocktail.conf",
                  "/usr/share/doc/knocktail/README.md"},
    "knocktap": {"/usr/bin/knocktap", "/usr/share/zsh/site-functions/_knocktap"},
}


def run(*argv, timeout=60, **kwargs):
    """Runs a command, which succeeds, and returns what it says."""
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=timeout,
                          check=False, stdin=subprocess.DEVNULL, **kwargs)
    assert done.returncode == 0, f"{argv}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The packages by their names, from the tarball that tools/deb has made."""
    tarballs = glob.glob(os.path.join(ROOT, "build", "package", "knocktail-*.tar.xz"))
    if not tarballs:
        pytest.skip("tools/deb has made no tarball")
    for tool in ("rpmbuild", "rpm2archive"):
        if not shutil.which(tool, path=ENVIRONMENT["PATH"]):
            pytest.skip(f"{tool} is not installed")
    place = tmp_path_factory.mktemp("rpm")
    run("rpmbuild", "-ta", "--nodeps", "--define", f"_topdir {place}",
        max(tarballs, key=os.path.getmtime), timeout=1800, env={**os.environ, **ENVIRONMENT})
    made = {}
    for path in (place / "RPMS").rglob("*.rpm"):
        made[run("rpm", "-qp", "--queryformat", "%{NAME}", path)] = path
    return made


def test_two_packages_with_all_in_them(packages):
    """rpmbuild itself complains of what is installed and in none."""
    assert {name for name in packages if "-debug" not in name} == set(WANTED)
    for name, wanted in WANTED.items():
        files = set(run("rpm", "-qpl", packages[name]).splitlines())
        assert wanted <= files, wanted - files
    modes = run("rpm", "-qp", "--queryformat", "[%{FILENAMES} %{FILEMODES:perms}\n]",
                packages["knocktail"]).splitlines()
    assert "/etc/knocktail/knocktail.conf -rw-r-----" in modes
    assert "/etc/knocktail/knocktail.conf" in run("rpm", "-qpc", packages["knocktail"])


def test_what_is_in_them_runs(packages, tmp_path):
    for name, path in packages.items():
        if name in WANTED:
            run("sh", "-ec", 'rpm2archive - <"$1" | tar -xz', "sh", path, cwd=tmp_path)
    for command in ("usr/sbin/knocktaild", "usr/bin/knocktail", "usr/bin/knocktap"):
        run(tmp_path / command, "--version")
