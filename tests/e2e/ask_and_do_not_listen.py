"""Asks the daemon a lot over the bus and takes no answer.

Usage: ask_and_do_not_listen.py CONNECTIONS CALLS; ends when the bus has taken all of the calls.
"""

import fcntl
import os
import socket
import struct
import sys
import termios
import time

SOCKET = "/run/dbus/system_bus_socket"


def padded(data, size):
    """Fills up to a multiple of a size."""
    return data + b"\0" * (-len(data) % size)


def call(serial, destination, path, interface, member):
    """A method call without arguments, as it is on the wire."""
    fields = b""
    for code, kind, text in ((1, b"o", path), (2, b"s", interface), (3, b"s", member),
                             (6, b"s", destination)):
        fields = padded(fields, 8) + struct.pack("<BB2sI", code, 1, kind, len(text))
        fields += text.encode() + b"\0"
    return padded(struct.pack("<cBBBIII", b"l", 1, 0, 1, 0, serial, len(fields)) + fields, 8)


def connect():
    """A connection that the bus has said hello to."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(SOCKET)
    connection.send(b"\0AUTH EXTERNAL %s\r\n" % str(os.getuid()).encode().hex().encode())
    connection.recv(1000)
    connection.send(b"BEGIN\r\n" + call(1, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                        "org.freedesktop.DBus", "Hello"))
    connection.recv(1000)
    return connection


def main():
    """Connects, asks, and waits until nothing is left to be sent."""
    connections = [connect() for _ in range(int(sys.argv[1]))]
    for connection in connections:
        for serial in range(int(sys.argv[2])):
            connection.send(call(2 + serial, "org.knocktail", "/org/knocktail",
                                 "org.freedesktop.DBus.Introspectable", "Introspect"))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(
            struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0]
            for connection in connections):
        time.sleep(0.01)


main()
