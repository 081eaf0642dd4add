"""Memory that runs out for one process: tests/faults/no-memory.c, preloaded."""

import os
import shutil
import struct
import subprocess

import pytest

from lab import ROOT

SOURCE = os.path.join(ROOT, "tests/faults/no-memory.c")


def build(directory):
    """Makes the library there; returns its path."""
    if not shutil.which("cc"):
        pytest.skip("cc is not installed")
    path = os.path.join(directory, "no-memory.so")
    subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", path, SOURCE], check=True)
    return path


class Shortage:
    """Of the process with this environment, one allocation fails."""

    def __init__(self, library, path, seen_as=None):
        """The process may see the file elsewhere than we do."""
        self._path = path
        self.environment = (f"LD_PRELOAD={library}", f"NO_MEMORY={seen_as or path}")
        with open(path, "wb") as file:
            file.write(bytes(8))

    def fail(self, number):
        """The one of this number will, counted from 1 and from now on; with 0, none."""
        with open(self._path, "r+b") as file:
            for numbers in ((0, 0), (number, 0)):
                os.pwrite(file.fileno(), struct.pack("II", *numbers), 0)

    @property
    def asked(self):
        """How many there were since then."""
        with open(self._path, "rb") as file:
            return struct.unpack("II", file.read())[1]
