/**
 * What a customer does with the relationship itself, as elements for a shop's own pages:
 *
 *   <script type="module" src="/wallet/account.js"></script>
 *   <firsthand-passkey></firsthand-passkey>        add one; or sign in by one, or begin with one
 *   <firsthand-devices></firsthand-devices>        what recognises the customer, and what happened
 *   <firsthand-merge></firsthand-merge>            two records that are one person
 *   <firsthand-recovery></firsthand-recovery>      a code on paper
 *   <firsthand-credential></firsthand-credential>  the customer card in the wallet
 *   <firsthand-leave></firsthand-leave>            take everything along, or be forgotten
 *
 * On a page of ours, `<firsthand-consent>` asks whether a wallet may have the customer card.
 *
 * Attributes: `lang`; `ask`, an ask that recognises, for whom a passkey is not enough; `return-to` (a path). Parts: body list
 * item button main quiet danger code status. Properties: those of `<firsthand-button>`. Headings are the page's.
 */

import {
  byKey, call, describe, deviceName, forgetMe, languageOf, localPath, make, message, proceed, qrPicture, ready, recognised,
  signOut, takeSession, words,
} from './firsthand.js';

const HOME = new URL('..', import.meta.url).pathname;

// --- words

const WORDS = {
  en: {
    strangers: 'Here the shop shows what it knows of its customers. It does not know this browser.',
    yes: 'Yes', cancel: 'Cancel', save: 'Save', done: 'Done', copy: 'Copy', copied: 'Copied', print: 'Print',
    nothing: 'Nothing was shown. You can try again.',
    shown: 'Thank you. The shop knows that it is you.',
    stepUp: 'For this, show once more that it is you.',
    byPasskey: 'Use your passkey',
    byWallet: 'Use your wallet',
    not_recognised: 'The shop does not know this, or not any more.',
    across_devices: 'This browser was signed in by a code from another device. For this, show it on this very device.',
    too_many_bindings: 'There are too many ways in already. Remove one first.',
    cooling_down: 'A recovery code was used. This waits for some days.',
    nothing_to_merge: 'Too much time has passed. Show both once more.',
    nothing_to_undo: 'It is too late to undo this.',
    merged_lately: 'Another record was joined to yours lately. Take the two apart first.',
    too_many_merged: 'As many records were joined already as can be.',
    passkey_ceremony_over: 'That took too long. Please try again.',
    passkey_counter: 'This passkey looks like a copy of yours, so it was refused. If it is on your own device, try again.',
    invalid_request: 'The shop cannot read this.',

    addPasskey: 'Add a passkey',
    usePasskey: 'Sign in with a passkey',
    newPasskey: 'Begin with a new passkey',
    passkeyAdded: 'The passkey was added. You can sign in with it from now on.',
    passkeyHere: 'This device has a passkey for this shop already.',
    passkeyNo: 'This browser cannot use passkeys.',
    passkeyOffer: 'Only this browser knows you here. With a passkey, other devices of yours do, too, and this one after it was cleared.',
    passkeyAbout: 'A passkey lets you in by the lock of your device: finger, face or PIN. The shop learns none of them, and no other shop can know you by it. If your phone or password manager copies passkeys to your other devices, its maker keeps that copy: then it is as safe as your account there.',

    rungs: { recovery_code: 'Recovery code', browser_key: 'Browser', did: 'Wallet key', passkey: 'Passkey', relationship_credential: 'Customer card in the wallet' },
    by: { recovery_code: 'a recovery code', browser_key: 'the key of a browser', did: 'a wallet key', passkey: 'a passkey', relationship_credential: 'your customer card' },
    here: 'This browser',
    out: 'Signed out',
    since: (date) => `Since ${date}`,
    seen: (date) => `last seen ${date}`,
    across: 'signed in by a code from another device, and sees less',
    synced: 'may be copied by its platform',
    unsynced: 'stays on its device',
    rename: 'Rename',
    name: 'Name of this device',
    signOutThere: 'Sign out',
    remove: 'Remove',
    sure: (name) => `“${name}” will open nothing any more. Remove it?`,
    onlyWay: 'Nothing else leads to you but browsers that know you. If they are lost, the shop cannot find you again.',
    removed: 'Removed.',
    signedOut: 'Signed out.',
    signOutOthers: 'Sign out all other browsers',
    signOutAll: 'Sign out everywhere, here too',
    history: 'Was this you?',
    historyNone: 'Nothing has happened yet.',
    more: 'Show all',
    notMe: 'Not me',
    alarm: (date) => `Somebody else may have been here. This signs out all other browsers and closes every way in that came since ${date}.`,
    close: 'Close what came since then',
    closed: 'Closed. All other browsers were signed out.',
    happened: {
      began: (by) => `The shop met you, by ${by}`,
      recognised: (by) => `You were recognised by ${by}`,
      device_added: (by) => `A browser that was new here became yours, by ${by}`,
      device_vouched: () => 'A browser joined that another one of yours let in',
      shown_across_devices: () => 'Your customer card was shown to a browser that is not yours; it was told nothing',
      binding_added: (by) => `Added: ${by}`,
      binding_removed: (by) => `Removed: ${by}`,
      passkey_cloned: () => 'A passkey looked like a copy and was refused',
      credential_new_key: () => 'Your customer card came with a new key, as after moving to a new phone',
      credential_offered: () => 'A customer card was offered to a wallet',
      credential_issued: () => 'A wallet took your customer card',
      credential_accepted: () => 'A wallet keeps your customer card',
      credential_deleted: () => 'A wallet deleted your customer card',
      credential_revoked: () => 'A customer card was made void',
      did_replaced: () => 'A wallet key took the place of another',
      shop_did_replaced: () => 'The shop took a new name towards you',
      recovered: () => 'Somebody came back by the recovery code; all other browsers were signed out',
      recovery_undone: () => 'That return was undone',
      recovery_code_made: () => 'A recovery code was made',
      recovery_code_handed_out: () => 'The shop\'s staff handed out a recovery code',
      sessions_ended: () => 'Browsers were signed out',
      merged: () => 'Two records became one',
      merge_undone: () => 'Two records were taken apart again',
      account_linked: (_, { provider }) => `Your account of before (${provider}) was joined`,
      desk_recognised: (_, { desk }) => `You proved yourself to: ${desk}`,
      desk_refused: (_, { desk }) => `You refused: ${desk}`,
    },
    something: (what) => `Something happened (${what})`,

    mergeTitle: 'Are both you?',
    mergeOffered: (by, since) => `You have just shown ${by}. The shop knows it since ${since}, under another name than this browser.`,
    mergeJoins: 'If both are you, they become one: what you showed, ordered and have set aside, and everything that recognises you. For some days you can undo that.',
    merge: 'Yes, both are me: join them',
    mergeOther: 'No: go on as the other one',
    mergeOtherText: 'This browser was signed out and begins anew. Show it once more:',
    mergeLeave: 'Leave it',
    another_person: 'Both keep different values of the same thing: the shop takes them for two people.',
    mergedOn: (until) => `Another record was joined to yours. It can be taken apart until ${until}.`,
    unmerge: 'Take apart again',

    makeCode: 'Make a recovery code',
    remakeCode: 'Make a new one; the old one is void then',
    codeSince: (date) => `You have a recovery code, made ${date}.`,
    codeAbout: 'If everything else is lost, a code on paper brings you back. It is shown once. Whoever has it can come in as you: keep it where you keep papers.',
    codeOnce: 'Write it down now. It is not shown again.',
    codeKept: 'I wrote it down',
    codeAsk: 'Your recovery code',
    codeHint: 'Six groups of four; dashes do not matter.',
    codeUse: 'Come back by this code',
    codeWarn: 'All other browsers are signed out then, and for some days no money goes back and no address is changed.',
    cooling: (until) => `A recovery code was used. Until ${until} no money goes back and no address is changed.`,
    undoRecovery: 'That was not me: undo it',
    undone: 'Undone. What was added since then is gone.',

    cardAbout: 'A customer card in your wallet recognises you on every device that the wallet is on. It holds a number that this shop made up for it, and nothing that another shop could use.',
    cardOffer: 'Keep this shop in your wallet',
    cardHave: 'I have it already: show it',
    cardScan: 'Scan this with the wallet on your phone,',
    cardOpen: 'Open a wallet on this device',
    cardCode: 'and type this number when it asks. Tell it to nobody:',
    cardWait: 'Waiting for your wallet',
    cardKept: 'Your wallet has the card. It recognises you from now on.',
    cardOver: 'The time for this offer is over.',
    cardThere: (date) => `Your wallet has a customer card since ${date}.`,

    consentAllow: 'Yes, it may',
    consentDeny: 'No',
    consentStranger: 'The shop does not know this browser. Show here who you are, or open this page in the browser that the shop knows.',
    consentLost: 'This page was opened without what a wallet hands over. Begin again in the wallet.',
    consentOn: 'Go on in your wallet',
    no_such_wallet_request: 'This question is over. Begin again in the wallet.',
    offer_of_another_customer: 'The offer was made to somebody else: open this page in the browser in which it was.',

    export: 'Download everything',
    exportAbout: 'All that the shop has of you, in one file that programs can read.',
    exported: 'It is in your downloads.',
    forget: 'Forget me',
    forgetAbout: 'Everything is deleted at once and for good: what you showed, what recognises you, and what happened. A customer card becomes void. What the law has books keep stays without your name.',
    forgetYes: 'Yes, forget everything',
    forgotten: 'The shop has forgotten you.',
    stays: { orders: (count) => `What stays: ${count === 1 ? 'one order' : `${count} orders`} in the books, as the law wants it, with nothing that leads to you.` },
  },
  de: {
    strangers: 'Hier zeigt der Shop, was er über seine Kundinnen und Kunden weiß. Diesen Browser kennt er nicht.',
    yes: 'Ja', cancel: 'Abbrechen', save: 'Speichern', done: 'Fertig', copy: 'Kopieren', copied: 'Kopiert', print: 'Drucken',
    nothing: 'Nichts wurde gezeigt. Sie können es noch einmal versuchen.',
    shown: 'Danke. Der Shop weiß, dass Sie es sind.',
    stepUp: 'Zeigen Sie dafür noch einmal, dass Sie es sind.',
    byPasskey: 'Passkey verwenden',
    byWallet: 'Wallet verwenden',
    not_recognised: 'Das kennt der Shop nicht, oder nicht mehr.',
    across_devices: 'Dieser Browser wurde mit einem Code von einem anderen Gerät angemeldet. Zeigen Sie es dafür auf diesem Gerät selbst.',
    too_many_bindings: 'Es gibt schon zu viele Wege herein. Entfernen Sie zuerst einen.',
    cooling_down: 'Ein Wiederherstellungscode wurde benutzt. Das hier wartet einige Tage.',
    nothing_to_merge: 'Es ist zu viel Zeit vergangen. Zeigen Sie beides noch einmal.',
    nothing_to_undo: 'Das lässt sich nicht mehr rückgängig machen.',
    merged_lately: 'Vor Kurzem wurde ein anderer Eintrag mit Ihrem verbunden. Trennen Sie die beiden zuerst.',
    too_many_merged: 'Mehr Einträge lassen sich nicht verbinden.',
    passkey_ceremony_over: 'Das hat zu lange gedauert. Bitte noch einmal versuchen.',
    passkey_counter: 'Dieser Passkey sieht aus wie eine Kopie von Ihrem und wurde abgelehnt. Liegt er auf Ihrem eigenen Gerät, versuchen Sie es noch einmal.',
    invalid_request: 'Das kann der Shop nicht lesen.',

    addPasskey: 'Passkey hinzufügen',
    usePasskey: 'Mit Passkey anmelden',
    newPasskey: 'Mit neuem Passkey beginnen',
    passkeyAdded: 'Der Passkey ist hinzugefügt. Ab jetzt können Sie sich damit anmelden.',
    passkeyHere: 'Dieses Gerät hat schon einen Passkey für diesen Shop.',
    passkeyNo: 'Dieser Browser kann keine Passkeys verwenden.',
    passkeyOffer: 'Nur dieser Browser kennt Sie hier. Mit einem Passkey kennen Sie auch Ihre anderen Geräte, und dieses, nachdem es geleert wurde.',
    passkeyAbout: 'Ein Passkey lässt Sie mit der Sperre Ihres Geräts herein: Finger, Gesicht oder PIN. Der Shop erfährt nichts davon, und kein anderer Shop kann Sie daran erkennen. Wenn Ihr Telefon oder Passwortmanager Passkeys auf Ihre anderen Geräte kopiert, liegt diese Kopie bei seinem Hersteller: Dann ist der Passkey so sicher wie Ihr Konto dort.',

    rungs: { recovery_code: 'Wiederherstellungscode', browser_key: 'Browser', did: 'Schlüssel der Wallet', passkey: 'Passkey', relationship_credential: 'Kundenkarte in der Wallet' },
    by: { recovery_code: 'einen Wiederherstellungscode', browser_key: 'den Schlüssel eines Browsers', did: 'einen Schlüssel der Wallet', passkey: 'einen Passkey', relationship_credential: 'Ihre Kundenkarte' },
    here: 'Dieser Browser',
    out: 'Abgemeldet',
    since: (date) => `Seit ${date}`,
    seen: (date) => `zuletzt ${date}`,
    across: 'mit einem Code von einem anderen Gerät angemeldet, sieht weniger',
    synced: 'darf von seiner Plattform kopiert werden',
    unsynced: 'bleibt auf seinem Gerät',
    rename: 'Umbenennen',
    name: 'Name dieses Geräts',
    signOutThere: 'Abmelden',
    remove: 'Entfernen',
    sure: (name) => `„${name}“ öffnet dann nichts mehr. Entfernen?`,
    onlyWay: 'Außer Browsern, die Sie kennen, führt sonst nichts zu Ihnen. Gehen die verloren, findet der Shop Sie nicht wieder.',
    removed: 'Entfernt.',
    signedOut: 'Abgemeldet.',
    signOutOthers: 'Alle anderen Browser abmelden',
    signOutAll: 'Überall abmelden, auch hier',
    history: 'Waren Sie das?',
    historyNone: 'Noch ist nichts geschehen.',
    more: 'Alles zeigen',
    notMe: 'Das war ich nicht',
    alarm: (date) => `Vielleicht war jemand anderes hier. Das meldet alle anderen Browser ab und schließt jeden Weg herein, der seit ${date} hinzukam.`,
    close: 'Schließen, was seitdem kam',
    closed: 'Geschlossen. Alle anderen Browser sind abgemeldet.',
    happened: {
      began: (by) => `Der Shop hat Sie kennengelernt, durch ${by}`,
      recognised: (by) => `Sie wurden erkannt, durch ${by}`,
      device_added: (by) => `Ein neuer Browser wurde Ihrer, durch ${by}`,
      device_vouched: () => 'Ein Browser kam hinzu, den ein anderer von Ihnen hereinließ',
      shown_across_devices: () => 'Ihre Kundenkarte wurde einem Browser gezeigt, der nicht Ihrer ist; er erfuhr nichts',
      binding_added: (by) => `Hinzugefügt: ${by}`,
      binding_removed: (by) => `Entfernt: ${by}`,
      passkey_cloned: () => 'Ein Passkey sah wie eine Kopie aus und wurde abgelehnt',
      credential_new_key: () => 'Ihre Kundenkarte kam mit einem neuen Schlüssel, wie nach dem Umzug auf ein neues Telefon',
      credential_offered: () => 'Eine Kundenkarte wurde einer Wallet angeboten',
      credential_issued: () => 'Eine Wallet hat Ihre Kundenkarte geholt',
      credential_accepted: () => 'Eine Wallet bewahrt Ihre Kundenkarte auf',
      credential_deleted: () => 'Eine Wallet hat Ihre Kundenkarte gelöscht',
      credential_revoked: () => 'Eine Kundenkarte wurde ungültig',
      did_replaced: () => 'Ein Schlüssel der Wallet trat an die Stelle eines anderen',
      shop_did_replaced: () => 'Der Shop hat Ihnen gegenüber einen neuen Namen',
      recovered: () => 'Jemand kam mit dem Wiederherstellungscode zurück; alle anderen Browser wurden abgemeldet',
      recovery_undone: () => 'Diese Rückkehr wurde rückgängig gemacht',
      recovery_code_made: () => 'Ein Wiederherstellungscode wurde erstellt',
      recovery_code_handed_out: () => 'Der Shop hat einen Wiederherstellungscode ausgegeben',
      sessions_ended: () => 'Browser wurden abgemeldet',
      merged: () => 'Zwei Einträge wurden einer',
      merge_undone: () => 'Zwei Einträge wurden wieder getrennt',
      account_linked: (_, { provider }) => `Ihr früheres Konto (${provider}) kam hinzu`,
      desk_recognised: (_, { desk }) => `Sie haben sich ausgewiesen bei: ${desk}`,
      desk_refused: (_, { desk }) => `Sie haben abgelehnt: ${desk}`,
    },
    something: (what) => `Etwas ist geschehen (${what})`,

    mergeTitle: 'Sind das beides Sie?',
    mergeOffered: (by, since) => `Sie haben gerade etwas gezeigt: ${by}. Der Shop kennt das seit ${since}, unter einem anderen Namen als diesen Browser.`,
    mergeJoins: 'Wenn beides Sie sind, wird eines daraus: was Sie gezeigt, bestellt und zurückgelegt haben, und alles, woran Sie erkannt werden. Einige Tage lang können Sie das rückgängig machen.',
    merge: 'Ja, beides bin ich: zusammenführen',
    mergeOther: 'Nein: als der andere weitermachen',
    mergeOtherText: 'Dieser Browser ist abgemeldet und beginnt neu. Zeigen Sie es noch einmal:',
    mergeLeave: 'So lassen',
    another_person: 'Beide bewahren für dasselbe verschiedene Werte auf: Der Shop hält sie für zwei Menschen.',
    mergedOn: (until) => `Ein anderer Eintrag kam zu Ihrem. Bis ${until} lässt sich das trennen.`,
    unmerge: 'Wieder trennen',

    makeCode: 'Wiederherstellungscode erstellen',
    remakeCode: 'Neuen erstellen; der alte gilt dann nicht mehr',
    codeSince: (date) => `Sie haben einen Wiederherstellungscode vom ${date}.`,
    codeAbout: 'Wenn alles andere verloren ist, bringt Sie ein Code auf Papier zurück. Er wird einmal gezeigt. Wer ihn hat, kann als Sie hereinkommen: Bewahren Sie ihn bei Ihren Papieren auf.',
    codeOnce: 'Schreiben Sie ihn jetzt auf. Er wird nicht noch einmal gezeigt.',
    codeKept: 'Ich habe ihn aufgeschrieben',
    codeAsk: 'Ihr Wiederherstellungscode',
    codeHint: 'Sechs Gruppen zu vier Zeichen; Striche sind egal.',
    codeUse: 'Mit diesem Code zurückkommen',
    codeWarn: 'Alle anderen Browser werden dann abgemeldet, und einige Tage lang geht kein Geld zurück und ändert sich keine Anschrift.',
    cooling: (until) => `Ein Wiederherstellungscode wurde benutzt. Bis ${until} geht kein Geld zurück und ändert sich keine Anschrift.`,
    undoRecovery: 'Das war ich nicht: rückgängig machen',
    undone: 'Rückgängig gemacht. Was seitdem hinzukam, ist weg.',

    cardAbout: 'Eine Kundenkarte in Ihrer Wallet erkennt Sie auf jedem Gerät, auf dem die Wallet ist. Darin steht eine Nummer, die dieser Shop sich dafür ausgedacht hat, und nichts, was ein anderer Shop verwenden könnte.',
    cardOffer: 'Diesen Shop in die Wallet legen',
    cardHave: 'Habe ich schon: zeigen',
    cardScan: 'Scannen Sie das mit der Wallet auf Ihrem Telefon,',
    cardOpen: 'Wallet auf diesem Gerät öffnen',
    cardCode: 'und tippen Sie diese Zahl ein, wenn sie fragt. Sagen Sie sie niemandem:',
    cardWait: 'Warten auf Ihre Wallet',
    cardKept: 'Ihre Wallet hat die Karte. Ab jetzt erkennt sie Sie.',
    cardOver: 'Die Zeit für dieses Angebot ist abgelaufen.',
    cardThere: (date) => `Ihre Wallet hat eine Kundenkarte seit ${date}.`,

    consentAllow: 'Ja, sie darf',
    consentDeny: 'Nein',
    consentStranger: 'Diesen Browser kennt der Shop nicht. Zeigen Sie hier, wer Sie sind, oder öffnen Sie diese Seite in dem Browser, den der Shop kennt.',
    consentLost: 'Diese Seite wurde ohne das geöffnet, was eine Wallet mitgibt. Beginnen Sie in der Wallet noch einmal.',
    consentOn: 'In der Wallet weitermachen',
    no_such_wallet_request: 'Diese Frage ist vorbei. Beginnen Sie in der Wallet noch einmal.',
    offer_of_another_customer: 'Das Angebot galt jemand anderem: Öffnen Sie diese Seite in dem Browser, in dem es gemacht wurde.',

    export: 'Alles herunterladen',
    exportAbout: 'Alles, was der Shop von Ihnen hat, in einer Datei, die Programme lesen können.',
    exported: 'Es liegt bei Ihren Downloads.',
    forget: 'Vergessen Sie mich',
    forgetAbout: 'Alles wird sofort und endgültig gelöscht: was Sie gezeigt haben, woran Sie erkannt werden und was geschah. Eine Kundenkarte wird ungültig. Was nach dem Gesetz in den Büchern bleiben muss, bleibt ohne Ihren Namen.',
    forgetYes: 'Ja, alles vergessen',
    forgotten: 'Der Shop hat Sie vergessen.',
    stays: { orders: (count) => `Was bleibt: ${count === 1 ? 'eine Bestellung' : `${count} Bestellungen`} in den Büchern, wie es das Gesetz will, ohne etwas, das zu Ihnen führt.` },
  },
};

