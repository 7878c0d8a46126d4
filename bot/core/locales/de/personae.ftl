# Was Leute lesen, auf Deutsch. Dieselben Namen wie in der englischen Datei nebenan.

## core

thinking = …
nothing-said = Das Modell hat nichts geantwortet. Bitte frag noch einmal mit anderen Worten.
cut-short = (Die Antwort ist an ihrer Längengrenze angekommen.)
asking-again = Die Antwort brach ab, weil ein Server ausfiel. Die Frage wird noch einmal gestellt …
begun-anew = Die Antwort brach einmal ab, weil ein Server ausfiel, und wurde neu begonnen.
in-line = Warteschlange: Platz { $position }, etwa { $seconds } s.
retry-in = (Versuch es in etwa { $seconds } s noch einmal.)
stopped = (Angehalten.)
stopped-before-words = Angehalten, bevor etwas gesagt war.
restarting = Der Bot wird gerade angehalten, deshalb endet das hier. Bitte frag in einer Minute noch einmal.
was-restarted = Der Bot wurde neu gestartet, während er hier antwortete; deshalb fehlt das Ende. Drück „noch einmal“ oder frag erneut.
was-restarted-plain = Der Bot wurde neu gestartet, während er hier antwortete; deshalb fehlt das Ende. Bitte frag noch einmal.
unexpected = Bei uns ist etwas schiefgegangen, und es wurde festgehalten. Bitte versuch es noch einmal.
disclosure = — { $line }
imitation-name = { $name } (Imitation)
asked = { $who } hat { $persona } gefragt: { $question }
shared-rewrite = { $who } teilt einen Text in der Art von { $persona }:
sources = Quellen
version-line = { $persona }, { $version } auf { $model }
version-line-prompt-only = { $persona }, nur durch Anweisung, auf { $model }
kind-quote = { $count ->
    [one] { $count } Stelle wörtlich aus den Schriften
   *[other] { $count } Stellen wörtlich aus den Schriften
}
kind-paraphrase = { $count ->
    [one] { $count } Stelle, die eine Quelle stützt
   *[other] { $count } Stellen, die eine Quelle stützt
}
kind-inference = { $count ->
    [one] { $count } Stelle, die eigene Folgerung der Persona ist
   *[other] { $count } Stellen, die eigene Folgerung der Persona sind
}
legend = „Zitate“ sind wörtlich, *[n]* heißt: von Quelle n gestützt; alles andere ist gefolgert, niemand hat es so geschrieben.
marked-quote = [{ $number }, wörtlich]
marked-paraphrase = [{ $number }]
marked-inference = [gefolgert]
no-sources = Diese Antwort stützt sich auf keine Stelle der Schriften.
nothing-kept = Von dieser Antwort ist nichts aufgehoben: Wer gefragt hat, will das nicht, oder sie wurde gelöscht.
is-running = Diese Antwort wird noch geschrieben.

