
/* The page. MUST: nothing is sent but the knock, and that only when a button is pressed. The key is
 * forgotten when the page is no longer shown. What the server answers changes nothing. */

/* How long each copy of the knock is waited for, in ms. Within one, the system sends a SYN again after
 * a second, and most browsers send a second one by themselves. */
const COPIES = [700, 1300, 1600, 2200];
/* What is turned down sooner than this (ms) was not dropped by a firewall. */
const AT_ONCE = 300;
const PORTS_OF_SSH = [22];
const PORTS_OF_HTTPS = [443, 8443];

const $ = (id) => document.getElementById(id);
const record = JSON.parse($("record").textContent);
const keyLine = document.querySelector("meta[name=knocktail-key]").content;
const isSealed = keyLine.startsWith("knocktail2-sealed ");

let base = null;	/* of the key, while it is open */
let running = 0;	/* the number of the knock that the state is about */
let clockOffset = 0;	/* what to add to this device's clock, in s */
let sentSteps = {};	/* the last one for each host and door */
let keyNotice = null;	/* what is wrong with a key that is not sealed */

const now = () => Date.now() / 1000 + clockOffset;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function make(name, attributes = {}, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(attributes))
		element.setAttribute(key, value);
	element.append(...children);
	return element;
}

function notice(kind, text) {
	const shown = make("p", {class: `notice ${kind}`}, text);
	$("notices").append(shown);
	return shown;
}

/* Counts the seconds from now on: of the time that the page has run, which stands still while the
 * device sleeps, and of its clock, which may be set, the longer one. */
function startWatch() {
	const ran = performance.now(), clock = Date.now();
	return () => Math.max(performance.now() - ran, Date.now() - clock) / 1000;
}

/* Where it goes */

const isIPv6 = (host) => host.includes(":");
const isIPv4 = (host) => /^[0-9.]+$/.test(host);
const urlHost = (host) => isIPv6(host) ? `[${host}]` : host;
const families = (host) => isIPv6(host) ? [6] : isIPv4(host) ? [4] : [4, 6];

/* How to go on: links and lines to copy for the ports of a door; without ports, by its name. */
function waysOf(host, door) {
	const guessed = /ssh/.test(door.name) ? [22] : /web|http/.test(door.name) ? [443] : [];
	return (door.ports.length > 0 ? door.ports : guessed).slice(0, 6).map((port) => {
		const isSsh = PORTS_OF_SSH.includes(port) || /ssh/.test(door.name);
		if (isSsh) {
			const at = port === 22 ? "" : `:${port}`;
			return {link: `ssh://${urlHost(host)}${at}`,
				copy: `ssh ${port === 22 ? "" : `-p ${port} `}${host}`};
		}
		if (port === 80)
			return {link: `http://${urlHost(host)}/`};
		if (PORTS_OF_HTTPS.includes(port) || /web|http/.test(door.name))
			return {link: `https://${urlHost(host)}${port === 443 ? "" : `:${port}`}/`};
		return {copy: `${urlHost(host)}:${port}`};
	});
}

/* Where the browser does not let a page copy, what is shown is marked for its user to do so. */
async function copyText(text, shown, button) {
	try {
		await navigator.clipboard.writeText(text);
		button.textContent = say("copied");
		speak(say("copied"));
	} catch {
		window.getSelection().selectAllChildren(shown);
	}
}

function showWays(host, door) {
	$("ways").replaceChildren(...waysOf(host, door).map(({link, copy}) => {
		const what = copy ?? link;
		const shown = link ? make("a", {href: link, target: "_blank", rel: "noreferrer"}, link)
			: make("code", {}, what);
		const button = make("button", {type: "button", class: "quiet", "aria-label": say("copyLabel", {what})},
			say("copy"));
		button.addEventListener("click", () => copyText(what, shown, button));
		return make("li", {}, shown, button);
	}));
}

/* What is said */

function speak(text) {
	$("spoken").textContent = text;
}

function show(kind, headline, detail) {
	const state = $("state");
	state.hidden = false;
	state.className = kind;
	$("headline").textContent = headline;
	$("detail").textContent = detail;
	$("progress").hidden = kind !== "busy";
	$("progress").removeAttribute("value");
	$("ways").hidden = $("ways").childElementCount === 0;
}

function announce(kind, headline, detail) {
	show(kind, headline, detail);
	$("state").scrollIntoView({block: "nearest"});
	speak(`${headline}. ${detail}`);
}

/* The knock */

/* One SYN, or some: whatever comes of it. Whether it was turned down, sooner than we gave up. */
async function hit(host, port, ms) {
	const stop = new AbortController();
	const timer = setTimeout(() => stop.abort(), ms);
	try {
		await fetch(`https://${urlHost(host)}:${port}/`, {mode: "no-cors", method: "HEAD",
			cache: "no-store", credentials: "omit", signal: stop.signal});
		return false;
	} catch {
		return !stop.signal.aborted;
	} finally {
		clearTimeout(timer);
	}
}

