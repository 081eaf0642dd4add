"""What tools/release asks before it makes a release."""

import os
import re
import shutil
import subprocess

import pytest

from lab import ROOT

FILES = ("configure.ac", "NEWS.md", "debian/changelog", "tools/release", "tools/lib.sh")


def run(directory, *argv):
    """Runs a command in the clone."""
    return subprocess.run(argv, cwd=directory, capture_output=True, text=True, timeout=30,
                          check=False, stdin=subprocess.DEVNULL)


def git(directory, *argv):
    """Runs git there, as somebody."""
    done = run(directory, "git", "-c", "user.name=a", "-c", "user.email=a@localhost", *argv)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def clone(tmp_path):
    """A repository of what a release is asked for."""
    if not shutil.which("git") or not os.path.exists(f"{ROOT}/debian"):
        pytest.skip("no git, or no repository")
    for name in FILES:
        os.makedirs(tmp_path / os.path.dirname(name), exist_ok=True)
        shutil.copy(f"{ROOT}/{name}", tmp_path / name)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "all")
    return tmp_path


def check(clone):
    """What is not as it should be."""
    done = run(clone, "./tools/release", "--check")
    assert (done.returncode == 0) == (done.stderr == ""), done
    return done.stderr


def change(clone, name, pattern, text):
    """Changes a file, and commits that."""
    path = clone / name
    changed, n = re.subn(pattern, text, path.read_text("utf-8"), count=1, flags=re.MULTILINE)
    assert n == 1
    path.write_text(changed, "utf-8")
    git(clone, "commit", "-qam", "change")


def test_all_agree(clone):
    assert check(clone) == ""


@pytest.mark.parametrize("name, pattern, text, said", [
    ("NEWS.md", r"^## [0-9.]+$", "## 9.9.9", "NEWS.md begins with 9.9.9"),
    ("debian/changelog", r"\([0-9.]+-", "(9.9.9-", "debian/changelog begins with 9.9.9"),
    ("debian/changelog", r"unstable;", "UNRELEASED;", "is not released"),
    ("configure.ac", r"\[knocktail\], \[[0-9.]+\]", "[knocktail], [9.9.9]", "with 9.9.9 of configure"),
    ("configure.ac", r"\[knocktail\], \[[0-9.]+\]", "[knocktail], [9.9]", "no version like"),
])
def test_one_that_differs(clone, name, pattern, text, said):
    change(clone, name, pattern, text)
    assert said in check(clone)


def test_what_is_not_committed(clone):
    (clone / "more").touch()
    assert "not everything is committed" in check(clone)


def test_a_version_is_released_once(clone):
    with open(clone / "configure.ac", encoding="utf-8") as file:
        version = re.search(r"\[knocktail\], \[([0-9.]+)\]", file.read()).group(1)
    git(clone, "tag", f"v{version}")
    assert check(clone) == ""
    change(clone, "tools/lib.sh", r"\Z", "\n")
    assert "is another commit" in check(clone)