no-personas = Hier gibt es noch keine Personas. Der Betreiber kann unter cast/ eine anlegen.
none-allowed = Hier darf keine Persona sprechen. Wer den Server verwaltet, kann mit `/personae allow` welche erlauben.
which-persona = Welche Persona? Nenn eine: { $personas }.
unknown-persona = Hier gibt es keine Persona „{ $typed }“. Personas hier: { $personas }.
unknown-persona-near = Hier gibt es keine Persona „{ $typed }“. Meinst du { $near }? Personas hier: { $personas }.
not-allowed-here = { $persona } darf auf diesem Server nicht sprechen. Hier erlaubt: { $personas }.
empty-question = Die Frage fehlt. Schreib sie hinter den Namen der Persona.
empty-text = Der Text zum Umschreiben fehlt. Schreib ihn hinter den Namen der Persona.
question-too-long = Die Frage ist zu lang: { $characters } Zeichen, und { $persona } nimmt { $most }. Bitte kürze sie.
text-too-long = Der Text ist zu lang: { $characters } Zeichen, und { $persona } nimmt { $most }. Bitte schick einen kürzeren Teil.
already-running = Für dich { $count ->
    [one] läuft schon eine Antwort
   *[other] laufen schon { $count } Antworten
}. Warte, bis eine fertig ist, oder halte sie an.
quota-person-requests = { $most ->
    [one] Deine eine Frage von heute ist
   *[other] Deine { $most } Fragen von heute sind
} aufgebraucht. Ab Mitternacht (UTC) wird neu gezählt.
quota-person-tokens = Deine { $most } Tokens von heute sind aufgebraucht. Ab Mitternacht (UTC) wird neu gezählt.
quota-role-requests = Was deine Rollen am Tag fragen dürfen, ist aufgebraucht ({ $most ->
    [one] eine Frage
   *[other] { $most } Fragen
}). Ab Mitternacht (UTC) wird neu gezählt.
quota-role-tokens = Die { $most } Tokens am Tag für deine Rollen sind aufgebraucht. Ab Mitternacht (UTC) wird neu gezählt.
quota-server-requests = { $most ->
    [one] Die eine Frage dieses Servers von heute ist
   *[other] Die { $most } Fragen dieses Servers von heute sind
} aufgebraucht. Ab Mitternacht (UTC) wird neu gezählt.
quota-server-tokens = Die { $most } Tokens dieses Servers von heute sind aufgebraucht. Ab Mitternacht (UTC) wird neu gezählt.

only-author = Das darf nur, wer gefragt hat.
only-author-or-manager = Das darf nur, wer gefragt hat oder diesen Server verwaltet.
only-managers = Das darf nur, wer diesen Server verwaltet.
only-operators = Das darf nur, wer diesen Bot betreibt.
operators-unnamed =
    Dieser Bot ist auf mehreren Servern, und das gilt für alle. Zuerst muss feststehen, wer ihn betreibt:
    PERSONAE_OPERATORS setzen (du bist { $key }) und den Bot neu starten.
not-running = Diese Antwort ist schon zu Ende.
stopping = Angehalten. Was gesagt ist, bleibt.
answer-gone = Von dieser Antwort ist nichts mehr bekannt. Bitte frag noch einmal.
cant-again = Die Frage ist nicht aufgehoben und lässt sich von hier aus nicht noch einmal stellen. Bitte stell sie neu.
rated-up = Danke: als gute Antwort festgehalten.
rated-down = Danke: als schlechte Antwort festgehalten.
rated-withdrawn = Deine Bewertung ist zurückgenommen.
cant-rate = Hier gibt es nichts zu bewerten: Keine Persona hat gesprochen.
rating-opted-out = Du willst, dass nichts aufgehoben wird, und eine Bewertung würde Frage und Antwort aufheben. Stimm dem Aufheben wieder zu, um zu bewerten.
rating-not-kept = Von dieser Antwort ist nichts aufgehoben, deshalb lässt sie sich nicht bewerten.
revised = Danke: Die bessere Antwort ist für das nächste Training von { $persona } aufgehoben.
revision-empty = Der Text fehlt. Schreib die Antwort, wie sie hätte sein sollen.

usage-title = Heute (UTC):
usage-you = Du
usage-role = Deine Rolle { $role }
usage-server = Dieser Server
usage-line = { $who }: { $requests ->
    [one] eine Anfrage
   *[other] { $requests } Anfragen
}{ $requests_left }, { $tokens } Tokens{ $tokens_left }.
usage-left = , noch { $left } von { $most }
forgotten = Vergessen: { $answers ->
    [one] eine Antwort
   *[other] { $answers } Antworten
}, { $turns ->
    [one] ein Beitrag in einem Gespräch
   *[other] { $turns } Beiträge in Gesprächen
}, { $feedback ->
    [one] eine Bewertung
   *[other] { $feedback } Bewertungen
} und deine Verbrauchszähler. Was du selbst geschrieben hast, bleibt im Kanal, bis du es dort löschst.
forgotten-but-feedback = Vergessen: deine Antworten, Gespräche und Verbrauchszähler. Das Gateway ist nicht erreichbar, deshalb gibt es deine Bewertungen noch; bitte versuch es später noch einmal.
opted-out = Ab jetzt wird nichts aufgehoben, was du fragst oder bekommst; Antworten haben kein Gedächtnis, und du kannst nicht bewerten. Was früher aufgehoben wurde, geht mit „vergiss mich“.
opted-in = Ab jetzt gibt es wieder ein Gedächtnis, und Antworten werden so lange aufgehoben, wie dieser Server es eingestellt hat.
language-chosen = Ab jetzt spricht der Bot Deutsch mit dir.
language-unknown = Diese Sprachen gibt es: { $languages }.