const moment = (text, language) =>
  new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(text));

// --- passkeys

const canPasskey = () => Boolean(globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON);

/** Makes one: for the customer, or for somebody new, who then begins with it. @returns {Promise<boolean>} whether one began */
async function addPasskey() {
  const { publicKey } = await byKey('POST', 'passkeys/options');
  const options = { publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) };
  const credential = (await navigator.credentials.create(options)).toJSON();
  const { session } = await call('POST', 'passkeys', { credential, name: deviceName() }, true);
  if (session) await takeSession(session);
  return Boolean(session);
}

/** Signs in by one, or shows it once more. */
async function usePasskey() {
  const { publicKey } = await byKey('POST', 'passkeys/sign-in/options');
  const options = { publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) };
  const credential = (await navigator.credentials.get(options)).toJSON();
  await takeSession(await call('POST', 'passkeys/sign-in', { credential }, true));
}

// --- elements

const STYLE = `
:host { display: block; --_accent: var(--firsthand-accent, light-dark(#14503f, #8fd6bd));
  --_on-accent: var(--firsthand-on-accent, light-dark(#fff, #08261d)); --_radius: var(--firsthand-radius, 12px);
  --_line: var(--firsthand-line, color-mix(in srgb, currentColor 22%, transparent)); --_warning: var(--firsthand-warning, light-dark(#b3261e, #ffb4ab)) }
:host([hidden]), [hidden] { display: none !important }
* { box-sizing: border-box; min-width: 0 }
button, summary, a, input { min-height: 44px; font: inherit }
button, a { display: inline-flex; align-items: center; justify-content: center; padding: 8px 16px; border: 1px solid var(--_line);
  border-radius: var(--_radius); background: none; color: inherit; text-decoration: none; text-align: center; cursor: pointer; touch-action: manipulation }
.main { border-color: transparent; background: var(--_accent); color: var(--_on-accent); font-weight: 600 }
.danger { border-color: currentColor; color: var(--_warning) }
.quiet { padding: 8px 2px; border: 0; text-decoration: underline; text-underline-offset: .2em; font-size: .94em }
button:disabled { opacity: .55; cursor: default }
:focus-visible { outline: 3px solid var(--_accent); outline-offset: 3px }
[part=body]:focus { outline: none }
p { margin: 0 0 .7em; text-wrap: pretty }
.row { margin-bottom: .7em }
.centre { justify-content: center; text-align: center }
ul, ol { display: grid; gap: 10px; margin: 0 0 1em; padding: 0; list-style: none }
li, .card { padding: 12px 16px; border: 1px solid var(--_line); border-radius: var(--_radius); background: var(--firsthand-background, transparent) }
.card { margin: 0 0 1em; border-inline-start: 4px solid var(--_accent) }
.card.warning { border-inline-start-color: var(--_warning) }
.card > :last-child, li > :last-child, .row > * { margin-bottom: 0 }
li > p { margin-bottom: .3em }
li > .row { margin-bottom: -8px }
h3 { margin: 0 0 .2em; font-size: 1.06em; font-weight: 600; overflow-wrap: anywhere }
.badge { display: inline-block; margin-inline-start: .5em; padding: 0 .7em; border: 1px solid currentColor; border-radius: 2em; font-size: .82em; font-weight: 400; white-space: nowrap; color: var(--_accent) }
.out { color: inherit; opacity: .75 }
.small { font-size: .92em; opacity: .85 }
.row { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 16px }
.row > input { flex: 1 1 12rem }
input[type=text] { padding: 8px 12px; border: 1px solid currentColor; border-radius: var(--_radius); background: none; color: inherit; width: 100% }
label { display: block; margin-bottom: .3em }
label.check { display: flex; align-items: center; gap: 12px; min-height: 44px; cursor: pointer }
.check input { width: 22px; height: 22px; min-height: 0; flex: none; accent-color: var(--_accent) }
.code { display: block; margin: .5em 0; font: 600 clamp(1.1rem, 5.4vw, 1.7rem)/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; letter-spacing: .04em; user-select: all; overflow-wrap: break-word }
.number { font-size: clamp(2rem, 11vw, 3rem); letter-spacing: .18em }
.offer { display: flex; flex-wrap: wrap; gap: 20px; margin-bottom: 1em }
.offer > * { flex: 1 1 14rem }
svg { display: block; width: min(100%, 17rem); border-radius: 8px; background: #fff; fill: #000; forced-color-adjust: none }
.events li { display: flex; flex-wrap: wrap; align-items: center; gap: 0 14px; padding: 8px 0; border: 0; border-block-end: 1px solid var(--_line); border-radius: 0; background: none }
.events { gap: 0 }
.events span { flex: 1 1 14rem }
time { font-variant-numeric: tabular-nums }
summary { padding: 10px 0; cursor: pointer }
[part=status] { margin: .3em 0 0; font-size: .96em }
[part=status]:empty { margin: 0 }
firsthand-button::part(button) { min-height: 44px; padding: 8px 16px }
.main + firsthand-button::part(button) { border-color: var(--_line); background: none; color: inherit; font-weight: inherit }
.failed { color: var(--_warning) }
@media print { button, [part=status], .check { display: none } }
`;

