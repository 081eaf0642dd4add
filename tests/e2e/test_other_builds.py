"""What configure can leave out or put elsewhere, for those who package it."""

import functools
import glob
import os
import re
import shutil
import subprocess
import tarfile

import pytest

from lab import program


def make(directory, *arguments, **environment):
    """Runs make, and returns what it said."""
    done = subprocess.run(["make", "-s", *arguments], cwd=directory, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=600, check=False,
                          env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@functools.cache
def source():
    """The configured source tree, which may be built from once more."""
    makefile = os.path.join(os.path.dirname(program("knocktail")), "Makefile")
    if not os.path.exists(makefile):
        pytest.skip("the programs are not in a build directory")
    with open(makefile, encoding="utf-8") as file:
        return re.search(r"^abs_srcdir = (.*)$", file.read(), re.MULTILINE).group(1)


def configure(directory, *options, **environment):
    """Runs configure in a directory of its own."""
    return subprocess.run([f"{source()}/configure", *options], cwd=directory,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300,
                          check=False, env={**os.environ, **environment})


def configured(directory, *options, **environment):
    """As configure(), which goes well."""
    done = configure(directory, *options, **environment)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]
    return done.stdout


def installed(directory):
    """What is put where by `make install`."""
    root = f"{directory}/root"
    make(directory, "install", f"DESTDIR={root}")
    return {os.path.join(at, name).removeprefix(root)
            for at, _, names in os.walk(root) for name in names}


def only(tmp_path, *modules):
    """A folder for pkg-config in which nothing else is installed."""
    folder = tmp_path / "pkgconfig"
    folder.mkdir()
    for module in modules:
        where = subprocess.run(["pkg-config", "--variable=pcfiledir", module], capture_output=True,
                               text=True, timeout=20, check=True).stdout.strip()
        shutil.copy(f"{where}/{module}.pc", folder)
    return str(folder)


def portable():
    """The files of the command in README.md, which make knocktap of POSIX alone (test-tap-alone.sh)."""
    with open(os.path.join(source(), "README.md"), encoding="utf-8") as file:
        command = re.search("^cc .* -o knocktap (.*)", file.read(), re.MULTILINE).group(1)
    return {os.path.relpath(path, source()) for pattern in command.split() if pattern.endswith(".c")
            for path in glob.glob(os.path.join(source(), pattern))}


@pytest.mark.parametrize("compiler", ["cc", "clang"])
def test_the_client_alone(compiler, tmp_path, needs):
    """With nothing there but libsodium, and of nothing that other systems than Linux lack."""
    needs(compiler)
    configured(tmp_path, "--prefix=/usr", "--disable-daemon", "--enable-werror", f"CC={compiler}",
               PKG_CONFIG_LIBDIR=only(tmp_path, "libsodium"))
    make(tmp_path, "-j2")
    compiled = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.o")}
    assert {str(path).replace("knocktap-", "").replace(".o", ".c") for path in compiled} == portable()
    assert installed(tmp_path) == {
        "/usr/bin/knocktap", "/usr/share/man/man1/knocktap.1",
        "/usr/share/man/man7/knocktail-protocol.7",
        "/usr/share/bash-completion/completions/knocktap",
        "/usr/share/fish/vendor_completions.d/knocktap.fish",
        "/usr/share/zsh/site-functions/_knocktap",
        "/usr/share/doc/knocktail/README.md", "/usr/share/doc/knocktail/LICENSE"}
    assert "knocktap" in subprocess.run([f"{tmp_path}/knocktap", "--version"], capture_output=True,
                                        text=True, timeout=20, check=True).stdout


