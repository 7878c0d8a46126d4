# What people meet, in English. The German file next door holds the same names.
# Markdown is allowed; platforms make it theirs. Append your own below your platform's heading.

## core

thinking = …
nothing-said = The model gave no answer. Please ask again in other words.
cut-short = (The answer reached its length limit.)
asking-again = The answer broke off because a server went away. The question is being asked again …
begun-anew = The answer broke off once, because a server went away, and was begun anew.
in-line = In line: { ORDINAL($position) }, about { $seconds } s.
retry-in = (Try again in about { $seconds } s.)
stopped = (Stopped.)
stopped-before-words = Stopped before anything was said.
restarting = The bot is being stopped, so this ends here. Please ask again in a minute.
was-restarted = The bot was restarted while this was being answered, so it has no end. Press “again” or ask once more.
was-restarted-plain = The bot was restarted while this was being answered, so it has no end. Please ask once more.
unexpected = Something went wrong on our side, and it was logged. Please try again.
disclosure = — { $line }
imitation-name = { $name } (imitation)
asked = { $who } asked { $persona }: { $question }
shared-rewrite = { $who } shares a text in the manner of { $persona }:
sources = Sources
version-line = { $persona }, { $version } on { $model }
version-line-prompt-only = { $persona }, by prompt only, on { $model }
kind-quote = { $count ->
    [one] { $count } passage word for word from the writing
   *[other] { $count } passages word for word from the writing
}
kind-paraphrase = { $count ->
    [one] { $count } passage that a source supports
   *[other] { $count } passages that a source supports
}
kind-inference = { $count ->
    [one] { $count } passage that is the persona's own inference
   *[other] { $count } passages that are the persona's own inference
}
legend = “Quotes” are word for word, *[n]* means supported by source n, and everything else is inference: nobody wrote it.
marked-quote = [{ $number }, word for word]
marked-paraphrase = [{ $number }]
marked-inference = [inference]
no-sources = This answer leans on no passage of the writing.
nothing-kept = Nothing is kept of this answer: the person who asked has opted out, or it was deleted.
is-running = This answer is still being written.

no-personas = There are no personas here yet. The operator can add one under cast/.
none-allowed = No persona may speak here. Whoever manages this server can allow some with `/personae allow`.
which-persona = Which persona? Name one: { $personas }.
unknown-persona = There is no persona “{ $typed }” here. Personas here: { $personas }.
unknown-persona-near = There is no persona “{ $typed }” here. Did you mean { $near }? Personas here: { $personas }.
not-allowed-here = { $persona } may not speak in this server. Allowed here: { $personas }.
empty-question = There is no question. Write one behind the persona's name.
empty-text = There is no text to rewrite. Write one behind the persona's name.
question-too-long = The question is too long: { $characters } characters, and { $persona } takes { $most }. Please shorten it.
text-too-long = The text is too long: { $characters } characters, and { $persona } takes { $most }. Please send a shorter part.
already-running = You have { $count ->
    [one] one answer
   *[other] { $count } answers
} under way already. Wait for one of them to end, or stop it.
quota-person-requests = You have had today's { $most ->
    [one] one question
   *[other] { $most } questions
}. The count starts anew at midnight UTC.
quota-person-tokens = You have used today's { $most } tokens. The count starts anew at midnight UTC.
quota-role-requests = What your roles may ask in a day is used up ({ $most ->
    [one] one question
   *[other] { $most } questions
}). The count starts anew at midnight UTC.
quota-role-tokens = The { $most } tokens a day of your roles are used up. The count starts anew at midnight UTC.
quota-server-requests = This server has had today's { $most ->
    [one] one question
   *[other] { $most } questions
}. The count starts anew at midnight UTC.
quota-server-tokens = This server has used today's { $most } tokens. The count starts anew at midnight UTC.

only-author = Only the person who asked may do that.
only-author-or-manager = Only the person who asked, or who manages this server, may do that.
only-managers = Only who manages this server may do that.
only-operators = Only the operator of this bot may do that.
operators-unnamed =
    This bot is in several servers, and what you want holds for all of them. Its operator has to be named
    first: set PERSONAE_OPERATORS (you are { $key }) and start the bot again.
