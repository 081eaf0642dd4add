
"use strict";

/* All that this page says. Another language is another table, with the names that it is written for. */
const STRINGS = {
	en: {
		title: "Knock",
		passphrase: "Passphrase",
		reveal: "Show",
		conceal: "Hide",
		unlock: "Unlock",
		unlocking: "Unlocking…",
		lockHint: "The key stays open only for as long as this page is shown.",
		wrongPassphrase: "That is not the passphrase. Nothing was sent.",
		damaged: "The key in this page is damaged. Make the page again (knocktail page).",
		locked: "Locked.",
		unlocked: "Unlocked. Choose a door.",
		forget: "Lock",
		door: "Open {door}",
		doorHint: "opens for {span}",
		doorHintPlain: "knocks at {host}",

		knocking: "Knocking…",
		knockingDetail: "Eight packets, sent again and again, for some may be lost.",
		waiting: "Waiting {seconds} s",
		waitingDetail: "A port of this half minute's knock is one that browsers refuse to use. The next half minute's is sent by itself.",
		missed: "Too late",
		missedDetail: "The half minute of this knock went by while this device was asleep. Nothing was sent: press the button again.",
		sent: "Sent: open for about {seconds} s",
		sentPlain: "Sent",
		sentDetail: "Connect now. What is connected stays connected.",
		again: "The same knock was sent again: if it has opened the door already, the door does not stay open any longer. A new one can be sent in {seconds} s.",
		over: "The door is shut again",
		overDetail: "What is connected stays connected. Knock again to let in something new.",
		turnedDown: "Turned down at once",
		turnedDownDetail: "Nothing got through if this device is not online, if {host} is not the right name, or if the browser keeps this page from the local network. But a firewall that rejects instead of dropping looks just so, and then the knock counts: try it.",
		offline: "No network",
		offlineDetail: "This device says that it is offline. Nothing was sent.",
		copy: "Copy",
		copyLabel: "Copy {what}",
		copied: "Copied",

		clock: "Clock: {time} UTC",
		clockBehind: "This device's clock is at least {span} behind: this page was made later than that. Set it, for a knock depends on the time.",
		clockOff: "This device's clock is {span} {direction}, as the server that sent this page says. The knock goes by the server's time.",
		behind: "behind",
		ahead: "ahead",
		expired: "The key of this page expired on {date}. Ask for a new page.",
		notYet: "The key of this page is good from {date} on.",
		insecure: "This browser has no cryptography for a page that was opened in this way. Open it over https, or save the file and open it with Chrome or Firefox from this device's storage. Plain http cannot work, and would let others change the page.",
		framed: "This page is shown inside of another one, which could make you press what you do not see. Open it by itself.",
		open: "The key in this page is not sealed: whoever gets hold of the file can knock.",

		about: "What this page cannot know",
		unknowns: [
			"Whether the door is open: the server answers nobody. Only a connection shows it.",
			"How far this device's clock is off, unless the page's own server says so. Half a minute is what a server allows for.",
			"Whether it knocks over IPv4 or IPv6: it sends the knocks for both, and the browser chooses.",
			"Which address the server sees. So the knock is bound to none, and whoever stops it on its way could use it instead.",
			"Whether something in between, such as a proxy, a VPN or a blocker of trackers, lets the knock through.",
		],
		second: "{n} s",
		minute: "{n} min",
		hour: "{n} h",
		day: "{n} d",
	},
};

/* The first of the languages that the browser's user wants and that there is. */
const language = navigator.languages.map((tag) => tag.split("-")[0].toLowerCase())
	.find((tag) => Object.keys(STRINGS).includes(tag)) ?? "en";

function say(name, values = {}) {
	return STRINGS[language][name].replace(/\{(\w+)\}/g, (_, key) => String(values[key]));
}

function saySpan(seconds) {
	const units = [[86400, "day"], [3600, "hour"], [60, "minute"]];
	const [size, name] = units.find(([unit]) => seconds >= 2 * unit || seconds === unit) ?? [1, "second"];
	return say(name, {n: Math.round(seconds / size)});
}