## alerts

alert-title = { $persona } hat darüber nicht geschrieben und das gesagt:
alert-question = { $question }
alert-more = … und { $count } weitere.
alert-private = ({ $count ->
    [one] eine private Frage
   *[other] { $count } private Fragen
})

## admin

no-admin-key = Dieser Bot hat keinen Admin-Schlüssel. Setz PERSONAE_ADMIN_KEY für den Bot auf den des Gateways und starte ihn neu.
admin-usage =
    Was sich verwalten lässt: `versions [persona]`, `status`, `reload <persona> [version]`, `rollback <persona>`,
    `default [persona|none] [channel|server|thread]`, `allow [all|persona …]`, `limits [person|role|server] [id] [requests <n>] [tokens <n>]`,
    `admins [role …|none]`, `names on|off`, `alerts here|<channel>|off`, `retention <days>`, `stats`, `unanswered <persona>`, `export <persona> kto|dpo|sft`.
admin-not-in-server = Das ist eine Einstellung eines Servers, und hier ist keiner. Benutz es auf einem Server.
versions-line = **{ $persona }**: { $live } spricht{ $previous }. In der Registry: { $versions }.
versions-line-none = **{ $persona }**: kein Adapter spricht, nur die Anweisung. In der Registry: { $versions }.
versions-previous = , davor { $version }
versions-nothing = nichts
version-unusable = { $version } (unbrauchbar: { $why })
version-no-reason = ein Grund ist nicht angegeben
status-gateway = Das Gateway antwortet in { $milliseconds } ms und hat { $personas } Personas.
status-gateway-down = Das Gateway lässt sich nicht fragen: { $why }
status-running = Laufende Antworten in diesem Bot: { $running }.
status-notice = { $persona }: { $notice }
default-set-channel = In diesem Kanal antwortet { $persona }, wenn niemand genannt ist.
default-set-server = Auf diesem Server antwortet { $persona }, wenn niemand genannt ist und der Kanal keine eigene Vorgabe hat.
default-set-thread = In diesem Thread antwortet ab jetzt { $persona }.
default-cleared = Diese Vorgabe gibt es nicht mehr.
default-bad-scope = Eine Vorgabe gehört zu channel, server oder thread; „{ $scope }“ ist keins davon.
default-no-thread = Das ist kein Thread. Sag es in einem, oder setz die Vorgabe des Kanals.
default-shown = Vorgaben: Thread { $thread }, Kanal { $channel }, Server { $server }.
default-none = keine
allow-set = Auf diesem Server dürfen nur diese Personas sprechen: { $personas }.
allow-all = Auf diesem Server darf jede Persona sprechen.
limits-set = Grenze für { $whom }: { $requests } Anfragen und { $tokens } Tokens am Tag.
limits-cleared = { $whom }: keine eigene Grenze mehr.
limits-line = { $whom }: { $requests } Anfragen und { $tokens } Tokens am Tag
limits-nobody = Es sind keine Grenzen gesetzt.
limits-unlimited = beliebig viele
limits-bad = Eine Grenze ist eine ganze Zahl ab 0 oder `none`; „{ $typed }“ ist keins von beiden.
limits-bad-scope = Grenzen gibt es für person, role und server; „{ $scope }“ ist keins davon.
limits-which-role = Welche Rolle? Nenn ihre id.
limits-whom-person = Person { $key }
limits-whom-everybody = jede Person
limits-whom-role = Rolle { $key }
limits-whom-server = diesen Server
admins-set = Außer denen, die den Server verwalten, dürfen diese Rollen hier personae verwalten: { $roles }.
admins-none = Nur wer den Server verwaltet, darf hier personae verwalten.
names-on = Personas sprechen hier unter eigenem Namen und Bild, immer als Imitation gekennzeichnet.
names-off = Personas sprechen hier unter dem Namen des Bots.
alerts-on = Fragen, über die eine Persona nicht geschrieben hat, werden in <#{ $channel }> gemeldet.
alerts-off = Unbeantwortete Fragen werden nirgends gemeldet.
retention-set = Antworten und Gespräche dieses Servers werden { $days ->
    [one] einen Tag
   *[other] { $days } Tage
} aufgehoben.
retention-bad = Aufgehoben wird für 1 bis { $most } Tage; „{ $typed }“ ist das nicht.
stats-title = Die letzten 7 Tage auf diesem Server:
stats-line = { $requests } Anfragen, { $tokens } Tokens.
stats-top = { $who }: { $requests } Anfragen, { $tokens } Tokens
unanswered-none = { $persona } ist keine Frage begegnet, über die nichts geschrieben ist.
unanswered-title = Von { $persona } gefragt, ohne dass etwas darüber geschrieben ist:
unanswered-line = { $question } ({ $times ->
    [one] einmal
   *[other] { $times }-mal
})
export-done = Das Feedback zu { $persona } als { $format }: { $lines } Zeilen.
export-bad-format = Feedback gibt es als kto, dpo oder sft; „{ $typed }“ ist keins davon.