not-running = This answer has ended already.
stopping = Stopped. What was said stays.
answer-gone = Nothing is known of this answer any more. Please ask again.
cant-again = The question is not kept, so it can't be asked again from here. Please ask it once more.
rated-up = Thank you: noted as a good answer.
rated-down = Thank you: noted as a bad answer.
rated-withdrawn = Your rating is withdrawn.
cant-rate = There is nothing to rate: no persona spoke here.
rating-opted-out = You have opted out of keeping anything, and feedback would keep the question and the answer. Opt in again to rate.
rating-not-kept = Nothing is kept of this answer, so it can't be rated.
revised = Thank you: the better answer is kept for { $persona }'s next training.
revision-empty = There is no text. Write the answer as it should have been.

usage-title = Today (UTC):
usage-you = You
usage-role = Your role { $role }
usage-server = This server
usage-line = { $who }: { $requests ->
    [one] one request
   *[other] { $requests } requests
}{ $requests_left }, { $tokens } tokens{ $tokens_left }.
usage-left = , { $left } of { $most } left
forgotten = Forgotten: { $answers ->
    [one] one answer
   *[other] { $answers } answers
}, { $turns ->
    [one] one turn of a conversation
   *[other] { $turns } turns of conversations
}, { $feedback ->
    [one] one rating
   *[other] { $feedback } ratings
}, and your usage counts. What you posted yourself stays in the channel until you delete it there.
forgotten-but-feedback = Forgotten: your answers, conversations and usage counts. The gateway can't be reached, so your ratings are still there; please ask again in a while.
opted-out = You have opted out: from now on nothing you ask or get is kept, answers have no memory, and you can't rate. What was kept before goes with “forget me”.
opted-in = You have opted in: conversations are remembered and answers kept for as long as this server's setting says.
language-chosen = From now on the bot speaks English with you.
language-unknown = There are these languages: { $languages }.

## alerts

alert-title = { $persona } has not written about this and said so:
alert-question = { $question }
alert-more = … and { $count } more.
alert-private = ({ $count ->
    [one] one private question
   *[other] { $count } private questions
})

## admin

no-admin-key = This bot has no admin key. Set PERSONAE_ADMIN_KEY for the bot to the gateway's key, and start it again.
admin-usage =
    What can be administered: `versions [persona]`, `status`, `reload <persona> [version]`, `rollback <persona>`,
    `default [persona|none] [channel|server|thread]`, `allow [all|persona …]`, `limits [person|role|server] [id] [requests <n>] [tokens <n>]`,
    `admins [role …|none]`, `names on|off`, `alerts here|<channel>|off`, `retention <days>`, `stats`, `unanswered <persona>`, `export <persona> kto|dpo|sft`.
