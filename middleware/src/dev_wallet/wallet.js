// The page of the development wallet. It does what a wallet app does over HTTP: fetches the request, shows a person who
// asks for what, and posts the answer. Reading and signing are the server's part, at `read`, `answer` and `decline`; so
// are the steps in which a wallet gets a card, at `offer` and `receive`.
//
// Every screen is made of elements and text; the page's policy lets no text become markup.

const LANG = document.documentElement.lang === 'de' ? 'de' : 'en';

const WORDS = {
  en: {
    reading: 'Reading the request …',
    sending: 'Sending your answer …',
    asks: (who) => `${who} asks you`,
    certified: 'Certificate of the development authority',
    uncertified: 'Certificate of an authority that this wallet does not know',
    details: 'Details of the request',
    client: 'Client identifier',
    subject: 'Certificate for',
    issuer: 'issued by',
    mode: 'The answer goes',
    encrypted: 'encrypted (direct_post.jwt)',
    clear: 'in clear (direct_post)',
    people: 'Who are you today?',
    choices: 'With what do you answer?',
    shows: (who) => `This is shown to ${who}`,
    signs: 'You also sign',
    pays: (payee) => `You pay ${payee}`,
    pay: 'Confirm payment',
    beside: 'With it goes what every credential says about itself: its type, its issuer, how long it holds, and where its status is published.',
    unanswerable: (name) => `${name} has nothing in the wallet that answers this.`,
    yes: 'yes',
    no: 'no',
    share: 'Share',
    decline: 'Decline',
    leaving: 'Back to the shop …',
    leave: 'Go on in the shop',
    shared: 'Done',
    declined: 'Declined',
    elsewhere: 'Go back to the other device: the shop goes on there.',
    refused: 'The shop did not take it',
    unread: 'The wallet does not show this request',
    failed: 'That did not work',
    why: 'A shop tells wallets no more than that. Its log says which check failed; the page that asked knows its code, too.',
    over: 'Go back to the shop, and ask again.',
    another: 'Another person',
    again: 'Try again',
    start: 'Another link',
    origin: (theirs) => `This request is for ${theirs}, and this wallet is at ${location.origin}. To a browser, these are two different sites. Open the shop by the address that it is set up with.`,
    link: 'This is no link to a wallet. It begins with openid4vp:// and has a client_id and a request_uri.',
    network: 'Nobody answers. Is the shop still running?',
    answer: 'The answer is not what a shop says to a wallet.',
    offers: (who) => `${who} offers you a card`,
    holder: 'Whose wallet is it for?',
    number: 'The number that the shop shows',
    numberAbout: 'It stands beside the code, on the page of the shop. Tell it to nobody.',
    keep: 'Keep the card',
    leaveIt: 'Leave it',
    getting: 'Getting the card …',
    kept: 'The card is in the wallet',
    keptBy: (name) => `${name} has it now. Whoever shows it is known to the shop.`,
    back: 'Back to the shop',
    grant: 'The shop does not hand it out: the number is wrong, or the offer is over.',
    untaken: 'The wallet did not get the card',
  },
  de: {
    reading: 'Anfrage wird gelesen …',
    sending: 'Antwort wird gesendet …',
    asks: (who) => `${who} fragt Sie`,
    certified: 'Zertifikat der Entwicklungs-Zertifizierungsstelle',
    uncertified: 'Zertifikat einer Stelle, die diese Wallet nicht kennt',
    details: 'Einzelheiten der Anfrage',
    client: 'Kennung (client_id)',
    subject: 'Zertifikat für',
    issuer: 'ausgestellt von',
    mode: 'Die Antwort geht',
    encrypted: 'verschlüsselt (direct_post.jwt)',
    clear: 'unverschlüsselt (direct_post)',
    people: 'Wer sind Sie heute?',
    choices: 'Womit antworten Sie?',
    shows: (who) => `Das wird ${who} gezeigt`,
    signs: 'Sie unterschreiben außerdem',
    pays: (payee) => `Sie zahlen an ${payee}`,
    pay: 'Zahlung bestätigen',
    beside: 'Dazu kommt, was jeder Nachweis über sich selbst sagt: seine Art, wer ihn ausgestellt hat, wie lange er gilt und wo sein Status steht.',
    unanswerable: (name) => `${name} hat nichts in der Wallet, das darauf antwortet.`,
    yes: 'ja',
    no: 'nein',
    share: 'Teilen',
    decline: 'Ablehnen',
    leaving: 'Zurück zum Shop …',
    leave: 'Im Shop weitermachen',
    shared: 'Fertig',
    declined: 'Abgelehnt',
    elsewhere: 'Gehen Sie zurück zum anderen Gerät: Dort macht der Shop weiter.',
    refused: 'Der Shop hat das nicht angenommen',
    unread: 'Die Wallet zeigt diese Anfrage nicht',
    failed: 'Das hat nicht geklappt',
    why: 'Mehr sagt ein Shop einer Wallet nicht. Welche Prüfung es war, steht in seinem Protokoll; ihren Code kennt auch die Seite, die gefragt hat.',
    over: 'Gehen Sie zurück zum Shop und fragen Sie neu.',
    another: 'Andere Person',
    again: 'Noch einmal',
    start: 'Anderer Link',
    origin: (theirs) => `Diese Anfrage ist für ${theirs}, und diese Wallet ist unter ${location.origin}. Für einen Browser sind das zwei verschiedene Seiten. Öffnen Sie den Shop unter der Adresse, mit der er eingerichtet ist.`,
    link: 'Das ist kein Link zu einer Wallet. Er beginnt mit openid4vp:// und hat eine client_id und eine request_uri.',
    network: 'Niemand antwortet. Läuft der Shop noch?',
    answer: 'Die Antwort ist nicht das, was ein Shop einer Wallet sagt.',
    offers: (who) => `${who} bietet Ihnen eine Karte an`,
    holder: 'Für wessen Wallet ist sie?',
    number: 'Die Zahl, die der Shop zeigt',
    numberAbout: 'Sie steht neben dem Code, auf der Seite des Shops. Sagen Sie sie niemandem.',
    keep: 'Karte aufnehmen',
    leaveIt: 'Nicht aufnehmen',
    getting: 'Karte wird geholt …',
    kept: 'Die Karte ist in der Wallet',
    keptBy: (name) => `${name} hat sie jetzt. Wer sie zeigt, den kennt der Shop.`,
    back: 'Zurück zum Shop',
    grant: 'Der Shop gibt sie nicht heraus: Die Zahl ist falsch, oder das Angebot ist vorbei.',
    untaken: 'Die Wallet hat die Karte nicht bekommen',
  },
}[LANG];

