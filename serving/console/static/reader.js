// A stream as it should be heard: whole sentences, not single words, so that a screen reader is not cut short at each.

const END = /[.!?…。！？]["'”’»)\]]*\s/g;
const FEWEST = 40;

export class Reader {
	constructor(say) {
		this.say = say;
		this.rest = "";
	}

	/** More words; says what has become whole since, a stretch of at least a few words at a time. */
	read(words) {
		this.rest += words;
		let end = 0;
		for (const match of this.rest.matchAll(END)) end = match.index + match[0].length;
		if (end < FEWEST) return;
		this.say(spoken(this.rest.slice(0, end)));
		this.rest = this.rest.slice(end);
	}

	/** Nothing more comes. */
	end() {
		if (this.rest.trim()) this.say(spoken(this.rest));
		this.rest = "";
	}
}

/** Without the signs of Markdown. */
function spoken(text) {
	return text
		.replace(/[*_`#>]+/g, "")
		.replace(/\[(\d+)\]/g, " (source $1)")
		.trim();
}