## errors

error-busy = Gerade fragen zu viele auf einmal, oder von dir laufen schon genug Antworten.
error-deadline-exceeded = Das Modell hat nicht rechtzeitig geantwortet.
error-engine-unavailable = Das Modell ist gerade nicht erreichbar.
error-gateway-restarting = Das Gateway von personae wird gerade neu gestartet.
error-gateway-unreachable = Das Gateway von personae ist gerade nicht erreichbar.
error-internal-error = Im Gateway ist etwas schiefgegangen, und es wurde festgehalten.
error-unauthorized = Dem Bot fehlt der Schlüssel des Gateways. Sag bitte dem Betreiber Bescheid.
error-disk-full = Die Platte des Servers ist voll. Sag bitte dem Betreiber Bescheid.
error-ledger-unavailable = Die Datenbank ist gerade nicht erreichbar. Bitte versuch es gleich noch einmal.
error-state-unavailable = Die Datenbank des Bots ist gerade nicht erreichbar. Bitte versuch es gleich noch einmal.
error-corpus-invalid = Die Schriften dieser Persona sind beschädigt. Sag bitte dem Betreiber Bescheid.
error-no-previous-version = Es gibt keine frühere Version, zu der es zurückginge.

## discord

discord-ask-name = fragen
discord-ask-description = Stell einer Persona eine Frage; sie antwortet in ihrer Stimme, mit Quellen
discord-ask-persona = Wer antworten soll
discord-ask-question = Was du wissen möchtest
discord-ask-private = Nur du siehst die Antwort
discord-rewrite-name = umschreiben
discord-rewrite-description = Einen Text in der Stimme einer Persona umschreiben, ohne den Inhalt zu ändern
discord-rewrite-persona = In wessen Stimme
discord-rewrite-text = Der Text; lass ihn weg, um Platz für einen langen zu bekommen
discord-rewrite-strength = Wie weit die Stimme den Text verändern darf
discord-personas-name = personas
discord-personas-description = Wen man hier fragen kann
discord-usage-name = verbrauch
discord-usage-description = Wie viel du heute gefragt hast und was noch bleibt
discord-privacy-name = datenschutz
discord-privacy-description = Was über dich gespeichert ist: ansehen, holen, löschen oder nichts mehr speichern
discord-privacy-action = Was geschehen soll
discord-option-persona = persona
discord-option-question = frage
discord-option-private = privat
discord-option-text = text
discord-option-strength = stärke
discord-option-action = aktion
discord-strength-light = leicht
discord-strength-normal = normal
discord-strength-strong = stark
discord-privacy-show = Was gespeichert ist
discord-privacy-export = Eine Kopie holen
discord-privacy-opt-out = Nichts von mir speichern
discord-privacy-opt-in = Wieder speichern
discord-privacy-delete = Gespeichertes löschen
discord-privacy-language-en = Sprich Englisch mit mir
discord-privacy-language-de = Sprich Deutsch mit mir
discord-privacy-language-auto = Sprich die Sprache meiner App
discord-menu-ask = Danach fragen…
discord-menu-rewrite = Umschreiben als…
discord-menu-revise = Bessere Antwort…