def test_without_what_can_be_left_out(tmp_path):
    """A door that needs it is a mistake, and nothing else is."""
    modules = only(tmp_path, "libsystemd", "libpcre2-8", "libsodium", "json-c")
    refused = configure(tmp_path, PKG_CONFIG_LIBDIR=modules)
    assert refused.returncode != 0 and "--without-ipset" in refused.stderr
    configured(tmp_path, "--without-ipset", "--without-nftables", "--without-qrencode",
               "--without-fleet",
               "--enable-werror", PKG_CONFIG_LIBDIR=modules)
    make(tmp_path, "-j2", "knocktail", "knocktaild")
    tool = f"{tmp_path}/knocktail"
    listed = subprocess.run(["ldd", tool, f"{tmp_path}/knocktaild"], capture_output=True, text=True,
                            timeout=20, check=True).stdout
    assert not re.search("ipset|nftables|qrencode|mosquitto", listed)
    config = tmp_path / "knocktail.conf"
    config.touch(0o600)
    door = "[options]\nlog_prefix = k\n[door ssh]\nsequence = 7000, 9000, 8000\nbackend = "
    for backend, fault in (("iptables\nports = 22/tcp\n", None),
                           ("ipset\nset = a\n", "libipset"),
                           ("nft\nset = ip a b\n", "libnftables")):
        config.write_text(door + backend, "utf-8")
        done = subprocess.run([tool, "check", "-c", config], capture_output=True, text=True,
                              timeout=20, check=False)
        assert done.returncode == (2 if fault else 0), done
        assert not fault or (f":5: error: door ssh: this knocktail was built without {fault}\n"
                             in done.stdout + done.stderr), done
    done = subprocess.run([tool, "keygen", "--qr", "--keys", tmp_path, "--realm", "a", "alice"],
                          capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2 and "libqrencode" in done.stderr
    assert not (tmp_path / "alice.key").exists()


def test_it_goes_where_it_is_told(tmp_path):
    """The pages name the places that it was configured for, and programs are run from where they are."""
    configured(tmp_path, "--prefix=/opt/k", "--sysconfdir=/opt/etc", "--localstatedir=/opt/var",
               "--with-zshcompletiondir=/opt/zsh", "--with-dbuspolicydir=/opt/dbus",
               "--with-systemdsystemunitdir=/opt/units", "IPTABLES_SAVE=/opt/bin/iptables-save")
    make(tmp_path, "-j2")
    files = installed(tmp_path)
    assert {"/opt/k/sbin/knocktaild", "/opt/zsh/_knocktail", "/opt/dbus/org.knocktail.conf",
            "/opt/units/knocktaild.service", "/opt/etc/knocktail/knocktail.conf",
            "/opt/k/lib/sysusers.d/knocktail.conf", "/opt/k/lib/tmpfiles.d/knocktail.conf",
            "/opt/k/lib/systemd/catalog/knocktail.catalog",
            "/opt/k/share/fish/vendor_completions.d/knocktail.fish",
            "/opt/k/share/bash-completion/completions/knocktail"} <= files
    pages = ""
    for path in (path for path in files if "/man/" in path):
        with open(f"{tmp_path}/root{path}", encoding="utf-8") as file:
            pages += file.read()
    assert {"/opt/etc/knocktail/keys", "/opt/var/lib/knocktail/burnt", "/opt/dbus",
            "/opt/k/share/doc/knocktail"} <= set(re.findall(
                r"/opt/(?:etc/knocktail/keys|var/lib/knocktail/burnt|dbus|k/share/doc/knocktail)", pages))
    assert not re.search(r"(?<!/opt)/etc/knocktail|(?<!/opt)/var/lib/knocktail|/usr/share/d", pages)
    assert len(re.findall(r"^\.Os knocktail [0-9.]+$", pages, re.MULTILINE)) == 10
    with open(f"{tmp_path}/knocktail", "rb") as file:
        code = file.read()
    assert b"/opt/bin/iptables-save\0" in code and b"/usr/sbin/iptables-save\0" not in code
    make(tmp_path, "uninstall", f"DESTDIR={tmp_path}/root")
    assert not [name for _, _, names in os.walk(tmp_path / "root") for name in names]


def test_fortify_as_the_builder_has_it(tmp_path):
    """There is no second one, which every file would be warned of."""
    flags = []
    for cppflags in ("", "-D_FORTIFY_SOURCE=3"):
        configured(tmp_path, "--disable-daemon", f"CPPFLAGS={cppflags}")
        with open(f"{tmp_path}/Makefile", encoding="utf-8") as file:
            flags.append(re.search("^KT_CPPFLAGS = (.*)$", file.read(), re.MULTILINE).group(1))
    assert flags == ["-D_FORTIFY_SOURCE=2", ""]


def test_a_tarball_is_made_twice_and_is_the_same(tmp_path):
    """Whoever makes it, and whenever."""
    makes = []
    for umask, name in ((0o022, "one"), (0o077, "two")):
        directory = tmp_path / name
        directory.mkdir()
        configured(directory, "--disable-daemon")
        old = os.umask(umask)
        try:
            make(directory, "dist", SOURCE_DATE_EPOCH="1700000000")
        finally:
            os.umask(old)
        made = [path for path in directory.iterdir() if ".tar." in path.name]
        assert len(made) == 1
        makes.append(made[0].read_bytes())
    assert makes[0] == makes[1]
    if not shutil.which("git"):
        return
    # All of the tree is in it, though only the client was configured. Packages have debian/ of their own.
    with tarfile.open(made[0]) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    listed = subprocess.run(["git", "-c", "safe.directory=*", "ls-files"], cwd=source(), capture_output=True,
                            text=True, timeout=20, check=False).stdout.splitlines()
    assert {name for name in listed if not re.match(r"debian/|\.ci/|\.git", name)} <= names
