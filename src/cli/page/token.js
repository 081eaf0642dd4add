
/* The knock, as knocktail-protocol(7) has it. Everything is computed by the browser's own WebCrypto. */

const STEP_SECONDS = 30;
const N_PORTS = 8;
const FIRST_PORT = 1024;
const ROUNDS_MAX = 10000000;
const SALT_SIZE = 16;
const NONCE_SIZE = 12;
const TAG_SIZE = 16;

/* Those above 1023 that browsers refuse to connect to (the Fetch Standard, "port blocking"). */
const BLOCKED_PORTS = [1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
	6668, 6669, 6679, 6697, 10080];

const utf8 = new TextEncoder();

function join(...parts) {
	const bytes = parts.map((part) => typeof part === "string" ? utf8.encode(part) : Uint8Array.from(part));
	const all = new Uint8Array(bytes.reduce((size, part) => size + part.length, 0));
	let at = 0;
	for (const part of bytes) {
		all.set(part, at);
		at += part.length;
	}
	return all;
}

function be64(number) {
	const bytes = new DataView(new ArrayBuffer(8));
	bytes.setUint32(0, Math.floor(number / 2 ** 32));
	bytes.setUint32(4, number % 2 ** 32);
	return new Uint8Array(bytes.buffer);
}

function fromBase64(text) {
	return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function hmacKey(bytes) {
	return crypto.subtle.importKey("raw", bytes, {name: "HMAC", hash: "SHA-256"}, false, ["sign"]);
}

async function hmac(key, ...parts) {
	return new Uint8Array(await crypto.subtle.sign("HMAC", key, join(...parts)));
}

/* What knocks are made of: a key that the browser does not show to anybody, this page included. */
async function keyBase(bytes, realm) {
	const base = await hmac(await hmacKey(bytes), "knocktail/2\0", realm);
	const key = await hmacKey(base);
	base.fill(0);
	return key;
}

/* The eight ports of a token for this family (4 or 6), bound to no address. */
async function tokenPorts(base, door, family, step) {
	const tail = [`\0${door}\0`, [family], be64(step)];
	const select = await hmac(base, "token\0select", ...tail);
	const rest = await hmac(base, "token\0rest", ...tail, new Uint8Array(16));
	const port = (mac, i) => FIRST_PORT + new DataView(mac.buffer).getUint32(4 * i) % (65536 - FIRST_PORT);
	const ports = [port(select, 0)];
	while (ports.length < N_PORTS) {
		let next = port(rest, ports.length - 1);
		while (ports.includes(next))
			next = next === 65535 ? FIRST_PORT : next + 1;
		ports.push(next);
	}
	return ports;
}

/* The text of a key file: its first line with a key, and when that is good. An error: it is none. */
function readKeyText(text) {
	const [first, ...lines] = text.split("\n");
	const found = /^knocktail2 ([a-z0-9._-]{1,64}) ([A-Za-z0-9+/]{43}=)$/.exec(first);
	if (!found)
		throw new Error("not a key file");
	const date = (word) => {
		const line = lines.find((one) => one.startsWith(`${word} `));
		const seconds = line ? Date.parse(line.slice(word.length + 1)) / 1000 : null;
		if (Number.isNaN(seconds))
			throw new Error("not a date");
		return seconds;
	};
	return {realm: found[1], bytes: fromBase64(found[2]), since: date("since"), expires: date("expires")};
}

/* A passphrase as each keyboard may have spelt it: letters with their accents, or apart from them. */
function spellings(passphrase) {
	return [...new Set([passphrase, passphrase.normalize("NFC"), passphrase.normalize("NFD")])];
}

async function sealingKey(passphrase, salt, rounds) {
	const secret = await crypto.subtle.importKey("raw", utf8.encode(passphrase), "PBKDF2", false,
		["deriveKey"]);
	return crypto.subtle.deriveKey({name: "PBKDF2", hash: "SHA-256", salt, iterations: rounds}, secret,
		{name: "AES-GCM", length: 256}, false, ["decrypt"]);
}

/* What the line of core/sealed/line.h holds. null: the passphrase is wrong; an error: the line is. */
async function unseal(line, passphrase) {
	const [form, ...words] = line.split(" ");
	if (form === "knocktail2-open")
		return readKeyText(new TextDecoder().decode(fromBase64(words[0])));
	const rounds = /^[0-9]{1,8}$/.test(words[0]) ? Number(words[0]) : 0;
	if (form !== "knocktail2-sealed" || words.length !== 4 || rounds < 1 || rounds > ROUNDS_MAX)
		throw new Error("not a sealed key");
	const [salt, iv, box] = words.slice(1).map(fromBase64);
	if (salt.length !== SALT_SIZE || iv.length !== NONCE_SIZE || box.length < TAG_SIZE)
		throw new Error("not a sealed key");
	for (const spelling of spellings(passphrase)) {
		try {
			const key = await sealingKey(spelling, salt, rounds);
			const text = await crypto.subtle.decrypt({name: "AES-GCM", iv}, key, box);
			return readKeyText(new TextDecoder().decode(text));
		} catch (error) {
			if (error.name !== "OperationError")
				throw error;
		}
	}
	return null;
}