discord-button-again = Noch einmal
discord-button-other = Andere Persona
discord-button-sources = Quellen
discord-button-stop = Anhalten
discord-button-delete = Löschen
discord-button-revise = Bessere Antwort
discord-button-share = Teilen
discord-button-copy = Kopieren
discord-button-lighter = Leichter
discord-button-stronger = Stärker
discord-button-forget = Alles löschen
discord-button-unknown = Dieser Knopf gehört zu einer anderen Fassung des Bots. Bitte frag noch einmal.

discord-ask-about-title = Nach dieser Nachricht fragen
discord-rewrite-title = Einen Text umschreiben
discord-revise-title = Eine bessere Antwort
discord-revise-field = Was sie hätte sagen sollen
discord-down-title = Was war falsch?
discord-down-field = In einem Satz, wenn du magst
discord-field-persona = Persona
discord-field-question = Deine Frage
discord-field-about = Die Nachricht
discord-field-text = Text
discord-field-strength = Wie weit die Stimme ihn verändern darf
discord-choose-persona = Wähl eine Persona
discord-what-of-it = Was hältst du davon?
discord-who-instead = Wer soll stattdessen antworten?
discord-changes = Was sich geändert hat
discord-goes-on-in-thread = Weiter geht es im Thread darunter.
discord-whole-in-file = Das ist der Anfang; die ganze Antwort steht in { $file }.
discord-copy-file = Der Text steht in der Datei.
discord-command-changed = Dieser Befehl hat sich geändert, seit deine App ihn zuletzt gesehen hat. Lade Discord neu (Strg+R, oder schließ die App und öffne sie wieder) und versuch es noch einmal.
discord-mention-usage = Erwähn mich mit einer Frage, zum Beispiel „@ich lincoln, was hält ein Volk zusammen?“, oder nimm `/fragen`. `/personas` zeigt, wer hier ist.
discord-privacy-text =
    { "" }**Von dir gespeichert:** deine Fragen und die Antworten, solange die Aufbewahrungszeit des Servers läuft, was in Gesprächen mit dem Bot gesagt wurde, bis sie vergessen sind, wie viel du verbraucht hast, und deine Bewertungen.
    { "" }**Nicht gespeichert:** Nachrichten, die nicht für den Bot sind. Nichts wird verkauft oder anderen gezeigt.
    `/datenschutz` holt dir auch eine Kopie, löscht alles oder sorgt dafür, dass ab jetzt nichts mehr gespeichert wird. Die Datenschutzseite des Betreibers nennt jedes Feld.
discord-privacy-exported = Das ist über dich gespeichert.
discord-privacy-sure = Das löscht deine Fragen, Antworten, Gespräche, Bewertungen und Verbrauchszähler endgültig. Nachrichten in Kanälen bleiben, bis du sie dort löschst.

## discord administration

