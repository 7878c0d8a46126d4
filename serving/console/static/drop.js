// Where people drop files and whole folders, or choose them.

import { button, el, fill, notice } from "./dom.js";
import { hint, row } from "./parts.js";

/** Files of a drop, folders looked through; each keeps its place in `webkitRelativePath`. */
async function dropped(transfer) {
	// The list of items is empty after the first await.
	const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
	if (!entries.length) return [...transfer.files];
	return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry) {
	if (entry.isFile) {
		const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
		const path = entry.fullPath.replace(/^\//, "");
		if (path.includes("/")) Object.defineProperty(file, "webkitRelativePath", { value: path });
		return [file];
	}
	const reader = entry.createReader();
	const found = [];
	for (;;) {
		const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
		if (!some.length) break;
		found.push(...some);
	}
	return (await Promise.all(found.map(filesOf))).flat();
}

/** Where people drop something or choose it: `onfiles(files)`. With `folder` there is a second button for folders. */
export function dropZone({ title, note, accept = "", folder = false, multiple = true, slim = false, onfiles }) {
	const input = (label, attributes) => {
		const control = el("input", {
			type: "file",
			hidden: true,
			...attributes,
			onchange: () => {
				fill(problem);
				if (control.files.length) onfiles([...control.files]);
				control.value = "";
			},
		});
		return [control, button(label, () => control.click())];
	};
	const problem = el("div.problem");
	const zone = el(
		"div",
		{ class: `drop${slim ? " slim" : ""}`, role: "group", "aria-label": title },
		el("p.drop-title", { text: title }),
		note && hint(note),
		row(
			folder && input("Choose a folder", { webkitdirectory: true, multiple: true }),
			input(folder ? "Choose files" : "Choose a file", { accept, multiple }),
		),
		problem,
	);
	const over = (yes) => (event) => {
		if (event.type === "dragleave" && zone.contains(event.relatedTarget)) return;
		event.preventDefault();
		zone.classList.toggle("over", yes);
	};
	zone.addEventListener("dragenter", over(true));
	zone.addEventListener("dragover", over(true));
	zone.addEventListener("dragleave", over(false));
	zone.addEventListener("drop", async (event) => {
		over(false)(event);
		fill(problem);
		let files;
		try {
			files = await dropped(event.dataTransfer);
		} catch {
			fill(problem, notice("error", "Some of this can't be read, so none of it was taken. Choose the files instead."));
			return;
		}
		if (files.length) onfiles(files);
	});
	return zone;
}
