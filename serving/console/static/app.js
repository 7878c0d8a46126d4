// The shell around the pages: which page an address means, who is signed in, the theme, the sign-in form.
// It knows no page: each registers itself (`page`), and main.js starts it all.

import { ApiError, session as askSession, signIn, signOut } from "./api.js";
import { announce, button, dialog, el, field, fill, notice, redraw, uid } from "./dom.js";

const pages = [];
let known = { signedIn: false, adminKeySet: true, apiKeyNeeded: false };
let leaving = new AbortController();
let shown = null;

/** A page of the console.
 *
 * `pattern`: "#/personas/:id"; what stands in its place comes as `params.id`. `title`: the h1, or `(params) → h1`.
 * `render(root, params, signal)` fills `root`; it may be async, what it throws is shown with "Try again", and
 * `signal` aborts when the person goes elsewhere. `onSession()`, if given, is called when somebody signs in or
 * out; else the page is rendered anew. `wide`: takes the whole width. `nav`: the address of the link in the header that
 * it belongs to, where that is not the beginning of its own. */
export function page(pattern, { title, render, onSession = null, wide = false, nav = null }) {
	const names = [];
	const source = pattern.replace(/:(\w+)/g, (_all, name) => {
		names.push(name);
		return "([^/]+)";
	});
	pages.push({ match: new RegExp(`^${source}$`), names, title, render, onSession, wide, nav });
}

/** Go to another page: `go("#/personas")`. */
export function go(hash) {
	if (location.hash === hash) refresh();
	else location.hash = hash;
}

/** Render the page again as it is. */
export const refresh = () => navigate({ keepFocus: true });

/** Change the h1 (and the window's title) once the page knows more. */
export function heading(text) {
	document.querySelector("main h1").textContent = text;
	document.title = `${text} · personae`;
}

/** `{signedIn, adminKeySet, apiKeyNeeded}`, as last heard. */
export const session = () => known;

/** A control that changes something: usable when signed in; else shown disabled, with the sentence why.
 * `what` completes "Sign in with the admin key to …". Returns the control with its sentence. */
export function keyed(control, what) {
	if (known.signedIn) return control;
	const why = el("p.why", {
		id: uid("why"),
		text: known.adminKeySet ? `Sign in with the admin key to ${what}.` : noAdminKey(what),
	});
	for (const each of control.matches("button, input, select, textarea")
		? [control]
		: control.querySelectorAll("button, input, select, textarea")) {
		each.disabled = true;
		each.setAttribute("aria-describedby", why.id);
	}
	return el("div.keyed", control, why);
}

/** The sentence why nobody can do `what`, where no key would let them. */
export const noAdminKey = (what) =>
	`This gateway has no admin key, so nobody can ${what} here. Set PERSONAE_ADMIN_KEY and start it again.`;

/** Read who we are, put up the frame, and show the page of the address. */
export async function start() {
	themeSwitch();
	document.getElementById("skip").addEventListener("click", (event) => {
		event.preventDefault(); // its address would be a page's
		document.getElementById("main").focus();
	});
	window.addEventListener("hashchange", () => navigate());
	document.querySelector("header").addEventListener("click", (event) => {
		// The same address again is no change to a browser; to a person it is the page anew.
		const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
		if (!elsewhere && event.target.closest("a")?.hash === location.hash) navigate();
	});
	// api.js's word that a key was missing: a session that was thought of as open has ended.
	window.addEventListener("unauthorized", () => known.signedIn && hear());
	await hear();
	navigate({ first: true });
}

async function hear() {
	try {
		known = await askSession();
		signInButton();
	} catch (error) {
		redraw(
			document.getElementById("account"),
			el("span.why", { text: error.message }),
			button("Try again", sessionChanged, { kind: "quiet" }),
		);
	}
}

async function sessionChanged() {
	await hear();
	announce(known.signedIn ? "Signed in." : "Signed out.");
	if (shown?.onSession) shown.onSession();
	else refresh();
}