discord-admin-group = Die Personas dieses Bots verwalten
discord-admin-reload = Eine Persona mit ihrer neuesten oder einer genannten Version sprechen lassen
discord-admin-rollback = Eine Persona wieder mit der Version davor sprechen lassen
discord-admin-versions = Welche Versionen sprechen und welche es gibt
discord-admin-status = Ob alles läuft und was gerade geschieht
discord-admin-unanswered = Fragen, über die eine Persona nicht geschrieben hat
discord-admin-export = Was Leute von den Antworten hielten, als Datei zum Trainieren
discord-admin-default = Wer hier antwortet, wenn niemand genannt ist
discord-admin-allow = Welche Personas auf diesem Server sprechen dürfen
discord-admin-limits = Wie viel am Tag gefragt werden darf; ohne Angaben: was eingestellt ist
discord-admin-roles = Welche Rollen hier verwalten dürfen, außer denen, die den Server verwalten
discord-admin-names = Ob Personas hier unter eigenem Namen und Bild sprechen
discord-admin-alerts = Wo Fragen gemeldet werden, über die eine Persona nicht geschrieben hat
discord-admin-retention = Wie viele Tage Antworten und Gespräche aufgehoben werden
discord-admin-stats = Wie viel hier gefragt wurde und von wem
discord-admin-option-persona = Welche Persona
discord-admin-option-persona-or-all = Welche Persona; ohne Angabe alle
discord-admin-option-version = Zum Beispiel v2; ohne Angabe die neueste
discord-admin-option-format = Für welche Art von Training (Namen von TRL)
discord-admin-option-default = Wer antworten soll; ohne Angabe niemand Bestimmtes
discord-admin-option-scope = Wo das gilt
discord-admin-option-personas = Ihre Namen, mit Kommas dazwischen, oder „all“
discord-admin-option-requests = Fragen und Texte am Tag
discord-admin-option-tokens = Tokens am Tag
discord-admin-option-limit-person = Nur diese Person
discord-admin-option-limit-role = Alle mit dieser Rolle zusammen
discord-admin-option-limit-of = Jede Person oder der ganze Server
discord-admin-option-role = Eine Rolle; ohne Angabe nur, wer den Server verwaltet
discord-admin-option-more-roles = Noch eine Rolle
discord-admin-option-names = An oder aus
discord-admin-option-alerts = Der Kanal; ohne Angabe nirgends
discord-admin-option-days = Tage
discord-admin-exported = Die Bewertungen von { $persona }: { $lines } { $lines ->
    [one] Zeile
   *[other] Zeilen
}, nur für dich zu sehen. Darin steht, was Leute gefragt haben.
discord-admin-export-empty = Von { $persona } gibt es für dieses Format noch keine Bewertungen.
discord-admin-names-need = Dafür brauche ich in diesem Kanal die Berechtigung „WebHooks verwalten“; bis dahin steht dort mein eigener Name.
discord-admin-one-limit = Wähl eins von `person`, `role` und `of`: Eine Grenze gilt für eins davon.
discord-admin-whose-limit = Sag, wessen Grenze das ist: Wähl `person`, `role` oder `of`.
discord-admin-cant-post = In { $channel } darf ich nicht schreiben. Gib mir dort „Kanal anzeigen“ und „Nachrichten senden“, oder wähl einen anderen Kanal.

## slack