/** Why something did not work: in words, and with what the server said. */
class Failure extends Error {
  constructor(words, { status, code } = {}) {
    super(words);
    this.status = status;
    this.code = code;
  }
}

// ---- The protocol ----

/** Fetches the request that a link leads to, and has it read. */
async function requested(link) {
  const parameters = parametersOf(link);
  const address = own(parameters.get('request_uri'));
  const post = parameters.get('request_uri_method') === 'post';
  // OpenID4VP 1.0, 5.10: the shop signs a nonce of ours, so that nobody hands us a request of yesterday.
  const wallet_nonce = post ? random() : null;
  const response = await reach(address, {
    method: post ? 'POST' : 'GET',
    headers: { accept: 'application/oauth-authz-req+jwt' },
    body: post ? new URLSearchParams({ wallet_nonce }) : undefined,
  });
  const held = { link, object: await response.text(), wallet_nonce };
  return { held, consent: await server('read', held) };
}

/** Has an answer made, posts it to the shop, and says where the shop sends us. */
async function answered(step, held, persona) {
  const { response_uri, form } = await server(step, { ...held, persona });
  const response = await reach(own(response_uri), {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: form,
  });
  const { redirect_uri } = await json(response);
  if (redirect_uri === undefined) return null;
  const target = URL.parse?.(redirect_uri) ?? new URL(redirect_uri);
  if (!/^https?:$/.test(target.protocol)) throw new Failure(WORDS.answer);
  return target;
}