async function navigate({ first = false, keepFocus = false } = {}) {
	leaving.abort();
	leaving = new AbortController();
	const { signal } = leaving;
	const hash = location.hash || "#/";
	const { found, params } = route(hash);
	shown = found;
	const title = typeof found.title === "function" ? found.title(params) : found.title;
	const h1 = el("h1", { tabindex: "-1", text: title });
	const root = el("div.page");
	const main = document.querySelector("main");
	const lost = main.contains(document.activeElement); // what has the focus goes away with the old page
	main.className = found.wide ? "wide" : "";
	fill(main, h1, root);
	heading(title);
	for (const link of document.querySelectorAll("nav a")) {
		const at = found.nav ?? hash;
		const here = at === link.hash || (link.hash !== "#/" && at.startsWith(`${link.hash}/`));
		if (here) link.setAttribute("aria-current", "page");
		else link.removeAttribute("aria-current");
	}
	if (!first && !keepFocus) window.scrollTo(0, 0);
	if (!first && (lost || !keepFocus)) h1.focus({ preventScroll: true });
	try {
		await found.render(root, params, signal);
	} catch (error) {
		if (signal.aborted) return;
		fill(
			root,
			notice(
				"error",
				error instanceof ApiError
					? error.message
					: `This page failed (${error.message}). Reload it; if it fails again, tell whoever runs this gateway.`,
				button("Try again", refresh),
			),
		);
		if (!(error instanceof ApiError)) console.error(error);
	}
}

function route(hash) {
	for (const found of pages) {
		const groups = found.match.exec(hash);
		if (groups)
			return {
				found,
				params: Object.fromEntries(found.names.map((name, place) => [name, decoded(groups[place + 1])])),
			};
	}
	return {
		params: {},
		found: {
			title: "There is no such page",
			render: (root) =>
				fill(root, el("p", "The address may be old. ", el("a", { href: "#/", text: "Go to the playground" }), ".")),
		},
	};
}

/** A part of an address; one that was mangled on its way here as it stands. */
function decoded(part) {
	try {
		return decodeURIComponent(part);
	} catch {
		return part;
	}
}

function signInButton() {
	redraw(
		document.getElementById("account"),
		known.signedIn
			? button(
					"Sign out",
					async () => {
						await signOut().catch(() => {});
						sessionChanged();
					},
					{ kind: "quiet" },
				)
			: button("Sign in", askKey, { kind: "quiet" }),
	);
}

/** The form that asks for the admin key. */
export async function askKey() {
	if (!known.adminKeySet) {
		await dialog({
			title: "No admin key",
			cancel: "Close",
			body: el("p", { text: noAdminKey("change anything") }),
		});
		return;
	}
	const key = el("input", { type: "password", autocomplete: "current-password", required: true, autofocus: true });
	const done = await dialog({
		title: "Sign in",
		body: field("Admin key", key, {
			hint: "It is in admin.key in the gateway's home folder (var/admin.key), or what PERSONAE_ADMIN_KEY was set to. A session lasts 12 hours.",
		}),
		actions: [{ label: "Sign in", run: () => signIn(key.value.trim()) }],
	});
	if (done) sessionChanged();
}

const THEMES = ["auto", "light", "dark"];
const THEME_NAMES = { auto: "as the system", light: "light", dark: "dark" };

function themeSwitch() {
	const control = document.getElementById("theme");
	const wear = (theme) => {
		if (theme === "auto") delete document.documentElement.dataset.theme;
		else document.documentElement.dataset.theme = theme;
		control.dataset.theme = theme;
		control.setAttribute("aria-label", `Theme: ${THEME_NAMES[theme]}`);
		control.title = `Theme: ${THEME_NAMES[theme]}`;
	};
	let theme = remembered("theme", "auto");
	if (!THEMES.includes(theme)) theme = "auto";
	wear(theme);
	control.addEventListener("click", () => {
		theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
		remember("theme", theme);
		wear(theme);
		announce(`Theme: ${THEME_NAMES[theme]}.`);
	});
}

/** A small thing this browser remembers; browsers that forbid it get `otherwise`. */
export function remembered(name, otherwise = "") {
	try {
		return localStorage.getItem(`personae.${name}`) ?? otherwise;
	} catch {
		return otherwise;
	}
}

export function remember(name, value) {
	try {
		localStorage.setItem(`personae.${name}`, value);
	} catch {
		// Private windows of some browsers: then it is remembered until the page is left.
	}
}