slack-status = denkt nach …
slack-difference = Unterschied zum Original
slack-continued = (Fortsetzung)
slack-rewriting = Wird umgeschrieben. Das Ergebnis erscheint hier, nur für dich.
slack-asking-privately = Wird gefragt. Die Antwort erscheint hier, nur für dich.
slack-not-in-channel = Ich bin in diesem Channel kein Mitglied, deshalb kommt die Antwort hierher, nur für dich. Lade mich in den Channel ein, dann können alle mitlesen.
slack-too-long-privately = (Slack erlaubt für einen Befehl nicht mehr private Nachrichten, deshalb fehlt der Rest. In einem Channel oder einer Direktnachricht kommt alles.)
slack-shared = Geteilt.
slack-deleted = Gelöscht.
slack-good = Gute Antwort
slack-bad = Schlechte Antwort
slack-button-up = 👍
slack-button-down = 👎
slack-button-again = Noch einmal
slack-button-other = Andere Persona …
slack-button-sources = Quellen
slack-button-stop = Stopp
slack-button-delete = Löschen
slack-button-revise = Verbessern …
slack-button-share = Mit allen teilen
slack-button-copy = Kopieren …
slack-button-lighter = Schwächer
slack-button-stronger = Stärker
slack-ask-title = Eine Persona fragen
slack-rewrite-title = Text umschreiben
slack-other-title = Andere Persona
slack-reason-title = Was war schlecht?
slack-revise-title = Die bessere Antwort
slack-copy-title = Text kopieren
slack-loading = Einen Moment …
slack-submit-ask = Fragen
slack-submit-rewrite = Umschreiben
slack-submit-send = Senden
slack-submit-save = Speichern
slack-cancel = Abbrechen
slack-close = Schließen
slack-label-persona = Persona
slack-label-question = Frage
slack-label-text = Text
slack-label-reason = In wenigen Worten (darf leer bleiben)
slack-label-revision = Wie es hätte sein sollen; es wird fürs Training aufgehoben
slack-label-copy = Alles markieren und kopieren
slack-label-strength = Wie weit die Stimme den Text ändern darf
slack-label-who-sees = Wer es sieht
slack-only-me = Nur ich sehe die Antwort
slack-strength-light = Leicht
slack-strength-normal = Normal
slack-strength-strong = Stark
slack-about = Zu dieser Nachricht:
slack-mention-usage = Erwähne mich mit einer Persona und einer Frage, zum Beispiel `@personae lincoln Was hält eine Nation zusammen?` Personas hier: { $personas }.
slack-personas-title = Wer hier spricht:
slack-persona-line = **{ $name }** (`{ $id }`): { $description }
slack-privacy-usage = So geht es: `/privacy show`, `/privacy export`, `/privacy opt-out`, `/privacy opt-in`, `/privacy delete`, `/privacy language en|de|auto`.
slack-privacy-show = Von dir ist hier aufgehoben: { $answers ->
    [one] eine Antwort
   *[other] { $answers } Antworten
}. Das Aufheben ist { $out ->
    [yes] ausgeschaltet
   *[no] eingeschaltet
}. `/privacy export` zeigt alles, `/privacy opt-out` schaltet das Aufheben aus, `/privacy delete` löscht es.
slack-export-title = Was von dir aufgehoben ist
slack-export-cut = (Mehr zeigt Slack hier nicht. Die ganze Datei gibt es beim Betreiber.)
slack-prompts-title = Frag zum Beispiel
slack-prompt-title = { $name } fragen
slack-prompt = { $id } Was ist dir am wichtigsten, und warum?
slack-no-workspace = Dieser Workspace ist nicht mehr installiert. Wer den Bot betreibt, kann ihn neu installieren.

slack-home-title = Stimmen von Autoren
slack-home-intro = Frag mit /ask, schreib um mit /rewrite, erwähne mich in einem Kanal oder schreib mir hier. Jede Antwort ist eine Nachahmung, mit ihren Quellen.
slack-home-personas = Wer hier spricht
slack-home-prompt-only = noch keine trainierte Stimme
slack-home-version = Version: { $version }. { $passages ->
    [0] Keine Textstellen: Antworten haben keine Quellen.
    [one] Eine Textstelle zum Zitieren.
   *[other] { $passages } Textstellen zum Zitieren.
}
slack-home-reload = Neueste Version laden
slack-home-rollback = Zurück zur Version davor
slack-home-rollback-sure = { $name } spricht dann mit der vorigen Version, in allen Arbeitsbereichen.
slack-home-versions = Versionen
slack-home-you = Du
slack-home-opt-out = Nichts von mir behalten
slack-home-opt-in = Meine Gespräche wieder behalten
slack-home-forget = Meine Daten löschen
slack-home-forget-sure = Deine Fragen, die Antworten darauf, deine Bewertungen und deine Nutzung werden endgültig gelöscht.
slack-home-refresh = Aktualisieren
slack-home-settings = Für die Verwaltung dieses Arbeitsbereichs
slack-home-default = Wer antwortet, wo niemand genannt ist
slack-home-nobody = Niemand: man nennt eine Persona
slack-home-alerts = Wo unbeantwortete Fragen gemeldet werden
slack-home-channel = Kanal wählen
slack-home-retention = Wie lange Antworten behalten werden
slack-home-days-choose = Wählen
slack-home-days = { $days ->
    [one] ein Tag
   *[other] { $days } Tage
}
slack-home-own-names-on = Personas unter eigenem Namen sprechen lassen
slack-home-own-names-off = Personas unter dem Namen des Bots sprechen lassen
slack-home-status = Zustand
slack-home-stats = Statistik
slack-home-limits = Grenzen
slack-home-more = Mehr mit /personae help.
slack-home-sure = Bist du sicher?
slack-home-yes = Ja