function parametersOf(link) {
  try {
    const { searchParams } = new URL(link);
    if (searchParams.has('client_id') && searchParams.has('request_uri')) return searchParams;
  } catch {
    // Said below.
  }
  throw new Failure(WORDS.link);
}

/** An address of the shop. A browser lets this page talk to no other. */
function own(address) {
  let url;
  try {
    url = new URL(address);
  } catch {
    throw new Failure(WORDS.link);
  }
  if (url.origin !== location.origin) throw new Failure(WORDS.origin(url.origin === 'null' ? url.href : url.origin));
  return url;
}

async function server(step, body) {
  const address = new URL(step, import.meta.url);
  const headers = { 'content-type': 'application/json' };
  return json(await reach(address, { method: 'POST', headers, body: JSON.stringify(body) }));
}

async function reach(address, init) {
  let response;
  try {
    response = await fetch(address, { ...init, credentials: 'omit', cache: 'no-store', redirect: 'error' });
  } catch {
    throw new Failure(WORDS.network);
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new Failure(problem.detail ?? response.statusText, { status: response.status, code: problem.code });
}

async function json(response) {
  try {
    const value = await response.json();
    if (value && typeof value === 'object') return value;
  } catch {
    // Said below.
  }
  throw new Failure(WORDS.answer);
}

function random() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
}

// ---- The screens ----

const wallet = document.getElementById('wallet');
const said = document.getElementById('said');

/** An element with attributes (or properties, for functions and booleans) and children. */
function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'string') element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const button = (words, onclick, main) => el('button', { type: 'button', onclick, ...(main && { class: 'main' }) }, words);

/** Puts a screen in the place of another, and begins at its heading. */
function show(title, ...children) {
  const heading = el('h1', { tabindex: '-1' }, title);
  wallet.removeAttribute('aria-busy');
  wallet.replaceChildren(heading, ...children.flat().filter(Boolean));
  wallet.scrollTop = 0;
  said.textContent = '';
  heading.focus({ preventScroll: true });
}

function wait(words) {
  wallet.replaceChildren(el('p', { class: 'waiting' }, words));
  wallet.setAttribute('aria-busy', 'true');
  said.textContent = words;
}

async function begin(link) {
  wait(WORDS.reading);
  try {
    if (isOffer(link)) {
      offered(link, await server('offer', { link }));
      return;
    }
    const { held, consent } = await requested(link);
    ask(held, consent);
  } catch (failure) {
    unread(failure, () => begin(link));
  }
}

function isOffer(link) {
  if (!URL.canParse(link)) return false;
  const { searchParams } = new URL(link);
  return searchParams.has('credential_offer') || searchParams.has('credential_offer_uri');
}

function offered(link, offer) {
  const { name, host, card, digits, people } = offer;
  let chosen = people.find(({ id }) => id === location.hash.slice(1)) ?? people[0];
  const about = el('p', { class: 'small', 'aria-live': 'polite' });
  const choose = (person) => {
    chosen = person;
    about.textContent = person.about;
    history.replaceState(null, '', `#${person.id}`);
  };
  const number = digits && el('input', { id: 'number', inputmode: 'numeric', autocomplete: 'off', required: true, maxlength: String(digits), pattern: `[0-9]{${digits}}` });
  const onsubmit = (event) => {
    event.preventDefault();
    receive(link, offer, chosen.id, number?.value.trim());
  };
  show(
    WORDS.offers(name),
    el('p', { class: 'seal' }, host),
    el('form', { onsubmit },
      el('section', { class: 'shown' }, el('h2', {}, card)),
      chooserOf(people, chosen, choose, WORDS.holder),
      about,
      number && [el('label', { for: 'number' }, WORDS.number), number, el('p', { class: 'small' }, WORDS.numberAbout)],
      el('footer', {}, button(WORDS.leaveIt, toShop), el('button', { class: 'main' }, WORDS.keep))),
  );
  choose(chosen);
}