async function portsOf(key, host, door, step) {
	const all = await Promise.all(families(host).map((family) => tokenPorts(key, door.name, family, step)));
	return [...new Set(all.flat())];
}

/* The ports for now, or for the first step that has none that browsers refuse, once it has come. All
 * are known before it is waited for: no key is needed meanwhile. null: another knock has begun, or the
 * device has slept until that step was over. */
async function choosePorts(key, host, door, mine) {
	const first = Math.floor(now() / STEP_SECONDS);
	const steps = await Promise.all([0, 1, 2].map(async (more) =>
		({step: first + more, ports: await portsOf(key, host, door, first + more)})));
	const chosen = steps.find(({ports}) => !ports.some((port) => BLOCKED_PORTS.includes(port))) ?? steps[0];
	let left = 0;
	for (let tell = announce; (left = chosen.step * STEP_SECONDS - now()) > 0; tell = show) {
		if (running !== mine)
			return null;
		tell("wait", say("waiting", {seconds: Math.ceil(left)}), say("waitingDetail"));
		await sleep(Math.min(1000, left * 1000 + 50));
	}
	if (running !== mine)
		return null;
	if (now() >= (chosen.step + 1) * STEP_SECONDS) {
		announce("over", say("missed"), say("missedDetail"));
		return null;
	}
	return chosen;
}

/* Counts down for as long as the door stays open. */
async function countDown(door, gone, mine) {
	for (let left; (left = door.seconds - gone()) > 0;) {
		if (running !== mine)
			return;
		show("good", say("sent", {seconds: Math.ceil(left)}), say("sentDetail"));
		$("progress").hidden = false;
		$("progress").value = left / door.seconds;
		await sleep(Math.min(1000, left * 1000));
	}
	if (running === mine)
		announce("over", say("over"), say("overDetail"));
}

/* Sends all copies, and says once whether all of it is turned down at once. The rest is sent all the
 * same: a firewall that rejects what it does not let in has seen the knock. A browser turns down what is
 * under way while the network changes, and that may change several times: only the last copy tells. */
async function sendCopies(host, ports, onSent) {
	let isSaid = false;
	for (const [i, ms] of COPIES.entries()) {
		const hits = ports.map((port) => hit(host, port, ms));
		const isTurnedDown = !isSaid &&
			((await Promise.race([Promise.all(hits), sleep(AT_ONCE)]))?.every(Boolean) ?? false);
		if (!isSaid && (!isTurnedDown || i === COPIES.length - 1)) {
			isSaid = true;
			onSent(isTurnedDown);
		}
		await Promise.all([...hits, sleep(ms)]);
	}
}

function showSent(host, door, mine, step, gone, turnedDown) {
	const id = `${host} ${door.name}`;
	const isAgain = sentSteps[id] === step;
	const left = Math.max(1, Math.ceil((step + 1) * STEP_SECONDS - now()));
	sentSteps[id] = step;
	showWays(host, door);
	if (turnedDown) {
		announce("wait", say("turnedDown"), say("turnedDownDetail", {host}));
	} else if (isAgain) {
		announce("good", say("sentPlain"), say("again", {seconds: left}));
	} else if (door.seconds === 0) {
		announce("good", say("sentPlain"), say("sentDetail"));
	} else {
		announce("good", say("sent", {seconds: door.seconds}), say("sentDetail"));
		countDown(door, gone, mine);
	}
}

async function knock(host, door) {
	const mine = ++running;
	$("ways").replaceChildren();
	if (!navigator.onLine)
		return announce("bad", say("offline"), say("offlineDetail"));
	announce("busy", say("knocking"), say("knockingDetail"));
	const chosen = await choosePorts(base, host, door, mine);
	if (!chosen)
		return;
	announce("busy", say("knocking"), say("knockingDetail"));
	const gone = startWatch();
	await sendCopies(host, chosen.ports, (turnedDown) => {
		if (running === mine)
			showSent(host, door, mine, chosen.step, gone, turnedDown);
	});
}

/* The doors */

function doorButton(host, door) {
	const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
	icon.setAttribute("viewBox", "0 0 24 24");
	icon.setAttribute("aria-hidden", "true");
	const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
	path.setAttribute("d", "M3 21h18M6 21V4.5A1.5 1.5 0 0 1 7.5 3h9A1.5 1.5 0 0 1 18 4.5V21M14.5 12v1");
	icon.append(path);
	const hint = door.seconds > 0 ? say("doorHint", {span: saySpan(door.seconds)})
		: say("doorHintPlain", {host});
	const button = make("button", {type: "button", class: "door", "data-host": host, "data-door": door.name},
		icon, make("span", {}, make("strong", {}, say("door", {door: door.name})), make("small", {}, hint)));
	button.addEventListener("click", () => {
		button.after($("state"));
		knock(host, door);
	});
	return button;
}

