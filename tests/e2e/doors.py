"""Sections of configurations for the tests."""

# Opened by an honest client after an attack: once that has happened, the daemon has read everything
# that was logged before.
SENTINEL_KNOCK = (60001, "60002/udp", 60003)


def door(name="ssh", **keys):
    """One [door] section."""
    lines = [f"{key} = {value}" for key, value in keys.items() if value is not None]
    return "\n".join([f"[door {name}]", *lines, ""])


def ipset_door(name="ssh", sequence="7000, 8000, 9000", **keys):
    """A door to port 22, in the kernel's keeping."""
    values = {"sequence": sequence, "seq_timeout": "5s", "timeout": "2s", "backend": "ipset",
              "set": "knock4", "set_6": "knock6", "entry": "%IP%"}
    return door(name, **{**values, **keys})


def nft_door(name="ssh", sequence="7000, 8000, 9000", **keys):
    """A door to the nft firewall's port, in the kernel's keeping."""
    values = {"sequence": sequence, "seq_timeout": "5s", "timeout": "2s", "backend": "nft",
              "set": "inet lab open4", "set_6": "inet lab open6", "entry": "%IP%"}
    return door(name, **{**values, **keys})


def iptables_door(name="ssh", sequence="7000, 8000, 9000", **keys):
    """A door that is a rule in a chain of knocktail's own."""
    values = {"sequence": sequence, "seq_timeout": "5s", "timeout": "2s", "backend": "iptables",
              "ports": "2223/tcp, 2224/udp"}
    return door(name, **{**values, **keys})


def command_door(name="web", sequence="7100, 8100, 9100", **keys):
    """A door that commands open and close."""
    values = {"sequence": sequence, "seq_timeout": "5s", "timeout": "2s", "backend": "command"}
    return door(name, **{**values, **keys})


SENTINEL = ipset_door("sentinel", ", ".join(map(str, SENTINEL_KNOCK)))
