"""ChaCha20-Poly1305 as RFC 8439 has it, in plain Python: slow, short, and nobody else's code."""

import hmac
import struct

MASK = 0xffffffff


def _quarter_round(state, a, b, c, d):
    for first, second, third, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[first] = (state[first] + state[second]) & MASK
        mixed = state[third] ^ state[first]
        state[third] = (mixed << bits | mixed >> (32 - bits)) & MASK


def chacha20_block(key, counter, nonce):
    """One block of 64 bytes (2.3)."""
    initial = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574,
               *struct.unpack("<8L", key), counter, *struct.unpack("<3L", nonce)]
    state = list(initial)
    for _ in range(10):
        for column in range(4):
            _quarter_round(state, column, column + 4, column + 8, column + 12)
        for column in range(4):
            _quarter_round(state, column, (column + 1) % 4 + 4, (column + 2) % 4 + 8,
                           (column + 3) % 4 + 12)
    return struct.pack("<16L", *((a + b) & MASK for a, b in zip(state, initial)))


def chacha20(key, counter, nonce, data):
    """Encrypts, or decrypts (2.4)."""
    result = bytearray()
    for i in range(0, len(data), 64):
        block = chacha20_block(key, counter + i // 64, nonce)
        result += bytes(a ^ b for a, b in zip(data[i:i + 64], block))
    return bytes(result)


def poly1305(key, message):
    """The one-time authenticator (2.5)."""
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    s = int.from_bytes(key[16:], "little")
    total = 0
    for i in range(0, len(message), 16):
        block = int.from_bytes(message[i:i + 16] + b"\1", "little")
        total = (total + block) * r % (2**130 - 5)
    return ((total + s) % 2**128).to_bytes(16, "little")


def _tag(key, nonce, data, associated):
    def padded(part):
        return part + bytes(-len(part) % 16)
    message = (padded(associated) + padded(data)
               + struct.pack("<QQ", len(associated), len(data)))
    return poly1305(chacha20_block(key, 0, nonce)[:32], message)


def seal(key, nonce, plain, associated):
    """The ciphertext and its 16 bytes of tag (2.8)."""
    data = chacha20(key, 1, nonce, plain)
    return data + _tag(key, nonce, data, associated)


def unseal(key, nonce, box, associated):
    """The plain text, or None for a box that nobody with the key has made."""
    data, tag = box[:-16], box[-16:]
    if not hmac.compare_digest(tag, _tag(key, nonce, data, associated)):
        return None
    return chacha20(key, 1, nonce, data)
