// The gateway, as the console asks it: JSON, uploads and event streams, with its own sentences as errors.

/** What went wrong, in the gateway's words. `code` is one of docs/faq.md's, or "unreachable". */
export class ApiError extends Error {
	constructor({ code = "internal_error", message, retry_after_seconds: wait = null }, status = 0) {
		super(message || "The gateway reported an error without a sentence. Its log says more.");
		this.name = "ApiError";
		this.code = code;
		this.status = status;
		this.retryAfterSeconds = wait;
	}
}

const UNREACHABLE = {
	code: "unreachable",
	message: "The gateway can't be reached. Is it running? Try again in a moment.",
};

/** The JSON of a path. */
export const get = (path, options) => call("GET", path, undefined, options);

/** Change something; the JSON of the reply, or null where there is none. */
export const post = (path, body = {}, options) => call("POST", path, body, options);

export const remove = (path, options) => call("DELETE", path, undefined, options);

async function call(method, path, body, { signal } = {}) {
	const response = await send(method, path, body, signal);
	return parsed(await response.text().catch(unreachable));
}

function parsed(text) {
	try {
		return text ? JSON.parse(text) : null;
	} catch {
		throw new ApiError({
			message: "The gateway sent something that is no JSON. Is there another server at this address?",
		});
	}
}

async function send(method, path, body, signal) {
	const headers = method === "GET" ? {} : { "X-Personae-Console": "1" };
	if (body !== undefined) headers["Content-Type"] = "application/json";
	const response = await fetch(path, {
		method,
		headers,
		signal,
		body: body === undefined ? undefined : JSON.stringify(body),
		credentials: "same-origin",
	}).catch(unreachable);
	if (!response.ok)
		throw refusal(response.status, await response.text().catch(() => ""), response.headers.get("Retry-After"));
	return response;
}

/** A connection that failed, before the reply or in the middle of it; who stopped it themselves is told so. */
function unreachable(error) {
	throw error.name === "AbortError" ? error : new ApiError(UNREACHABLE);
}

function refusal(status, text, retryAfter) {
	if (status === 401) window.dispatchEvent(new Event("unauthorized")); // the shell looks who we are now
	let error = {};
	try {
		error = JSON.parse(text).error ?? {};
	} catch {
		// Something between us and the gateway spoke: a proxy's page says nothing to people.
		error = { message: `The gateway answered ${status} without a reason. Is there a proxy before it?` };
	}
	if (retryAfter && error.retry_after_seconds == null) error.retry_after_seconds = Number(retryAfter) || null;
	return new ApiError(error, status);
}

/** Send files (`File` objects) as multipart, one field `files` for each; `onProgress(part of 1)`. A file's place in
 * its folder (`webkitRelativePath`) goes along as its name. */
export function upload(path, files, onProgress = () => {}, { method = "PUT", signal } = {}) {
	const form = new FormData();
	for (const file of files) form.append("files", file, file.webkitRelativePath || file.name);
	return new Promise((resolve, reject) => {
		const request = new XMLHttpRequest();
		request.open(method, path);
		request.setRequestHeader("X-Personae-Console", "1");
		request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
		request.onerror = () => reject(new ApiError(UNREACHABLE));
		request.onabort = () => reject(new DOMException("The upload was stopped.", "AbortError"));
		request.onload = () => {
			if (request.status < 200 || request.status > 299) {
				reject(refusal(request.status, request.responseText, request.getResponseHeader("Retry-After")));
				return;
			}
			try {
				resolve(parsed(request.responseText));
			} catch (error) {
				reject(error);
			}
		};
		signal?.addEventListener("abort", () => request.abort());
		request.send(form);
	});
}

/** Ask for a stream of server-sent events by POST and give each to `onEvent(name, data)` as it comes.
 * Resolves at the end of the stream; an `error` event is thrown as ApiError, as is a stream that broke off. */
export async function stream(path, body, { onEvent, signal } = {}) {
	const response = await send("POST", path, body, signal);
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	let ended = false;
	try {
		for (;;) {
			const { value, done } = await reader.read();
			if (done) break;
			const messages = (rest + value).split("\n\n");
			rest = messages.pop();
			for (const message of messages) {
				const event = parseMessage(message);
				if (!event) continue;
				if (event.name === "error") throw new ApiError(event.data);
				ended ||= event.name === "done";
				onEvent(event.name, event.data);
			}
		}
	} catch (error) {
		if (error instanceof ApiError || error.name === "AbortError") throw error;
		throw new ApiError({
			code: "unreachable",
			message: "The connection broke in the middle of the answer. Ask again.",
		});
	} finally {
		reader.cancel().catch(() => {});
	}
	if (!ended) throw new ApiError({ code: "unreachable", message: "The answer broke off before its end. Ask again." });
}

function parseMessage(text) {
	let name = "message";
	const data = [];
	for (const line of text.split("\n")) {
		if (line.startsWith("event:")) name = line.slice(6).trim();
		else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
	}
	return data.length ? { name, data: JSON.parse(data.join("\n")) } : null;
}

/** Who we are to this gateway: `{signedIn, adminKeySet, apiKeyNeeded}`. */
export async function session() {
	const told = await get("/console/session");
	return { signedIn: told.signed_in, adminKeySet: told.admin_key_set, apiKeyNeeded: told.api_key_needed };
}

/** With the admin key. The gateway keeps nothing of it here but a cookie that scripts can't read. */
export const signIn = (key) => post("/console/session", { key });

export const signOut = () => remove("/console/session");

/** Do `work` every so many seconds, first after as many, while somebody looks, until the signal aborts. A failed round
 * is given to `onError` and the next one comes all the same. */
export async function every(period, work, signal, onError) {
	for (;;) {
		await pause(period, signal);
		if (signal.aborted) return;
		if (document.hidden) continue;
		try {
			await work();
		} catch (error) {
			if (signal.aborted) return;
			onError(error);
		}
	}
}

/** So many seconds, or until the signal aborts. */
export function pause(period, signal) {
	return new Promise((resolve) => {
		const end = () => {
			clearTimeout(timer);
			signal?.removeEventListener("abort", end); // a signal outlives thousands of pauses
			resolve();
		};
		const timer = setTimeout(end, period * 1000);
		signal?.addEventListener("abort", end);
	});
}