async function receive(link, offer, persona, tx_code) {
  wait(WORDS.getting);
  try {
    const { name } = await server('receive', { link, persona, tx_code });
    show(WORDS.kept, el('p', { class: 'mark', 'aria-hidden': 'true' }, '✓'), el('p', {}, WORDS.keptBy(name)), el('footer', {}, button(WORDS.back, toShop, true)));
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    const words = failure.code === 'invalid_grant' ? WORDS.grant : failure.message;
    show(WORDS.untaken, code(failure), el('p', {}, words), el('footer', {}, button(WORDS.leaveIt, toShop), button(WORDS.again, () => offered(link, offer), true)));
  }
}

/** The page that led here; without one, the front door. */
function toShop() {
  if (history.length > 1) history.back();
  else location.assign('/');
}

function ask(held, consent) {
  const { who, people, transactions } = consent;
  const [payments, others] = [transactions.filter(({ payment }) => payment), transactions.filter(({ payment }) => !payment)];
  const name = who.name ?? who.host;
  const certificate = who.certified ? WORDS.certified : WORDS.uncertified;
  const seal = who.name ? `${who.host} · ${certificate}` : certificate;
  let chosen = people.find(({ id }) => id === location.hash.slice(1)) ?? people.find((person) => person.choices.length > 0) ?? people[0];
  let choice = 0;

  const card = el('section', { class: 'shown', 'aria-live': 'polite' });
  const share = button(payments.length > 0 ? WORDS.pay : WORDS.share, () => send('answer'), true);
  const choices = el('div');
  const pick = (at) => {
    choice = at;
    share.disabled = chosen.choices.length === 0;
    card.replaceChildren(...shownBy(chosen, chosen.choices[at], name));
  };
  const choose = (person) => {
    chosen = person;
    pick(0);
    choices.replaceChildren(...choicesOf(person, pick));
    history.replaceState(null, '', `#${person.id}`);
  };
  const send = (step) => finish(step, { ...held, choice }, chosen.id, () => ask(held, consent));

  const chooser = chooserOf(people, chosen, choose, WORDS.people);
  show(
    WORDS.asks(name),
    el('p', { class: who.certified ? 'seal' : 'seal warn' }, seal),
    // What is paid is seen before anything else (EUDI TS12, 3.3.1).
    payments.map((transaction) => signed(transaction)),
    chooser,
    choices,
    card,
    others.map((transaction) => signed(transaction)),
    details(consent),
    el('footer', {}, button(WORDS.decline, () => send('decline')), share),
  );
  choose(chosen);
}

const chooserOf = (people, chosen, choose, legend) =>
  el(
    'fieldset',
    { class: 'people' },
    el('legend', {}, legend),
    people.map((person) =>
      el(
        'label',
        { title: person.about },
        el('input', { type: 'radio', name: 'person', value: person.id, checked: person === chosen, onchange: () => choose(person) }),
        el('span', { class: 'face', 'aria-hidden': 'true' }, initials(person.name)),
        el('span', {}, person.name.split(' ')[0]),
      ),
    ),
  );

/** What fits the question, where there is more than one way to answer it. */
function choicesOf({ choices }, pick) {
  if (choices.length < 2) return [];
  const named = ({ shown }) => shown.map(({ name, format }) => `${name} (${format})`).join(' + ');
  return [
    el(
      'fieldset',
      { class: 'choices' },
      el('legend', {}, WORDS.choices),
      choices.map((choice, at) =>
        el('label', {}, el('input', { type: 'radio', name: 'choice', value: String(at), checked: at === 0, onchange: () => pick(at) }), el('span', {}, named(choice))),
      ),
    ),
  ];
}

