/**
 * The browser's own way to a wallet: the Digital Credentials API, behind `<firsthand-button>`. `firsthand.js` loads this
 * where the browser has one.
 *
 * The button in the dialog is there once the requests are: a browser opens a wallet only within a press, and a press does
 * not wait for the shop. Where that way is missing, refused or closed, the code and the links beside it stay as they are.
 */

import { byKey, languageOf, make } from './firsthand.js';

const WORDS = {
  en: {
    open: 'Open your wallet',
    how: 'Your browser finds it, on this device or beside it.',
    or: 'Or in another way',
    opened: 'Go on in the window of your browser.',
    checking: 'One moment …',
    closed: 'No wallet has answered, and nothing was shared. Try again, or choose another way.',
    refused: 'The shop could not accept that answer. Try again, or choose another way.',
  },
  de: {
    open: 'Wallet öffnen',
    how: 'Ihr Browser findet sie, auf diesem Gerät oder daneben.',
    or: 'Oder auf einem anderen Weg',
    opened: 'Weiter geht es im Fenster Ihres Browsers.',
    checking: 'Einen Moment …',
    closed: 'Keine Wallet hat geantwortet, und nichts wurde geteilt. Versuchen Sie es noch einmal, oder wählen Sie einen anderen Weg.',
    refused: 'Der Shop konnte diese Antwort nicht annehmen. Versuchen Sie es noch einmal, oder wählen Sie einen anderen Weg.',
  },
};

/** What a shop may ask with; which of these it does is for the shop to say. */
const PROTOCOLS = ['openid4vp-v1-signed', 'openid4vp-v1-unsigned', 'org-iso-mdoc'];

const allowed = (protocol) => {
  try {
    return DigitalCredential.userAgentAllowsProtocol(protocol);
  } catch {
    return false;
  }
};

/**
 * Puts the button into the open dialog, or gives an older one the requests of a newer presentation.
 *
 * @param {{id: string, taken: boolean}} presentation
 * @param {object} talk  the open dialog
 * @param {HTMLElement} talk.offer  where the ways to a wallet stand
 * @param {AbortSignal} talk.signal  ends with the dialog
 * @param {(text: string, ended?: boolean) => void} talk.say
 * @param {(code: string) => void} talk.redeem
 * @param {() => void} talk.declined
 * @param {(problem: Error) => void} talk.fail
 */
export async function offer(presentation, talk) {
  if (!navigator.credentials?.get || !PROTOCOLS.some(allowed)) return;
  const asked = await byKey('POST', `presentations/${encodeURIComponent(presentation.id)}/dc`).catch(() => null);
  const requests = asked?.requests.filter(({ protocol }) => allowed(protocol)) ?? [];
  if (!requests.length || talk.signal.aborted || !talk.offer.isConnected) return;
  const w = WORDS[languageOf(talk.offer)];
  const button = make('button', { type: 'button', class: 'main', part: 'browser' }, w.open);
  button.addEventListener('click', () => open(button, presentation, requests, w, talk));
  const old = talk.offer.querySelector('[part=browser]');
  if (old) return old.replaceWith(button);
  const place = make('div', {}, button, make('p', {}, w.how), make('h3', {}, w.or));
  // By its own hand: a strict policy lets no attribute in.
  place.style.flexBasis = '100%';
  button.style.width = matchMedia('(max-width: 34rem)').matches ? '100%' : '';
  // One way stands out, and this is the one that nobody far away can have opened.
  for (const link of talk.offer.querySelectorAll('a.main')) link.classList.remove('main');
  talk.offer.prepend(place);
}

/** Within the press. @param {HTMLButtonElement} button */
async function open(button, presentation, requests, w, talk) {
  if (button.getAttribute('aria-busy')) return;
  button.setAttribute('aria-busy', 'true');
  // What a wallet is looking at is not replaced by what is newer.
  presentation.taken = true;
  const again = (text) => {
    presentation.taken = false;
    button.removeAttribute('aria-busy');
    if (talk.signal.aborted) return;
    talk.say(text, true);
    button.focus();
  };
  let answer;
  try {
    const asking = navigator.credentials.get({ digital: { requests }, mediation: 'required', signal: talk.signal });
    talk.say(w.opened);
    answer = await asking;
  } catch {
    // Closed by the customer, no wallet, or not in this frame: which of these a browser does not tell.
    return again(w.closed);
  }
  if (talk.signal.aborted) return;
  if (!answer?.protocol) return again(w.closed);
  talk.say(w.checking);
  try {
    const { protocol, data } = answer;
    // Early browsers hand over the text.
    const body = { protocol, data: typeof data === 'string' ? JSON.parse(data) : data };
    const path = `presentations/${encodeURIComponent(presentation.id)}/dc/response`;
    const { state, response_code: code } = await byKey('POST', path, body);
    if (talk.signal.aborted) return;
    if (state === 'declined') talk.declined();
    else talk.redeem(code);
  } catch (problem) {
    if (talk.signal.aborted) return;
    if (problem.code === 'answer_refused' || problem instanceof SyntaxError) again(w.refused);
    else talk.fail(problem);
  }
}