admin-not-in-server = That is a setting of a server, and here is none. Use it in a server.
versions-line = **{ $persona }**: { $live } is live{ $previous }. In the registry: { $versions }.
versions-line-none = **{ $persona }**: no adapter is live, it speaks by prompt only. In the registry: { $versions }.
versions-previous = , { $version } was before it
versions-nothing = nothing
version-unusable = { $version } (can't be used: { $why })
version-no-reason = no reason is given
status-gateway = The gateway answers in { $milliseconds } ms and has { $personas } personas.
status-gateway-down = The gateway can't be asked: { $why }
status-running = Answers under way in this bot: { $running }.
status-notice = { $persona }: { $notice }
default-set-channel = In this channel { $persona } answers where nobody is named.
default-set-server = In this server { $persona } answers where nobody is named and the channel has no default.
default-set-thread = In this thread { $persona } answers from now on.
default-cleared = That default is gone.
default-bad-scope = A default belongs to a channel, a server or a thread; “{ $scope }” is none of them.
default-no-thread = This is no thread. Say it in one, or set the channel's default.
default-shown = Defaults: thread { $thread }, channel { $channel }, server { $server }.
default-none = none
allow-set = Only these personas may speak in this server: { $personas }.
allow-all = Every persona may speak in this server.
limits-set = Limit of { $whom }: { $requests } requests and { $tokens } tokens a day.
limits-cleared = { $whom } has no limit of its own any more.
limits-line = { $whom }: { $requests } requests and { $tokens } tokens a day
limits-nobody = No limits are set.
limits-unlimited = any number of
limits-bad = A limit is a whole number of 0 or more, or `none`; “{ $typed }” is neither.
limits-bad-scope = Limits are for a person, a role or a server; “{ $scope }” is none of them.
limits-which-role = Which role? Name its id.
limits-whom-person = person { $key }
limits-whom-everybody = each person
limits-whom-role = role { $key }
limits-whom-server = this server
admins-set = These roles may administer personae here, beside those who manage the server: { $roles }.
admins-none = Only those who manage the server may administer personae here.
names-on = Personas speak under their own names and pictures here, always marked as imitations.
names-off = Personas speak under the bot's name here.
alerts-on = Questions that a persona has not written about are told to <#{ $channel }>.
alerts-off = Unanswered questions are told to no channel.
retention-set = Answers and conversations of this server are kept for { $days ->
    [one] one day
   *[other] { $days } days
}.
retention-bad = Answers are kept for 1 to { $most } days; “{ $typed }” is not that.
stats-title = The last 7 days in this server:
stats-line = { $requests } requests, { $tokens } tokens.
stats-top = { $who }: { $requests } requests, { $tokens } tokens
unanswered-none = { $persona } has met no question that it has not written about.
unanswered-title = Asked of { $persona }, who has not written about it:
unanswered-line = { $question } ({ $times ->
    [one] once
   *[other] { $times } times
})
export-done = { $persona }'s feedback as { $format }: { $lines } lines.
export-bad-format = Feedback is exported as kto, dpo or sft; “{ $typed }” is none of them.

## errors
# By the code of the gateway's error. Its own sentences are English and may know more, so English shows them;
# other languages translate what needs no more than its code.

error-busy = { $message }
error-deadline-exceeded = { $message }
error-engine-unavailable = { $message }
error-gateway-unreachable = { $message }
error-gateway-restarting = { $message }
error-internal-error = { $message }
error-unauthorized = { $message }
error-disk-full = { $message }
error-ledger-unavailable = { $message }
error-state-unavailable = { $message }
error-corpus-invalid = { $message }
error-no-previous-version = { $message }

## discord

discord-ask-name = ask
discord-ask-description = Ask a persona a question; it answers in its own voice, with sources
discord-ask-persona = Who should answer
discord-ask-question = What you would like to know
discord-ask-private = Only you see the answer
discord-rewrite-name = rewrite
discord-rewrite-description = Rewrite a text in a persona's voice, keeping what it says
discord-rewrite-persona = Whose voice
discord-rewrite-text = The text to rewrite; leave it out to get room for a long one
discord-rewrite-strength = How far the voice may change the text
discord-personas-name = personas
discord-personas-description = Who can be asked here
discord-usage-name = usage
discord-usage-description = How much you have asked today, and what is left
discord-privacy-name = privacy
discord-privacy-description = What is kept of you: see it, get it, delete it, or have nothing kept
discord-privacy-action = What to do
discord-option-persona = persona
discord-option-question = question
discord-option-private = private
discord-option-text = text
discord-option-strength = strength
discord-option-action = action
discord-strength-light = light
discord-strength-normal = normal
discord-strength-strong = strong
discord-privacy-show = What is kept
discord-privacy-export = Get a copy
discord-privacy-opt-out = Keep nothing of me
discord-privacy-opt-in = Keep things again
discord-privacy-delete = Delete what is kept
discord-privacy-language-en = Speak English with me
discord-privacy-language-de = Speak German with me
discord-privacy-language-auto = Speak my app's language with me
discord-menu-ask = Ask about this…
discord-menu-rewrite = Rewrite as…
discord-menu-revise = Better answer…

discord-button-again = Again
discord-button-other = Other persona
discord-button-sources = Sources
discord-button-stop = Stop
discord-button-delete = Delete
discord-button-revise = Better answer
discord-button-share = Share
discord-button-copy = Copy
discord-button-lighter = Lighter
discord-button-stronger = Stronger
discord-button-forget = Delete everything
discord-button-unknown = This button is of another version of the bot. Please ask again.

discord-ask-about-title = Ask about this message
discord-rewrite-title = Rewrite a text
discord-revise-title = A better answer
discord-revise-field = What it should have said
discord-down-title = What was wrong?
discord-down-field = In a sentence, if you like
discord-field-persona = Persona
discord-field-question = Your question
discord-field-about = The message
discord-field-text = Text
discord-field-strength = How far the voice may change it
discord-choose-persona = Choose a persona
discord-what-of-it = What do you think of this?
discord-who-instead = Who should answer instead?
discord-changes = What changed
discord-goes-on-in-thread = Goes on in the thread below.
discord-whole-in-file = This is the beginning; the whole answer is in { $file }.
discord-copy-file = The text is in the file.
discord-command-changed = This command has changed since your app last saw it. Reload Discord (Ctrl+R, or close the app and open it again) and try once more.
discord-mention-usage = Mention me with a question, for example “@me lincoln, what holds a nation together?”, or use `/ask`. `/personas` shows who is here.
discord-privacy-text =
    { "" }**Kept of you:** your questions and the answers while the server's retention time runs, what was said in conversations with the bot until they are forgotten, how much you used, and your ratings.
    { "" }**Not kept:** messages that are not for the bot. Nothing is sold or shown to others.
    `/privacy` also gets you a copy, deletes it all, or makes that nothing is kept from now on. The operator's page on privacy names every field.
discord-privacy-exported = This is what is kept of you.
discord-privacy-sure = This deletes your questions, answers, conversations, ratings and usage counts for good. Messages in channels stay until you delete them there.

## discord administration

discord-admin-group = Administer this bot's personas
discord-admin-reload = Let a persona speak with its newest version, or a given one
discord-admin-rollback = Let a persona speak with the version it had before
discord-admin-versions = Which versions speak, and which there are
discord-admin-status = Whether everything runs, and what is going on
discord-admin-unanswered = Questions that a persona has not written about
discord-admin-export = What people thought of the answers, as a file to train with
discord-admin-default = Who answers here where nobody is named
discord-admin-allow = Which personas may speak on this server
discord-admin-limits = How much may be asked in a day; without options, what is set
discord-admin-roles = Which roles may administer here, beside those who manage the server
discord-admin-names = Whether personas speak under their own names and pictures here
discord-admin-alerts = Where questions are told that a persona has not written about
discord-admin-retention = For how many days answers and conversations are kept
discord-admin-stats = How much was asked here, and by whom
discord-admin-option-persona = Which persona
discord-admin-option-persona-or-all = Which persona; all if left out
discord-admin-option-version = For example v2; the newest if left out
discord-admin-option-format = For which kind of training (TRL's names)
discord-admin-option-default = Who should answer; left out, nobody in particular
discord-admin-option-scope = Where that holds
discord-admin-option-personas = Their names with commas between them, or "all"
discord-admin-option-requests = Questions and texts in a day
discord-admin-option-tokens = Tokens in a day
discord-admin-option-limit-person = Only this person
discord-admin-option-limit-role = All members of this role together
discord-admin-option-limit-of = Each person, or the whole server
discord-admin-option-role = A role; left out, only who manages the server
discord-admin-option-more-roles = One more role
discord-admin-option-names = On or off
discord-admin-option-alerts = The channel; left out, nowhere
discord-admin-option-days = Days
discord-admin-exported = The feedback on { $persona }: { $lines } { $lines ->
    [one] line
   *[other] lines
}, for your eyes only. It holds what people asked.
discord-admin-export-empty = There is no feedback on { $persona } for this format yet.
discord-admin-names-need = For that I need the permission "Manage Webhooks" in this channel; until then my own name stands there.
discord-admin-one-limit = Choose one of `person`, `role` and `of`: a limit holds for one of them.
discord-admin-whose-limit = Say whose limit this is: choose `person`, `role` or `of`.
discord-admin-cant-post = I can't write in { $channel }. Give me "View Channel" and "Send Messages" there, or choose another channel.

## slack

slack-status = is thinking…
slack-difference = Difference to the original
slack-continued = (continued)
slack-rewriting = Rewriting. The result appears here, for you only.
slack-asking-privately = Asking. The answer appears here, for you only.
slack-not-in-channel = I'm not a member of this channel, so the answer comes here, for you only. Invite me to the channel and everybody can read along.
slack-too-long-privately = (Slack allows no more private messages for one command, so the rest is missing. Ask in a channel or a direct message for the whole.)
slack-shared = Shared.
slack-deleted = Deleted.
slack-good = Good answer
slack-bad = Bad answer
slack-button-up = 👍
slack-button-down = 👎
slack-button-again = Again
slack-button-other = Another persona…
slack-button-sources = Sources
slack-button-stop = Stop
slack-button-delete = Delete
slack-button-revise = Revise…
slack-button-share = Share with everyone
slack-button-copy = Copy…
slack-button-lighter = Lighter
slack-button-stronger = Stronger
slack-ask-title = Ask a persona
slack-rewrite-title = Rewrite a text
slack-other-title = Another persona
slack-reason-title = What was wrong?
slack-revise-title = The better answer
slack-copy-title = Copy the text
slack-loading = One moment…
slack-submit-ask = Ask
slack-submit-rewrite = Rewrite
slack-submit-send = Send
slack-submit-save = Save
slack-cancel = Cancel
slack-close = Close
slack-label-persona = Persona
slack-label-question = Question
slack-label-text = Text
slack-label-reason = In a few words (you may leave it empty)
slack-label-revision = As it should have been; it is kept for training
slack-label-copy = Select all and copy
slack-label-strength = How far the voice may change the text
slack-label-who-sees = Who sees it
slack-only-me = Only I see the answer
slack-strength-light = Light
slack-strength-normal = Normal
slack-strength-strong = Strong
slack-about = About this message:
slack-mention-usage = Mention me with a persona and a question, for example `@personae lincoln What holds a nation together?` Personas here: { $personas }.
slack-personas-title = Who speaks here:
slack-persona-line = **{ $name }** (`{ $id }`): { $description }
slack-privacy-usage = Usage: `/privacy show`, `/privacy export`, `/privacy opt-out`, `/privacy opt-in`, `/privacy delete`, `/privacy language en|de|auto`.
slack-privacy-show = Kept of you here: { $answers ->
    [one] one answer
   *[other] { $answers } answers
}. Keeping is switched { $out ->
    [yes] off
   *[no] on
}. `/privacy export` shows everything, `/privacy opt-out` switches keeping off, `/privacy delete` deletes it.
slack-export-title = What is kept of you
slack-export-cut = (Slack shows no more here. Ask the operator for the whole file.)
slack-prompts-title = Try asking
slack-prompt-title = Ask { $name }
slack-prompt = { $id } What matters most to you, and why?
slack-no-workspace = This workspace is not installed any more. Ask whoever runs the bot to install it again.

slack-home-title = Writers' voices
slack-home-intro = Ask with /ask, rewrite with /rewrite, mention me in a channel, or write to me here. Every answer is an imitation, with its sources.
slack-home-personas = Who speaks here
slack-home-prompt-only = no trained voice yet
slack-home-version = Version: { $version }. { $passages ->
    [0] No passages: answers carry no sources.
    [one] One passage to quote from.
   *[other] { $passages } passages to quote from.
}
slack-home-reload = Load the newest version
slack-home-rollback = Back to the version before
slack-home-rollback-sure = { $name } will speak with its previous version, in all workspaces.
slack-home-versions = Versions
slack-home-you = You
slack-home-opt-out = Keep nothing of me
slack-home-opt-in = Keep my conversations again
slack-home-forget = Delete my data
slack-home-forget-sure = Your questions, the answers to them, your ratings and your usage are deleted for good.
slack-home-refresh = Refresh
slack-home-settings = For administrators of this workspace
slack-home-default = Who answers where nobody is named
slack-home-nobody = Nobody: people name a persona
slack-home-alerts = Where unanswered questions are told
slack-home-channel = Choose a channel
slack-home-retention = How long answers are kept
slack-home-days-choose = Choose
slack-home-days = { $days ->
    [one] one day
   *[other] { $days } days
}
slack-home-own-names-on = Let personas speak under their own names
slack-home-own-names-off = Let personas speak under the bot's name
slack-home-status = Status
slack-home-stats = Statistics
slack-home-limits = Limits
slack-home-more = More with /personae help.
slack-home-sure = Are you sure?
slack-home-yes = Yes