function shownBy(person, choice, to) {
  const head = el('header', {}, el('b', {}, person.name), el('span', {}, person.about));
  if (!choice) return [head, el('p', {}, WORDS.unanswerable(person.name))];
  return [
    head,
    ...choice.shown.flatMap(({ type, name, format, claims }) => [
      el('h2', {}, `${WORDS.shows(to)}:`),
      el('p', { class: 'type', title: `${type} · ${format}` }, name),
      lines(claims),
    ]),
    el('p', { class: 'small' }, WORDS.beside),
  ];
}

function signed({ type, payment, members }) {
  if (!payment) return el('section', { class: 'shown' }, el('h2', {}, `${WORDS.signs}: ${type}`), lines(members));
  const { payee, amount, currency } = payment;
  return el(
    'section',
    { class: 'shown payment' },
    el('h2', {}, WORDS.pays(payee)),
    el('p', { class: 'amount' }, money(amount, currency)),
    el('details', {}, el('summary', {}, `${WORDS.signs}: ${type}`), lines(members)),
  );
}

/** The digits as they are signed, in the reader's punctuation. */
function money(amount, currency) {
  const shown = new Intl.NumberFormat(LANG, { style: 'currency', currency, minimumFractionDigits: amount.split('.')[1]?.length ?? 0 });
  return shown.format(amount);
}

const lines = (claims) =>
  el('dl', {}, claims.map(({ name, path, value }) => el('div', {}, el('dt', { title: path }, name), el('dd', {}, inWords(value)))));

function inWords(value) {
  if (typeof value === 'boolean') return value ? WORDS.yes : WORDS.no;
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value)) {
    const date = new Date(`${value}T00:00:00Z`);
    if (!Number.isNaN(date.valueOf())) return date.toLocaleDateString(LANG, { dateStyle: 'long', timeZone: 'UTC' });
  }
  return String(value);
}

function details({ who, response_mode }) {
  const rows = [
    [WORDS.client, who.client_id],
    [WORDS.subject, who.subject],
    [WORDS.issuer, who.issuer],
    [WORDS.mode, response_mode === 'direct_post' ? WORDS.clear : WORDS.encrypted],
  ];
  const list = el('dl', {}, rows.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
  return el('details', {}, el('summary', {}, WORDS.details), list);
}

const initials = (name) => name.split(' ').map((word) => word[0]).join('');

async function finish(step, held, persona, another) {
  wait(WORDS.sending);
  try {
    const target = await answered(step, held, persona);
    const done = step === 'answer' ? WORDS.shared : WORDS.declined;
    if (target) {
      show(done, el('p', {}, WORDS.leaving), el('p', {}, el('a', { href: target.href }, WORDS.leave)));
      location.assign(target);
    } else {
      show(done, el('p', { class: 'mark', 'aria-hidden': 'true' }, step === 'answer' ? '✓' : '–'), el('p', {}, WORDS.elsewhere));
    }
  } catch (failure) {
    refused(failure, another);
  }
}

const code = ({ status, code }) => (status ? el('p', { class: 'code' }, `${status} · ${code ?? '?'}`) : null);
const toStart = () => el('a', { href: location.pathname }, WORDS.start);

function unread(failure, again) {
  if (!(failure instanceof Failure)) throw failure;
  const title = failure.status === undefined ? WORDS.failed : WORDS.unread;
  show(title, code(failure), el('p', {}, failure.message), el('footer', {}, toStart(), button(WORDS.again, again, true)));
}

function refused(failure, another) {
  if (!(failure instanceof Failure)) throw failure;
  const { status } = failure;
  // Answered, expired, declined, or answered wrongly too often: this request takes no other answer.
  const over = [403, 404, 409, 410].includes(status);
  show(
    status === undefined ? WORDS.failed : WORDS.refused,
    code(failure),
    el('p', {}, failure.code === 'answer_refused' ? WORDS.why : failure.message),
    over ? el('p', {}, WORDS.over) : el('footer', {}, toStart(), button(WORDS.another, another, true)),
  );
}

// ---- The beginning ----

const form = document.getElementById('open');
if (form) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    begin(form.elements.link.value.trim());
  });
} else {
  // What this page was opened with, under the scheme of a QR code.
  begin(`openid4vp://${location.search}`);
}
