"""Peers on the daemon's own socket that do what no program of ours does: D-Bus byte by byte."""

import contextlib
import os
import select
import socket
import struct
import threading

SOCKET = "/run/knocktail/control"

# Kinds of messages.
RETURN, ERROR = 2, 3


def padded(data, size):
    """Fills up to a multiple of a size."""
    return data + b"\0" * (-len(data) % size)


def string(text):
    """A string in a message's body that begins at a multiple of 4."""
    return padded(struct.pack("<I", len(text)) + text.encode() + b"\0", 4)


def call(member, signature="", body=b"", size=None, interface="org.knocktail.Manager1"):
    """A call of one of the daemon's methods; of another size if it says so."""
    fields = b""
    for code, kind, text in ((1, b"o", "/org/knocktail"), (2, b"s", interface),
                             (3, b"s", member)):
        fields = padded(fields, 8) + struct.pack("<BB2sI", code, 1, kind, len(text))
        fields += text.encode() + b"\0"
    if signature:
        fields = padded(fields, 8) + struct.pack("<BB2sB", 8, 1, b"g", len(signature))
        fields += signature.encode() + b"\0"
    size = len(body) if size is None else size
    head = struct.pack("<cBBBIII", b"l", 1, 0, 1, size, 1, len(fields)) + fields
    return padded(head, 8) + body


def split(data):
    """The first message of these bytes, or b"" while it is not whole, and what is behind it."""
    if len(data) >= 16:
        body, head = struct.unpack_from("<I4xI", data, 4)
        size = 16 + head + -head % 8 + body
        if len(data) >= size:
            return data[:size], data[size:]
    return b"", data


class Peer:
    """A connection, of root."""

    def __init__(self, lab, hello=True, behind=b""):
        self._said = b""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(lab.server.path(SOCKET))
        if hello:
            self._socket.sendall(b"\0AUTH EXTERNAL 30\r\n")
            said = self._socket.recv(1000)
            assert said.startswith(b"OK "), said
            self._socket.sendall(b"BEGIN\r\n" + behind)

    def send(self, data):
        """Sends all of it, and waits as long as there is no room."""
        self._socket.sendall(data)

    def answer(self):
        """The next one to a call, whole; signals before it are let pass. b"": the daemon has ended the
        connection."""
        while True:
            message, self._said = split(self._said)
            if message and message[1] in (RETURN, ERROR):
                return message
            if not message:
                try:
                    more = self._socket.recv(65536)
                except ConnectionResetError:
                    more = b""
                if not more:
                    return b""
                self._said += more

    def ended(self):
        """Whether the daemon has ended the connection; what it has sent is left unread."""
        poll = select.poll()
        poll.register(self._socket, 0)
        return bool(poll.poll(0))

    def close(self):
        """Hangs up."""
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Impostor:
    """What listens at the daemon's socket and answers each call of its one client as it was told."""

    def __init__(self, lab, kind, fields, body=b""):
        """The kind of message, and the fields of its head: (code, type, value)."""
        self._path = lab.server.path(SOCKET)
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        self._answer = kind, fields, body
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _message(self, serial):
        kind, fields, body = self._answer
        head = b""
        for code, letter, value in ((5, b"u", serial), *fields):
            data = (struct.pack("<I", value) if letter == b"u" else
                    struct.pack("<B", len(value)) + value.encode() + b"\0" if letter == b"g" else
                    struct.pack("<I", len(value)) + value.encode() + b"\0")
            head = padded(head, 8) + struct.pack("<BB2s", code, 1, letter)
            head = (head if letter == b"g" else padded(head, 4)) + data
        return padded(struct.pack("<cBBBIII", b"l", kind, 0, 1, len(body), serial, len(head)) + head,
                      8) + body

    def _serve(self):
        with contextlib.suppress(OSError), self._listener.accept()[0] as peer:
            peer.settimeout(10)
            said = b""
            while b"BEGIN\r\n" not in said:
                said += peer.recv(4096)
            peer.sendall(b"DATA\r\nOK " + b"0123456789abcdef" * 2 + b"\r\n"
                         + (b"ERROR\r\n" if b"NEGOTIATE" in said else b""))
            said = said.partition(b"BEGIN\r\n")[2]
            while True:
                message, said = split(said)
                if message:
                    peer.sendall(self._message(*struct.unpack_from("<I", message, 8)))
                elif more := peer.recv(4096):
                    said += more
                else:
                    return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)   # if nobody has come
        self._listener.close()
        self._thread.join()
        os.unlink(self._path)