const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);

/** Those on the page: what one changes, the others show. @type {Set<Panel>} */
const panels = new Set();

const el = (name, attributes, ...children) => make(name, attributes, ...children.flat().filter(Boolean));

/** What all of them are: a place for content, and a line that says how it goes. */
class Panel extends HTMLElement {
  #body = el('div', { part: 'body', tabindex: '-1' });
  #status = el('p', { part: 'status', role: 'status' });
  #turn = null;
  #busy = false;

  connectedCallback() {
    panels.add(this);
    if (!this.shadowRoot) {
      const root = this.attachShadow({ mode: 'open' });
      root.adoptedStyleSheets = [sheet];
      root.append(this.#body, this.#status);
    }
    this.refresh();
  }

  disconnectedCallback() {
    panels.delete(this);
  }

  get w() {
    return { ...words(this), ...WORDS[languageOf(this)] };
  }

  date(text) {
    return moment(text, languageOf(this));
  }

  /** What it shows, as elements; null for what it shows already. Called again whenever something may have changed. */
  async draw() {
    return [];
  }

  async refresh() {
    const turn = (this.#turn = {});
    if (!this.#body.hasChildNodes()) this.say(this.w.loading);
    this.setAttribute('aria-busy', 'true');
    try {
      await ready;
      const drawn = await this.draw();
      if (turn !== this.#turn) return;
      if (drawn) this.show(...drawn);
      if (this.#status.textContent === this.w.loading) this.say('');
    } catch (problem) {
      if (turn === this.#turn) this.#fail(problem, () => this.refresh());
    } finally {
      if (turn === this.#turn) this.removeAttribute('aria-busy');
    }
  }

  /** Puts content in place; who was in it stays there. */
  show(...content) {
    const inside = this.#body.contains(this.shadowRoot.activeElement);
    this.#body.replaceChildren(...content.flat().filter(Boolean));
    if (inside) this.#body.focus();
  }

  say(text, failed = false) {
    this.#status.textContent = text;
    this.#status.className = failed ? 'failed' : '';
  }

  button(label, work, look = '') {
    return el('button', { type: 'button', part: `button ${look}`, class: look, onclick: () => this.run(work) }, label);
  }

  /** Does what a button is for; `work` may answer what is to be said. Afterwards all panels show what is so now. */
  async run(work) {
    if (this.#busy) return;
    this.#busy = true;
    this.#body.setAttribute('aria-busy', 'true');
    this.say(this.w.loading);
    try {
      const said = await work();
      this.say(said ?? '');
    } catch (problem) {
      this.#fail(problem, () => this.run(work));
    } finally {
      this.#busy = false;
      this.#body.removeAttribute('aria-busy');
    }
  }

  /** After something has changed. */
  async changed(said) {
    await Promise.all([...panels].map((panel) => panel.refresh()));
    return said;
  }

  #fail(problem, again) {
    const { w } = this;
    if (problem.code === 'step_up_needed' || problem.code === 'rung_needed') return this.#stepUp(again);
    if (problem.name === 'NotAllowedError' || problem.name === 'AbortError') return this.say(w.nothing, true);
    if (problem.name === 'InvalidStateError') return this.say(w.passkeyHere, true);
    const merges = [...panels].some((panel) => panel instanceof FirsthandMerge);
    if (problem.code === 'another_customer' && merges) return this.say('');
    this.say(describe(problem, w), true);
    if (problem instanceof TypeError) this.#status.append(' ', this.button(w.retry, again, 'quiet'));
  }

  /** Asks for the strongest once more, and goes on where it was. */
  #stepUp(again) {
    const { w } = this;
    this.say(w.stepUp);
    const passkey = canPasskey() && this.button(w.byPasskey, () => usePasskey().then(() => void setTimeout(again)), 'main');
    const wallet = this.getAttribute('ask') && el('firsthand-button', { ask: this.getAttribute('ask') }, w.byWallet);
    if (wallet) {
      wallet.addEventListener('firsthand-recognised', (event) => {
        event.preventDefault();
        again();
      });
    }
    const ways = el('span', { class: 'row' }, passkey, wallet);
    this.#status.append(ways);
    ways.querySelector('button')?.focus();
  }

  /** A question before what cannot be undone, in the place of what was pressed. */
  sure(place, text, yes, work) {
    const { w } = this;
    const before = [...place.childNodes];
    const back = () => place.replaceChildren(...before);
    const question = el('div', { role: 'group', 'aria-label': text }, el('p', {}, text),
      el('div', { class: 'row' }, this.button(yes, work, 'danger'), el('button', { type: 'button', onclick: back }, w.cancel)));
    place.replaceChildren(question);
    question.querySelector('button').focus();
  }

  /** Goes on in the shop as whoever the customer is now. */
  goOn() {
    const event = new CustomEvent('firsthand-recognised', { bubbles: true, composed: true, cancelable: true });
    if (this.dispatchEvent(event)) proceed(this.returnTo);
  }

  get returnTo() {
    const path = this.getAttribute('return-to');
    return path ? (localPath(path) ?? undefined) : undefined;
  }
}

/**
 * `<firsthand-passkey>`: adds a passkey for a customer; signs a stranger in by one, or lets them begin with a new one. With the
 * attribute `offer` it is there for customers alone whom nothing but a browser knows.
 */
class FirsthandPasskey extends Panel {
  async draw() {
    const { w } = this;
    const offers = this.hasAttribute('offer');
    if (!canPasskey()) return offers ? [] : [el('p', {}, w.passkeyNo)];
    const about = el('p', { class: 'small' }, w.passkeyAbout);
    if (offers && !recognised) return [];
    if (recognised) {
      const add = () => addPasskey().then(() => this.changed(w.passkeyAdded));
      if (offers) {
        const { bindings } = await call('GET', 'bindings');
        if (bindings.some(({ rung, locked }) => !locked && !['browser_key', 'recovery_code'].includes(rung))) return [];
        return [el('p', {}, w.passkeyOffer), el('p', { class: 'row' }, this.button(w.addPasskey, add)), about];
      }
      const show = () => usePasskey().then(() => this.changed(w.shown));
      return [el('p', { class: 'row' }, this.button(w.addPasskey, add, 'main'), this.button(w.byPasskey, show)), about];
    }
    const enter = (how) => () => how().then(() => this.goOn());
    return [
      el('p', { class: 'row' }, this.button(w.usePasskey, enter(usePasskey), 'main'), this.button(w.newPasskey, enter(addPasskey))),
      about,
    ];
  }
}

/** `<firsthand-devices>`: what recognises the customer, where they are signed in, and what happened. */
class FirsthandDevices extends Panel {
  #all = false;
  #alarm = null;

  async draw() {
    const { w } = this;
    if (!recognised) return [el('p', {}, w.strangers)];
    const [{ bindings }, { sessions }, { history }] = await Promise.all(['bindings', 'sessions', 'history'].map((path) => call('GET', path)));
    const has = (rung) => bindings.some((binding) => binding.rung === rung);
    const { passkeys } = has('passkey') ? await call('GET', 'passkeys') : { passkeys: [] };
    const own = bindings.find(({ current }) => current);
    const others = sessions.filter(({ current, did }) => !current && did !== own?.did);
    const items = bindings.map((binding) => this.#item(binding, sessions, passkeys));
    return [
      el('ul', { part: 'list' }, items),
      el('p', { class: 'row' },
        others.length > 0 && this.button(w.signOutOthers, () => this.#signOut(others)),
        this.button(w.signOutAll, () => signOut('all').then(() => this.goOn()), 'quiet')),
      ...this.#history(history, others),
    ];
  }

  #item(binding, sessions, passkeys) {
    const { w } = this;
    const { name, rung, label, locked, current, since, did } = binding;
    const open = rung === 'browser_key' ? sessions.filter((session) => session.did === did) : [];
    const passkey = passkeys.find(({ id }) => id === name);
    const seen = [...open.map(({ last_seen }) => last_seen), passkey?.used_at].filter(Boolean).sort().at(-1);
    const kind = w.rungs[rung] ?? rung;
    const called = rung === 'browser_key' ? (label ?? kind) : [kind, label].filter(Boolean).join(' · ');
    const facts = [
      w.since(this.date(since)),
      seen && !current && w.seen(this.date(seen)),
      open.some(({ across_devices }) => across_devices) && w.across,
      passkey && (passkey.synced ? w.synced : w.unsynced),
    ];
    const place = el('div', { class: 'row' });
    const rename = () => this.#rename(place, label ?? '', current ? undefined : open[0]?.id);
    const remove = () => {
      const path = rung === 'passkey' ? 'passkeys' : 'bindings';
      const work = () => call('DELETE', `${path}/${encodeURIComponent(name)}`).then(() => this.changed(w.removed));
      this.sure(place, [w.sure(called), passkey?.only_way && w.onlyWay].filter(Boolean).join(' '), w.remove, work);
    };
    const tool = (text, onclick) => el('button', { type: 'button', class: 'quiet', part: 'button quiet', 'aria-label': `${text}: ${called}`, onclick }, text);
    place.append(...[
      open.length > 0 && tool(w.rename, rename),
      open.length > 0 && !current && tool(w.signOutThere, () => this.run(() => this.#signOut(open))),
      !current && tool(w.remove, remove),
    ].filter(Boolean));
    const badge = (current && w.here) || (locked && w.out);
    return el('li', { part: 'item' },
      el('h3', {}, called, badge && el('span', { class: locked ? 'badge out' : 'badge' }, badge)),
      el('p', { class: 'small' }, facts.filter(Boolean).join(' · ')), place);
  }

  #rename(place, called, session) {
    const { w } = this;
    const field = el('input', { type: 'text', value: called, maxlength: '40', required: true, 'aria-label': w.name, autocomplete: 'off' });
    const work = () => call('PUT', 'device', { name: field.value.trim(), session }).then(() => this.changed());
    const onsubmit = (event) => {
      event.preventDefault();
      this.run(work);
    };
    const cancel = el('button', { type: 'button', onclick: () => this.refresh() }, w.cancel);
    place.replaceChildren(el('form', { class: 'row', 'data-firsthand-native': true, onsubmit }, field, el('button', { class: 'main' }, w.save), cancel));
    field.select();
  }

  async #signOut(sessions) {
    // One after the other: those of one key end together.
    for (const { id } of sessions) await call('DELETE', `sessions/${encodeURIComponent(id)}`).catch((problem) => { if (problem.status !== 404) throw problem; });
    return this.changed(this.w.signedOut);
  }

  async #close(others) {
    await call('POST', 'history/not-me', { at: this.#alarm.at }).catch((problem) => {
      // A shop without desks has not this way: its sessions at least.
      if (problem.status !== 404) throw problem;
      return this.#signOut(others);
    });
    this.#alarm = null;
    return this.changed(this.w.closed);
  }

  #history(history, others) {
    const { w } = this;
    const shown = this.#all ? history : history.slice(0, 8);
    const strange = /^(device_|recognised|recovered|binding_added|shown_|credential_(offered|issued|accepted|new)|merged|passkey_cloned|desk_)/;
    const items = shown.map((entry) => {
      const { at, what, rung, device } = entry;
      const text = w.happened[what]?.(w.by[rung] ?? rung, entry) ?? w.something(what);
      const alarm = () => {
        this.#alarm = entry;
        this.refresh();
      };
      return el('li', {},
        el('span', {}, text, device && ` (${device})`, el('br', {}), el('time', { datetime: at, class: 'small' }, this.date(at))),
        strange.test(what) && el('button', { type: 'button', class: 'quiet', 'aria-label': `${w.notMe}: ${text}`, onclick: alarm }, w.notMe));
    });
    const more = history.length > shown.length && el('button', { type: 'button', class: 'quiet', onclick: () => ((this.#all = true), this.refresh()) }, w.more);
    const alarm = this.#alarm && el('div', { class: 'card warning', role: 'alert' },
      el('p', {}, w.alarm(this.date(this.#alarm.at))),
      el('p', { class: 'row' },
        this.button(w.close, () => this.#close(others), 'danger'),
        this.#alarm.what === 'recovered' && this.button(w.undoRecovery, () => call('DELETE', 'recovery').then(() => this.changed(w.undone)), 'danger')));
    return [el('h3', { id: 'history' }, w.history), alarm, items.length ? el('ol', { class: 'events', 'aria-labelledby': 'history' }, items) : el('p', {}, w.historyNone), more];
  }
}

/** `<firsthand-merge>`: another record was shown; and those that became this one. It is empty where there is neither. */
class FirsthandMerge extends Panel {
  #left = false;

  async draw() {
    const { w } = this;
    if (!recognised) return [];
    const { offered, merged } = await call('GET', 'merges');
    const apart = ({ id, undo_until }) => {
      const work = () => call('DELETE', `merges/${encodeURIComponent(id)}`).then(() => this.goOn());
      return el('li', { part: 'item' }, el('p', {}, w.mergedOn(this.date(undo_until))), this.button(w.unmerge, work));
    };
    return [offered && !this.#left && this.#offer(offered), merged.length > 0 && el('ul', { part: 'list' }, merged.map(apart))];
  }

  #offer({ rung, since }) {
    const { w } = this;
    const join = () => call('POST', 'merges').then(() => this.goOn());
    const leave = () => {
      this.#left = true;
      this.refresh();
    };
    return el('section', { class: 'card', 'aria-labelledby': 'merge' },
      el('h3', { id: 'merge' }, w.mergeTitle), el('p', {}, w.mergeOffered(w.by[rung] ?? rung, this.date(since))), el('p', {}, w.mergeJoins),
      el('div', { class: 'row' }, this.button(w.merge, join, 'main'), this.button(w.mergeOther, () => this.#other(rung)), this.button(w.mergeLeave, leave, 'quiet')));
  }

  /** By a new key, which is nobody's: this one stays with its own customer. */
  async #other(rung) {
    const { w } = this;
    await signOut();
    const passkey = this.button(w.usePasskey, () => usePasskey().then(() => this.goOn()), 'main');
    const wallet = el('firsthand-button', { ask: this.getAttribute('ask') }, w.byWallet);
    this.show(el('div', { class: 'card' }, el('p', {}, w.mergeOtherText), rung === 'relationship_credential' ? wallet : passkey));
  }

  /** Something of another customer was shown. */
  offer() {
    this.#left = false;
    this.refresh().then(() => this.scrollIntoView({ block: 'nearest' }));
  }
}

/** `<firsthand-recovery>`: makes a code for a customer, and takes one from a stranger. */
class FirsthandRecovery extends Panel {
  #code = null;

  async draw() {
    const { w } = this;
    if (!recognised) return this.#use();
    if (this.#code) return this.#once();
    const { bindings, cooling_until } = await call('GET', 'bindings');
    const code = bindings.find(({ rung, locked }) => rung === 'recovery_code' && !locked);
    const undo = () => call('DELETE', 'recovery').then(() => this.changed(w.undone));
    const cooling = cooling_until && el('div', { class: 'card warning' }, el('p', {}, w.cooling(this.date(cooling_until))), this.button(w.undoRecovery, undo, 'quiet'));
    const makeOne = async () => {
      this.#code = (await call('POST', 'recovery-code')).code;
      await this.changed();
    };
    return [
      cooling,
      code && el('p', {}, w.codeSince(this.date(code.since))),
      el('p', {}, this.button(code ? w.remakeCode : w.makeCode, makeOne, code ? '' : 'main')),
      el('p', { class: 'small' }, w.codeAbout),
    ];
  }

  #once() {
    const { w } = this;
    const done = this.button(w.done, () => ((this.#code = null), this.changed()), 'main');
    done.disabled = true;
    const box = el('input', { type: 'checkbox', onchange: () => (done.disabled = !box.checked) });
    const copy = () => navigator.clipboard.writeText(this.#code).then(() => w.copied);
    return [
      el('div', { class: 'card' },
        el('p', {}, w.codeOnce),
        el('code', { class: 'code', part: 'code' }, this.#code),
        el('div', { class: 'row' }, this.button(w.copy, copy), this.button(w.print, () => this.#print())),
        el('label', { class: 'check' }, box, w.codeKept),
        el('p', {}, done)),
    ];
  }

  /** The code alone goes on the paper, with the name of the shop. */
  #print() {
    const paper = new CSSStyleSheet();
    paper.replaceSync(`@media print { body * { visibility: hidden } ${this.localName} { visibility: visible; position: fixed; inset: 0 } }`);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, paper];
    window.print();
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== paper);
  }

  #use() {
    const { w } = this;
    const field = el('input', { type: 'text', id: 'code', required: true, autocomplete: 'off', autocapitalize: 'characters', spellcheck: 'false', maxlength: '60', 'aria-describedby': 'hint' });
    const work = async () => {
      await takeSession(await byKey('POST', 'recovery', { code: field.value }));
      this.goOn();
    };
    const onsubmit = (event) => {
      event.preventDefault();
      this.run(work);
    };
    return [
      el('form', { 'data-firsthand-native': true, onsubmit },
        el('label', { for: 'code' }, w.codeAsk),
        el('p', { class: 'row' }, field, el('button', { class: 'main', part: 'button main' }, w.codeUse)),
        el('p', { class: 'small', id: 'hint' }, `${w.codeHint} ${w.codeWarn}`)),
    ];
  }
}

/** `<firsthand-credential ask="welcome">`: puts a customer card into the wallet, or has it shown. */
class FirsthandCredential extends Panel {
  #waiting = null;

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#waiting?.abort();
  }

  async draw() {
    const { w } = this;
    const ask = this.getAttribute('ask');
    const have = ask && el('firsthand-button', { ask, 'return-to': this.getAttribute('return-to') }, w.cardHave);
    if (!recognised) return [have];
    if (this.#waiting) return null;
    const { bindings } = await call('GET', 'bindings');
    const cards = bindings.filter(({ rung, locked }) => rung === 'relationship_credential' && !locked);
    return [
      cards.map(({ since }) => el('p', {}, w.cardThere(this.date(since)))),
      el('div', { class: 'row' }, this.button(w.cardOffer, () => this.#offer(cards), cards.length ? '' : 'main'), have),
      el('p', { class: 'small' }, w.cardAbout),
    ];
  }

  async #offer(before) {
    const { w } = this;
    const { uri, by_reference_uri, tx_code, expires_in } = await call('POST', 'issuer/offers');
    const { signal } = (this.#waiting = new AbortController());
    const until = Date.now() + expires_in * 1000;
    const over = (said) => {
      this.#waiting?.abort();
      this.#waiting = null;
      this.changed().then(() => this.say(said));
    };
    this.show(
      el('div', { class: 'card' },
        el('div', { class: 'offer' },
          el('div', { part: 'qr' }, qrPicture(by_reference_uri, w.code)),
          el('div', {},
            el('p', {}, w.cardScan),
            el('p', {}, w.cardCode),
            el('code', { class: 'code number', part: 'code' }, tx_code),
            el('p', {}, el('a', { href: uri, part: 'link', 'data-firsthand-native': true }, w.cardOpen)))),
        el('button', { type: 'button', onclick: () => over('') }, w.cancel)),
    );
    this.#wait(signal, until, before.map(({ name }) => name), over);
    return w.cardWait;
  }

  async #wait(signal, until, before, over) {
    while (!signal.aborted && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 2000));
      if (signal.aborted || document.visibilityState !== 'visible') continue;
      const { bindings } = await call('GET', 'bindings').catch(() => ({ bindings: [] }));
      if (signal.aborted) return;
      if (bindings.some(({ rung, name }) => rung === 'relationship_credential' && !before.includes(name))) return over(this.w.cardKept);
    }
    if (!signal.aborted) over(this.w.cardOver);
  }
}

/** `<firsthand-consent>`, on the page to which a wallet leads its owner: whether it may have the customer card. */
class FirsthandConsent extends Panel {
  async draw() {
    const { w } = this;
    const id = new URLSearchParams(location.search).get('request_uri')?.split(':').at(-1);
    if (!id) return [el('p', {}, w.consentLost)];
    if (!recognised) {
      const passkey = canPasskey() && this.button(w.usePasskey, () => usePasskey().then(() => this.changed()), 'main');
      return [el('p', { class: 'centre' }, w.consentStranger), el('div', { class: 'row centre' }, passkey)];
    }
    const place = `issuer/consents/${encodeURIComponent(id)}`;
    await call('GET', place);
    const answer = (allow) => async () => {
      const { redirect_uri } = await call('POST', place, { allow });
      // A wallet's own scheme leaves this page where it is.
      this.show(el('p', {}, el('a', { href: redirect_uri, part: 'link', 'data-firsthand-native': true }, w.consentOn)));
      location.assign(redirect_uri);
    };
    return [el('div', { class: 'row centre' }, this.button(w.consentAllow, answer(true), 'main'), this.button(w.consentDeny, answer(false)))];
  }
}

/**
 * `<firsthand-leave>`: everything as a file; and being forgotten. Before the shop forgets, `firsthand-forget` asks the page to
 * delete what is its own: `event.detail.waitUntil(promise)`; if that fails, nothing is forgotten.
 */
class FirsthandLeave extends Panel {
  async draw() {
    const { w } = this;
    if (!recognised) return [el('p', {}, w.strangers)];
    const place = el('div', { class: 'row' });
    const ask = () => this.sure(place, w.forgetAbout, w.forgetYes, () => this.#forget());
    place.append(el('button', { type: 'button', part: 'button danger', class: 'danger', onclick: ask }, w.forget));
    return [el('p', {}, this.button(w.export, () => this.#export())), el('p', { class: 'small' }, w.exportAbout), place];
  }

  async #export() {
    const everything = await call('GET', 'me/export');
    const file = new Blob([JSON.stringify(everything, null, 2)], { type: 'application/json' });
    const href = URL.createObjectURL(file);
    make('a', { href, download: `${location.hostname}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
    return this.w.exported;
  }

  async #forget() {
    const { w } = this;
    const first = [];
    const detail = { waitUntil: (promise) => first.push(promise) };
    this.dispatchEvent(new CustomEvent('firsthand-forget', { bubbles: true, composed: true, detail }));
    await Promise.all(first);
    const { stays = [] } = (await forgetMe()) ?? {};
    const text = stays.map(({ what, count }) => w.stays[what]?.(count) ?? what).join(' ');
    message({ title: w.forgotten, text, back: HOME });
  }
}

document.addEventListener('firsthand-another-customer', () => {
  for (const panel of panels) if (panel instanceof FirsthandMerge) panel.offer();
});

customElements.define('firsthand-passkey', FirsthandPasskey);
customElements.define('firsthand-devices', FirsthandDevices);
customElements.define('firsthand-merge', FirsthandMerge);
customElements.define('firsthand-recovery', FirsthandRecovery);
customElements.define('firsthand-credential', FirsthandCredential);
customElements.define('firsthand-leave', FirsthandLeave);
customElements.define('firsthand-consent', FirsthandConsent);
