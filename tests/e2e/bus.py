"""A system bus of a laboratory's own, under the policy that is installed with knocktail."""

import os
import signal

from hosts import listens, wait_until
from lab import ADMIN_GROUP, DAEMON_UID, ROOT

SOCKET = "/run/dbus/system_bus_socket"

# Name to (user id, group id). ADMIN is in the group knocktail-admin.
ADMIN, STRANGER = "alice", "bob"
USERS = {"root": (0, 0), "knocktail": (DAEMON_UID, DAEMON_UID), ADMIN: (64101, 64101),
         STRANGER: (64102, 64102), "knocktail-fleet": (64103, 64103)}

# What /usr/share/dbus-1/system.conf says of who may do what, and ours after it.
CONFIG = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <auth>EXTERNAL</auth>
  <listen>unix:path=%s</listen>
  <!-- Little enough to be used up in a test. -->
  <limit name="max_incoming_bytes">1000000</limit>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus"
           send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus"
           send_interface="org.freedesktop.DBus.Properties"/>
  </policy>
  <include>/run/lab/org.knocktail.conf</include>
  <include>/run/lab/org.knocktail-fleet.conf</include>
  <include ignore_missing="yes">/run/lab/org.knocktail-listing.conf</include>
</busconfig>
""" % SOCKET


class Bus:
    """The bus, and the users that it knows."""

    def __init__(self, lab):
        self._lab = lab
        self._process = None
        self._make_users()
        for name in ("org.knocktail.conf", "org.knocktail-fleet.conf"):
            with open(os.path.join(ROOT, "dbus", name), encoding="utf-8") as file:
                lab.file(name, file.read())
        self._config = lab.file("bus.conf", CONFIG)
        os.makedirs(lab.server.path(os.path.dirname(SOCKET)), exist_ok=True)

    def _make_users(self):
        """Puts users in the place of those that the lab's server has from this machine."""
        passwd = "".join(f"{name}:x:{uid}:{gid}::/:/bin/sh\n"
                         for name, (uid, gid) in USERS.items())
        groups = "".join(f"{name}:x:{gid}:\n" for name, (_, gid) in USERS.items())
        groups += f"knocktail-admin:x:{ADMIN_GROUP}:{ADMIN}\n"
        for name, text in (("passwd", passwd), ("group", groups)):
            self._lab.server.run("mount", "--bind", self._lab.file(name, text), f"/etc/{name}")

    def start(self):
        """Starts the bus and waits until it listens."""
        path = self._lab.server.path(SOCKET)
        errors = self._lab.file("bus.stderr")
        with open(self._lab.server.path(errors), "wb") as file:
            self._process = self._lab.server.spawn(
                ["dbus-daemon", f"--config-file={self._config}", "--nofork", "--nopidfile",
                 "--nosyslog"], stdout=file, stderr=file)
        wait_until(lambda: listens(path), 5, f"the bus listens: {self._lab.read(errors)}")

    def stop(self):
        """Ends the bus and whatever it leaves behind."""
        os.kill(self._process.pid, signal.SIGTERM)
        self._process.wait(5)
        if os.path.exists(self._lab.server.path(SOCKET)):
            os.unlink(self._lab.server.path(SOCKET))

    def signal(self, number):
        """Sends the bus a signal."""
        os.kill(self._process.pid, number)
        if number == signal.SIGCONT:
            self._process.send_signal(number)

    @staticmethod
    def _as(user):
        uid, gid = USERS[user]
        return "setpriv", f"--reuid={uid}", f"--regid={gid}", "--init-groups"

    def run_as(self, user, *argv):
        """Runs a command as one of the users; never raises for its exit status."""
        return self._lab.server.run(*self._as(user), *argv, check=False, env={"LANG": "C.UTF-8"})

    def popen_as(self, user, *argv, **kwargs):
        """Starts a command as one of the users."""
        return self._lab.server.popen([*self._as(user), *argv], env={"LANG": "C.UTF-8"}, **kwargs)

    def call(self, user, member, *arguments, interface="org.knocktail.Manager1"):
        """Calls a method with the arguments as gdbus(1) reads them."""
        return self.run_as(user, "gdbus", "call", "--system", "--dest", "org.knocktail",
                           "--object-path", "/org/knocktail", "--method", f"{interface}.{member}",
                           "--", *arguments)

    def has_daemon(self):
        """Whether somebody is org.knocktail."""
        told = self.run_as("root", "gdbus", "call", "--system", "--dest", "org.freedesktop.DBus",
                           "--object-path", "/org/freedesktop/DBus", "--method",
                           "org.freedesktop.DBus.NameHasOwner", "org.knocktail")
        return "true" in told.stdout

    def wait_daemon(self, timeout=10):
        """Waits until the daemon has joined the bus."""
        wait_until(self.has_daemon, timeout, "the daemon is on the bus")