function buildDoors() {
	$("doors").replaceChildren(...record.hosts.map((host) => {
		const section = make("section", {"aria-label": host});
		if (record.hosts.length > 1)
			section.append(make("h2", {}, host));
		section.append(...record.doors.map((door) => doorButton(host, door)));
		return section;
	}));
}

/* The key */

function forget() {
	base = null;
	$("doors").after($("state"));	/* what was sent stays to be seen */
	$("doors").hidden = true;
	$("forget").hidden = true;
	$("passphrase").value = "";
	$("lock").hidden = !isSealed;
}

function termFault(key) {
	const date = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
	if (key.expires !== null && now() >= key.expires)
		return say("expired", {date: date(key.expires)});
	if (key.since !== null && now() < key.since)
		return say("notYet", {date: date(key.since)});
	return null;
}

/* What is wrong, or null: the doors are shown. */
async function open(passphrase) {
	let key;
	try {
		key = await unseal(keyLine, passphrase);
		if (!key)
			return say("wrongPassphrase");
	} catch {
		return say("damaged");
	}
	const fault = termFault(key);
	if (!fault)
		base = await keyBase(key.bytes, key.realm);
	key.bytes.fill(0);
	if (fault)
		return fault;
	$("lock").hidden = true;
	$("doors").hidden = false;
	$("forget").hidden = !isSealed;
	$("passphrase").value = "";
	conceal(true);
	return null;
}

async function onUnlock(event) {
	event.preventDefault();
	const button = $("unlock");
	button.disabled = true;
	button.textContent = say("unlocking");
	$("lock-problem").textContent = "";
	const problem = await open($("passphrase").value);
	button.disabled = false;
	button.textContent = say("unlock");
	$("lock-problem").textContent = problem ?? "";
	$("passphrase").setAttribute("aria-invalid", String(problem !== null));
	if (problem !== null) {
		$("passphrase").select();
	} else if (document.hidden) {
		forget();
	} else {
		speak(say("unlocked"));
		document.querySelector(".door").focus();
	}
}

function conceal(isConcealed) {
	$("passphrase").type = isConcealed ? "password" : "text";
	$("reveal").textContent = say(isConcealed ? "reveal" : "conceal");
	$("reveal").setAttribute("aria-pressed", String(!isConcealed));
}

/* A knock that is under way goes on: its ports are known. */
async function onShownOrHidden() {
	if (document.hidden)
		forget();
	else if (!isSealed && base === null)
		await openUnsealed();
}

async function openUnsealed() {
	const problem = await open("");
	keyNotice?.remove();
	keyNotice = problem && notice("bad", problem);
}

/* The clock */

/* The time at the server that sent this page, if it said so: Server-Timing: now;desc=UNIXTIME. What
 * comes out of a cache, asked about or not, says when it was put there: then the headers alone, or
 * nothing, went over the network. */
function askClock() {
	const entry = performance.getEntriesByType("navigation")[0];
	const said = entry?.serverTiming?.find((one) => one.name === "now");
	const theirs = Number(said?.description);
	if (!said || !(theirs > record.made) || !(entry.transferSize > entry.encodedBodySize))
		return;
	const ours = Date.now() / 1000 - (performance.now() - entry.responseStart) / 1000;
	if (Math.abs(theirs - ours) < 3)
		return;
	clockOffset = theirs - ours;
	notice("wait", say("clockOff", {span: saySpan(Math.abs(clockOffset)),
		direction: say(clockOffset > 0 ? "behind" : "ahead")}));
}

function checkClock() {
	askClock();
	const late = record.made - now();
	if (late > STEP_SECONDS)
		notice("bad", say("clockBehind", {span: saySpan(late)}));
}

function showClock() {
	$("clock").textContent = say("clock", {time: new Date(now() * 1000).toISOString().slice(11, 19)});
}

/* All of it */

function fault() {
	if (window.top !== window.self)
		return say("framed");
	if (!window.isSecureContext || !window.crypto?.subtle)
		return say("insecure");
	return null;
}

async function begin() {
	document.documentElement.lang = language;
	document.title = say("title");
	for (const element of document.querySelectorAll("[data-text]"))
		element.textContent = say(element.dataset.text);
	$("unknowns").append(...STRINGS[language].unknowns.map((text) => make("li", {}, text)));
	$("hosts").textContent = record.hosts.join(", ");
	const problem = fault();
	if (problem)
		return notice("bad", problem);
	checkClock();
	showClock();
	setInterval(showClock, 1000);
	buildDoors();
	forget();
	$("lock").addEventListener("submit", onUnlock);
	$("reveal").addEventListener("click", () => conceal($("passphrase").type === "text"));
	$("forget").addEventListener("click", () => {
		forget();
		$("state").hidden = true;
		running++;
		speak(say("locked"));
		$("passphrase").focus();
	});
	document.addEventListener("visibilitychange", onShownOrHidden);
	window.addEventListener("pagehide", forget);
	if (isSealed)
		return $("passphrase").focus();
	notice("wait", say("open"));
	await openUnsealed();
}

begin();
