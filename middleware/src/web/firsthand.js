/**
 * Firsthand in the browser: one module, no dependency, no cookie.
 *
 *   <script type="module" src="/wallet/firsthand.js" data-navigate></script>
 *   <firsthand-button ask="age"></firsthand-button>
 *   <p data-firsthand="greeting">Good day.</p>
 *
 * Nothing is stored before the customer acts. Then a key that no script can read signs what speaks for the customer (DPoP,
 * RFC 9449): by `data-navigate` also links and forms. What is marked `data-firsthand` is fetched again, signed.
 */

// --- place

/** Where Firsthand is mounted: the folder of this file. */
const BASE = new URL('.', import.meta.url);

/** Of database, channel and locks. */
const NAME = `firsthand ${BASE.pathname}`;

const HOME = new URL('..', BASE).pathname;

/** `return`, `shell` or `post` on pages of ours. */
const ourPage = () => document.body?.dataset.firsthandPage;

const optedIn = () => document.querySelector('script[data-navigate][src]') !== null;

/** A path of this origin, or null. `//host` and `/\host` would leave it. */
function localPath(text) {
  if (!URL.canParse(text, location.href)) return null;
  const { origin, pathname, search, hash } = new URL(text, location.href);
  return origin === location.origin && !pathname.startsWith('//') ? pathname + search + hash : null;
}

/** Where an ask goes on: here, or on the page that sent the form. */
function here() {
  const referrer = document.referrer && localPath(document.referrer);
  return ourPage() === 'post' ? referrer || HOME : localPath(location.pathname + location.search) ?? HOME;
}

// --- words

const WORDS = {
  en: {
    button: 'Continue with your wallet',
    title: 'Show it with your wallet',
    payTitle: 'Pay with your wallet',
    close: 'Close',
    scan: 'Scan this code with your phone.',
    consent: 'Your wallet shows you what is asked before anything is shared.',
    code: 'QR code for the wallet on your phone',
    onComputer: 'Wallet on this computer',
    anyWallet: 'Another wallet app',
    otherDevice: 'The wallet is on another device',
    remember: 'Remember me on this device',
    tabOnly: 'This browser keeps nothing: the shop knows you until this tab is closed.',
    loading: 'One moment …',
    requested: 'Waiting for your wallet',
    delivered: 'Go on in your wallet.',
    answered: 'Go on in the tab that your wallet has opened.',
    again: 'The shop could not accept that answer. You can try again in your wallet.',
    declined: 'You declined in your wallet. Nothing was shared.',
    expired: 'The time for this question is over.',
    offline: 'No connection to the shop',
    failed: 'That did not work',
    busy: 'Too many tries at once. Please wait a moment.',
    retry: 'Try again',
    back: 'Back to the shop',
    elsewhere: 'Continue where you started',
    elsewhereText: 'Your wallet has opened another browser. Nothing was shared with it. Go back to the first one, or start again here.',
    forCustomers: 'This page is for customers whom the shop knows',
    needsProof: 'This page needs an answer from your wallet',
    step_up_needed: 'For this, please show your wallet once more',
    payment_across_devices: 'To pay, use a wallet on this device.',
    another_customer: 'The shop knows this by another name than this browser. Your account page says how to go on.',
    on: 'on',
  },
  de: {
    button: 'Weiter mit Ihrer Wallet',
    title: 'Mit der Wallet nachweisen',
    payTitle: 'Mit der Wallet bezahlen',
    close: 'Schließen',
    scan: 'Scannen Sie diesen Code mit Ihrem Telefon.',
    consent: 'Ihre Wallet zeigt Ihnen, was gefragt wird, bevor etwas geteilt wird.',
    code: 'QR-Code für die Wallet auf Ihrem Telefon',
    onComputer: 'Wallet auf diesem Computer',
    anyWallet: 'Andere Wallet-App',
    otherDevice: 'Die Wallet ist auf einem anderen Gerät',
    remember: 'Auf diesem Gerät wiedererkennen',
    tabOnly: 'Dieser Browser speichert nichts: Der Shop erkennt Sie, bis Sie diesen Tab schließen.',
    loading: 'Einen Moment …',
    requested: 'Warten auf Ihre Wallet',
    delivered: 'Weiter geht es in Ihrer Wallet.',
    answered: 'Weiter geht es in dem Tab, den Ihre Wallet geöffnet hat.',
    again: 'Der Shop konnte diese Antwort nicht annehmen. Sie können es in der Wallet noch einmal versuchen.',
    declined: 'Sie haben in der Wallet abgelehnt. Nichts wurde geteilt.',
    expired: 'Die Zeit für diese Frage ist abgelaufen.',
    offline: 'Keine Verbindung zum Shop',
    failed: 'Das hat nicht geklappt',
    busy: 'Zu viele Versuche auf einmal. Bitte warten Sie einen Moment.',
    retry: 'Noch einmal versuchen',
    back: 'Zurück zum Shop',
    elsewhere: 'Bitte dort weitermachen, wo Sie begonnen haben',
    elsewhereText: 'Ihre Wallet hat einen anderen Browser geöffnet. Mit ihm wurde nichts geteilt. Gehen Sie zurück in den ersten, oder beginnen Sie hier neu.',
    forCustomers: 'Diese Seite ist für Kundinnen und Kunden, die der Shop kennt',
    needsProof: 'Diese Seite braucht eine Antwort Ihrer Wallet',
    step_up_needed: 'Bitte zeigen Sie dafür Ihre Wallet noch einmal',
    payment_across_devices: 'Zum Bezahlen brauchen Sie eine Wallet auf diesem Gerät.',
    another_customer: 'Der Shop kennt das unter einem anderen Namen als diesen Browser. Auf Ihrer Kontoseite geht es weiter.',
    on: 'auf',
  },
};

export function languageOf(element) {
  const marked = element?.closest?.('[lang]') ?? document.documentElement;
  const name = marked.lang.toLowerCase().split('-')[0];
  return Object.hasOwn(WORDS, name) ? name : 'en';
}

export const words = (element) => WORDS[languageOf(element)];

// --- device

/**
 * What this browser keeps, as one record.
 *
 * @typedef {object} Device
 * @property {CryptoKeyPair} pair, with `alg` and `jwk`
 * @property {string?} token
 * @property {boolean} known   the shop has given this key a session
 * @property {boolean} locked  signed out: the next ask makes a new key
 * @property {string?} run     not to be remembered after this run of tabs
 * @property {Object} asks     under way, by id: {returnTo, until}
 * @property {string?} nonce   the server's last
 * @property {number} offset   the server's clock minus ours, ms
 * @property {string[]} shops  the shop's DIDs for this customer (did:peer:4, each with its document): the last is the one now
 */

/** The record where IndexedDB fails: it ends with this tab. @type {Device?} */
let memory = null;

/** Has this browser a session? A live binding. */
export let recognised = false;

/** Looking creates no database: null when there is none. */
function openDatabase(create) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(NAME, 1);
    opening.onupgradeneeded = () => {
      if (create) opening.result.createObjectStore('device');
      else opening.transaction.abort();
    };
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = (event) => {
      event.preventDefault();
      if (!create && opening.error?.name === 'AbortError') resolve(null);
      else reject(opening.error);
    };
  });
}

/** One transaction: reads the record, and keeps what `edit` makes of it. @returns {Promise<Device?>} */
async function transact(edit, create) {
  const database = await openDatabase(create);
  if (!database) return null;
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction('device', 'readwrite');
      const records = transaction.objectStore('device');
      let record;
      records.get('device').onsuccess = ({ target }) => {
        record = edit ? edit(target.result) : target.result;
        if (edit && record) records.put(record, 'device');
      };
      transaction.oncomplete = () => resolve(record ?? null);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

const device = {
  /** Read afresh each time: another tab may have signed out. @returns {Promise<Device?>} */
  async read() {
    const record = memory ?? (await transact().catch(() => null));
    recognised = Boolean(record?.token);
    return record;
  },

  /** @param {(record: Device) => void} edit  called if there is a record */
  async change(edit) {
    if (memory) edit(memory);
    else await transact((record) => record && (edit(record), record));
    return device.read();
  },

  /** The record to ask with, made if need be. Called only when the customer acts. */
  async key() {
    if (!isSecureContext) throw new Problem({ code: 'insecure' });
    return exclusively('key', async () => {
      const record = await device.read();
      return record && !record.locked ? record : makeKey();
    });
  },

  async forget() {
    memory = null;
    recognised = false;
    sessionStorage.removeItem(NAME);
    await new Promise((resolve) => {
      const deleting = indexedDB.deleteDatabase(NAME);
      deleting.onsuccess = deleting.onerror = deleting.onblocked = resolve;
    });
  },
};

/** Ed25519 if a round trip through IndexedDB works, else P-256, else in memory. */
async function makeKey() {
  let last = null;
  for (const [alg, algorithm] of Object.entries(ALGORITHMS)) {
    try {
      const pair = await crypto.subtle.generateKey(algorithm, false, ['sign', 'verify']);
      const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey);
      const jwk = y ? { kty, crv, x, y } : { kty, crv, x };
      last = { pair, alg, jwk, token: null, known: false, locked: false, run: null, asks: {}, nonce: null, offset: 0, shops: [] };
      await transact(() => last, true);
      const kept = await transact();
      const message = new Uint8Array(1);
      const signature = await sign(kept, message);
      if (await crypto.subtle.verify(algorithm, kept.pair.publicKey, signature, message)) return device.read();
    } catch {
      // No such algorithm, or no storage.
    }
  }
  await device.forget().catch(() => {});
  return (memory = last);
}

const ALGORITHMS = { EdDSA: { name: 'Ed25519' }, ES256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } };
const sign = (record, bytes) => crypto.subtle.sign(ALGORITHMS[record.alg], record.pair.privateKey, bytes);

/** One at a time in this browser. */
const exclusively = (what, work) => navigator.locks.request(`${NAME} ${what}`, work);

/**
 * The tabs of a run hold a shared lock. A tab that starts when none lives, and is no reload, forgets a record that is not to
 * be remembered; but not during an ask: on a phone the first tab may sleep while the wallet opens a second.
 */
async function keepRun(record) {
  if (!record.run || memory) return record;
  const { held } = await navigator.locks.query();
  const alive = sessionStorage.getItem(NAME) === record.run || held.some(({ name }) => name === `${NAME} run ${record.run}`);
  if (!alive && !Object.values(record.asks).some(({ until }) => until > Date.now())) {
    await device.forget();
    return null;
  }
  joinRun(record.run);
  return record;
}

function joinRun(run) {
  sessionStorage.setItem(NAME, run);
  navigator.locks.request(`${NAME} run ${run}`, { mode: 'shared' }, () => new Promise(() => {}));
}

async function remember(yes) {
  const run = yes ? null : crypto.randomUUID();
  await device.change((record) => (record.run = run));
  if (run && !memory) joinRun(run);
}

// --- tabs

/** @type {BroadcastChannel?} */
let channel = null;
const heard = new EventTarget();

function listen() {
  channel ??= new BroadcastChannel(NAME);
  channel.onmessage = ({ data }) => heard.dispatchEvent(new CustomEvent(data.what, { detail: data.presentation }));
}

function tell(what, presentation) {
  listen();
  channel.postMessage({ what, presentation });
}

// --- requests

/** A refusal (problem+json). */
export class Problem extends Error {
  constructor({ title, status, code, detail, ask } = {}) {
    super(detail || title || code || `status ${status}`);
    Object.assign(this, { name: 'Problem', status, code, detail, title, ask });
  }

  static async of(response) {
    const body = /\bjson\b/.test(response.headers.get('content-type')) ? await response.json().catch(() => null) : null;
    return new Problem({ ...body, status: response.status });
  }
}

/**
 * `fetch` in the customer's name; for other origins and without a session the browser's own. A redirect that leaves the
 * origin becomes a real navigation.
 *
 * @type {typeof window.fetch}
 */
async function customerFetch(input, init) {
  const asked = new Request(input, init);
  if (new URL(asked.url).origin !== location.origin) return window.fetch(asked);
  const { url, method, headers, signal, cache } = asked;
  const body = await asked.arrayBuffer();
  return (await follow(url, { method, headers, signal, cache, body: body.byteLength ? body : undefined })).response;
}
export { customerFetch as fetch };

/** Sends, and follows redirects with fresh proofs. */
async function follow(target, init) {
  let url = new URL(target, location.href);
  for (let hops = 0; ; hops += 1) {
    const response = await send(url, init);
    const next = response.headers.get('firsthand-location');
    if (!next) return { response, url };
    const last = url;
    url = new URL(next, last);
    if (!url.hash) url.hash = last.hash;
    if (url.origin !== location.origin) {
      if (!/^https?:$/.test(url.protocol)) throw new Problem({ code: 'bad_redirect' });
      location.assign(url);
      return { response, url };
    }
    if (hops === 10) throw new Problem({ code: 'too_many_redirects' });
    const headers = new Headers(init.headers);
    headers.delete('content-type');
    init = { ...init, method: 'GET', body: undefined, headers };
  }
}

/** Signs and sends one request; `byKey` also without a session. Each remedy is tried once. */
async function send(url, init, byKey = false) {
  const body = typeof init.body === 'string' ? utf8(init.body) : init.body;
  const once = new Set();
  const first = (what) => !once.has(what) && Boolean(once.add(what));
  for (;;) {
    let record = await device.read();
    if (!byKey && record?.known && !record.locked && !record.token && first('session')) {
      await newSession();
      record = await device.read();
    }
    const signed = record && (byKey || record.token);
    const headers = new Headers(init.headers);
    if (signed) {
      headers.set('dpop', await proof(record, init.method ?? 'GET', url, body));
      if (record.token) headers.set('authorization', `DPoP ${record.token}`);
    }
    // `same-origin`: no redirect carries the token away.
    const response = await window.fetch(url, { ...init, headers, body, mode: 'same-origin', credentials: 'same-origin' });
    if (!signed) return response;

    const moved = await learn(response, record);
    cookie = response.headers.get('firsthand-cookie') ?? cookie;
    if (response.status !== 401) return response;
    // The browser itself followed a redirect, with a proof for the old address.
    if (response.redirected && !body && first('redirect')) {
      url = new URL(response.url);
      continue;
    }
    const error = /\bDPoP\b.*?\berror="?([a-z_]+)/i.exec(response.headers.get('www-authenticate'))?.[1];
    if (error === 'use_dpop_nonce' && first('challenge')) continue;
    if (error === 'invalid_dpop_proof' && moved && first('challenge')) continue;
    if (error === 'invalid_token' && record.token && first('token')) {
      await device.change((now) => now.token === record.token && (now.token = null));
      continue;
    }
    return response;
  }
}

/** Of a shop that has a cookie: whether one came with our last request, `there` or `none`. @type {string?} */
let cookie = null;

/** Takes the nonce, and from a refusal the server's clock: was ours off? */
async function learn(response, record) {
  const nonce = response.headers.get('dpop-nonce') ?? record.nonce;
  const date = response.status === 401 ? Date.parse(response.headers.get('date')) : NaN;
  const offset = Number.isNaN(date) ? record.offset : date - Date.now();
  const moved = Math.abs(offset - record.offset) > 2000;
  if (moved || nonce !== record.nonce) await device.change((now) => Object.assign(now, { nonce }, moved && { offset }));
  return moved;
}

/** RFC 9449 4.2, and the digest of the body (RFC 9530). */
async function proof(record, method, url, body) {
  const claims = {
    jti: base64url(crypto.getRandomValues(new Uint8Array(16))),
    htm: method.toUpperCase(),
    htu: url.origin + url.pathname,
    iat: Math.floor((Date.now() + record.offset) / 1000),
  };
  if (record.nonce) claims.nonce = record.nonce;
  if (record.token) claims.ath = base64url(await sha256(utf8(record.token)));
  if (body?.byteLength) claims.content_digest = `sha-256=:${base64(await sha256(body))}:`;
  const part = (value) => base64url(utf8(JSON.stringify(value)));
  const signed = `${part({ typ: 'dpop+jwt', alg: record.alg, jwk: record.jwk })}.${part(claims)}`;
  return `${signed}.${base64url(await sign(record, utf8(signed)))}`;
}

const utf8 = (text) => new TextEncoder().encode(text);
const sha256 = (bytes) => crypto.subtle.digest('SHA-256', bytes);
const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
const base64url = (bytes) => base64(bytes).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');

async function call(method, path, body, byKey) {
  const headers = { accept: 'application/json' };
  if (body) headers['content-type'] = 'application/json';
  const init = { method, headers, body: body && JSON.stringify(body), cache: 'no-store' };
  const response = await send(new URL(path, BASE), init, byKey);
  if (response.ok) return response.status === 204 ? null : response.json();
  const problem = await Problem.of(response);
  if (problem.code === 'another_customer') document.dispatchEvent(new CustomEvent('firsthand-another-customer'));
  throw problem;
}

/** Signed by the key, made if need be: also for somebody whom the shop does not know yet. */
async function byKey(method, path, body) {
  const { jwk, known, token } = await device.key();
  if (known && !token) await newSession();
  return call(method, path, body, true).catch(async (problem) => {
    if (problem.code !== 'binding_locked') throw problem;
    // Unless another request of ours has already made a new key.
    await device.change((record) => (record.locked ||= record.jwk.x === jwk.x));
    await device.key();
    return call(method, path, body, true);
  });
}

/** The key has got a session. */
async function takeSession({ access_token, relationship }, presentation) {
  let known;
  await device.change((record) => {
    known = record.known;
    // The other links are over, too.
    Object.assign(record, { token: access_token, known: true, locked: false, asks: {} });
  });
  if (!presentation && !known) await call('PUT', 'device', { name: deviceName() }).catch(() => {});
  await settle(relationship);
  tell('recognised', presentation);
}

async function settle(relationship) {
  if (relationship) await knowShop(relationship);
  if (cookie === 'none') await call('POST', 'cookie').catch(() => {});
  watchSession();
}

/** `Firefox on Android`: what this browser is called until its customer calls it otherwise. */
function deviceName() {
  const of = (names) => names.find((name) => new RegExp(name.split(':')[1] ?? name).test(navigator.userAgent))?.split(':')[0];
  const browser = of(['Edge:Edg', 'Opera:OPR', 'Samsung Internet:SamsungB', 'Firefox:Firefox|FxiOS', 'Chrome:Chrom|CriOS', 'Safari']);
  const system = of(['Android', 'iPhone', 'iPad', 'Windows', 'ChromeOS:CrOS', 'Mac', 'Linux']);
  return [browser ?? 'Browser', system].filter(Boolean).join(` ${words().on} `);
}

/** A known key gets a session by its proof alone; who gets none is nobody. */
const newSession = () =>
  exclusively('session', async () => {
    if ((await device.read())?.token) return;
    try {
      const { access_token, relationship } = await call('POST', 'sessions', { device: deviceName() }, true);
      // Unless something stronger was shown meanwhile.
      await device.change((record) => (record.token ??= access_token));
      await settle(relationship);
    } catch ({ code }) {
      if (code === 'unknown_key') await device.change((record) => (record.known = false));
      if (code === 'binding_locked') await device.change((record) => (record.locked = true));
    }
  });

// --- customer

/** `{id, dids, rung, proofs}`; null for nobody. */
export const me = () => call('GET', 'me').catch(nobody);

export const sessions = () => call('GET', 'sessions').catch((problem) => nobody(problem) ?? []);

/**
 * Signs out. This browser forgets its session also when the shop cannot be reached, which is thrown.
 *
 * @param {string} [which]  `current`, `all`, or the id of a session
 */
export async function signOut(which = 'current') {
  try {
    await call('DELETE', which === 'all' ? 'sessions' : `sessions/${encodeURIComponent(which)}`).catch(nobody);
  } finally {
    if (which === 'current' || which === 'all') {
      await device.change((record) => Object.assign(record, { token: null, known: false, locked: true, asks: {} }));
      tell('left');
    }
  }
}

/** This browser and the shop forget each other. */
export const forgetDevice = () => forget('device');

/** And the shop forgets the customer. @returns {Promise<{stays: {what: string, count: number, why: string}[]}>} */
export const forgetMe = () => forget('me');

async function forget(what) {
  // The session ends before the answer is here: the page that asked for it is not reloaded, but says what came of it.
  leaving = true;
  try {
    // Who is not recognised may drop a key of their own; that the shop has forgotten them is for the shop to say.
    const said = await call('DELETE', what).catch(what === 'device' ? nobody : null);
    await device.forget();
    tell('left');
    return said;
  } catch (problem) {
    leaving = false;
    throw problem;
  }
}

function nobody(problem) {
  if (problem.status === 401) return null;
  throw problem;
}

// --- presentations

/** A presentation of flow `same_device` or `cross_device`, with `until` by our own clock. */
async function present(ask, flow, returnTo, payment) {
  const made = await byKey('POST', 'presentations', { ask, flow, return_to: returnTo, payment });
  const until = Date.now() + made.expires_in * 1000;
  await device.change((record) => {
    const open = Object.entries(record.asks).filter(([, ask]) => ask.until > Date.now());
    record.asks = { ...Object.fromEntries(open.slice(-16)), [made.id]: { returnTo, until } };
  });
  listen();
  return { id: made.id, flow, uri: made.wallet_uri, wallets: made.wallets ?? [], until, state: 'requested' };
}

/** Gets the session. @returns {Promise<string>} where the customer goes on */
async function redeem(id, responseCode) {
  const body = { presentation: id, response_code: responseCode, device: deviceName() };
  const answer = await call('POST', 'sessions', body, true);
  const { asks } = await device.read();
  await takeSession(answer, id);
  return localPath(asks[id]?.returnTo ?? answer.return_to ?? HOME) ?? HOME;
}

// --- shop

/**
 * Keeps the shop's DID of the first visit. Another takes its place only if the old one has signed that, or it had that place
 * before; else `firsthand-shop-changed` is told to the document (`detail`: known, said, accept()) and the old one stays.
 */
async function knowShop({ did, statement }) {
  const { shops = [] } = (await device.read()) ?? {};
  const shop = shops.at(-1);
  if (did === shop) return;
  const accept = () => device.change((record) => (record.shops = [...shops.filter((other) => other !== did), did].slice(-8)));
  const says = async (by, jwt) => ({ by: by.split(':', 3).join(':'), ...(await readSigned(jwt, await shopKey(by))) });
  try {
    const { iss, from_prior: priors = [] } = await says(did, statement);
    if (iss !== did) throw new TypeError('another DID than the one that signs');
    // Each of the earlier ones speaks for itself: one of them is ours.
    const heard = shop ? await Promise.all(priors.map((jwt) => says(shop, jwt).catch(() => null))) : [];
    if (!shop || shops.includes(did) || heard.some((prior) => prior && prior.iss === prior.by && prior.sub === did)) return await accept();
  } catch {
    // Not signed as it should be.
  }
  document.dispatchEvent(new CustomEvent('firsthand-shop-changed', { detail: { known: shop, said: did, accept } }));
}

/** The first key of a did:peer:4 in its long form, if its document is what its name says. */
async function shopKey(did) {
  const [, , name, text] = did.split(':');
  const hash = new Uint8Array(await sha256(utf8(text)));
  if (hexadecimal(base58(name.slice(2))) !== `1220${hexadecimal(hash)}`) throw new TypeError('a DID that is not its document');
  const document = JSON.parse(new TextDecoder().decode(base58(text.slice(1)).slice(2)));
  return p256(base58(document.verificationMethod[0].publicKeyMultibase.slice(1)).slice(2));
}

async function readSigned(jwt, key) {
  const [header, claims, signature] = jwt.split('.');
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (letter) => letter.charCodeAt(0));
  if (!(await crypto.subtle.verify(ALGORITHMS.ES256, key, bytes(signature), utf8(`${header}.${claims}`)))) throw new TypeError('signature');
  return JSON.parse(new TextDecoder().decode(bytes(claims)));
}

/** Without leading zeros, which nothing here has. */
function base58(text) {
  const letters = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
  const number = [...text].reduce((sum, letter) => sum * 58n + BigInt(letters.indexOf(letter)), 0n).toString(16);
  return Uint8Array.from(number.padStart(number.length + (number.length % 2), '0').match(/../g), (pair) => parseInt(pair, 16));
}

const hexadecimal = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** A compressed point, which not every browser imports (SEC 1, 2.3.4). */
function p256(point) {
  const prime = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
  const x = BigInt(`0x${hexadecimal(point.slice(1))}`);
  let base = (x ** 3n - 3n * x + 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn) % prime;
  let y = 1n;
  for (let exponent = (prime + 1n) / 4n; exponent; exponent >>= 1n) {
    if (exponent & 1n) y = (y * base) % prime;
    base = (base * base) % prime;
  }
  if (Number(y & 1n) !== point[0] % 2) y = prime - y;
  const part = (number) => base64url(number.toString(16).padStart(64, '0').match(/../g).map((pair) => parseInt(pair, 16)));
  return crypto.subtle.importKey('jwk', { kty: 'EC', crv: 'P-256', x: part(x), y: part(y) }, ALGORITHMS.ES256, false, ['verify']);
}

// --- waiting

/** States of a presentation as they come. A stream ends after 60 s: the next has a new proof. */
async function* states(id, signal) {
  let last;
  let pause_ms = 1000;
  while (!signal.aborted) {
    const stream = AbortSignal.any([signal, await lead(signal)]);
    try {
      const init = { headers: { accept: 'text/event-stream' }, signal: stream };
      const response = await send(new URL(`presentations/${id}/events`, BASE), init, true);
      if (response.status === 404 || response.status === 410) return yield { state: 'expired' };
      if (!response.ok) throw await Problem.of(response);
      for await (const heard of serverEvents(response.body)) {
        pause_ms = 1000;
        const now = heard.state + heard.refused;
        if (now !== last) yield heard;
        last = now;
        if (/redeemed|declined|expired/.test(now)) return;
      }
    } catch {
      if (!stream.aborted) yield { state: (last = 'offline') };
      pause_ms = Math.min(pause_ms * 2, 15_000);
    }
    await sleep(pause_ms, signal);
  }
}

/** As our server sends them; EventSource cannot sign. */
async function* serverEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split('\n\n');
    text = blocks.pop().slice(-65_536);
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (data) yield JSON.parse(data);
    }
  }
}

const sleep = (duration_ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, duration_ms);
    signal.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true });
  });

/** @type {{round: AbortSignal, lost: AbortController}?} */
let term = null;

/** The tab looked at last waits: all tabs share six connections to an HTTP/1.1 origin. The signal ends with its turn. */
async function lead(round) {
  if (term?.round === round && term.lost.signal.aborted) await lookedAt(round);
  if (round.aborted) return round;
  if (term?.round !== round || term.lost.signal.aborted) {
    const lost = new AbortController();
    const held = new Promise((resolve) => round.addEventListener('abort', resolve));
    navigator.locks.request(`${NAME} waiting`, { steal: true }, () => held).catch(() => lost.abort());
    term = { round, lost };
  }
  return term.lost.signal;
}

const lookedAt = (signal) =>
  new Promise((resolve) => {
    const look = () => document.visibilityState === 'visible' && resolve(undefined);
    window.addEventListener('focus', look, { signal });
    document.addEventListener('visibilitychange', look, { signal });
    signal.addEventListener('abort', resolve, { once: true });
  });

/** @type {AbortController?} */
let watch = null;

/** A page that is looked at hears when its session ends elsewhere. */
function watchSession() {
  watch?.abort();
  watch = null;
  if (recognised && document.visibilityState === 'visible') hearSession((watch = new AbortController()).signal);
}

async function hearSession(signal) {
  for (let pause_ms = 1000; recognised && !signal.aborted; pause_ms = Math.min(pause_ms * 2, 60_000)) {
    try {
      const { token } = await device.read();
      const response = await send(new URL('events', BASE), { headers: { accept: 'text/event-stream' }, signal });
      if (response.ok) {
        pause_ms = 500;
        for await (const _ of serverEvents(response.body)) {
          await device.change((record) => record.token === token && (record.token = null));
          await newSession();
          tell('left');
        }
      }
    } catch {
      // Later, then.
    }
    if (signal.aborted) return;
    await checkShown();
    await sleep(pause_ms, signal);
  }
}

// --- QR

/** ISO/IEC 18004 in byte mode and level L, up to version 25: 1 is dark. @returns {Uint8Array[]} */
function qrCode(text) {
  const bytes = utf8(text);
  const version = QR_BLOCKS.findIndex((_, index) => index && bytes.length <= qrLayout(index).data - (index < 10 ? 2 : 3));
  if (version < 0) throw new RangeError('text is too long for a QR code');
  const bits = qrBits(qrCodewords(bytes, version));
  let best = null;
  for (let mask = 0; mask < 8; mask += 1) {
    const rows = qrDraw(bits, version, mask);
    const penalty = qrPenalty(rows);
    if (!best || penalty < best.penalty) best = { rows, penalty };
  }
  return best.rows;
}

/** By version: blocks, and check codewords of a block (table 9). */
const QR_BLOCKS = [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12];
const QR_CHECKS = [0, 7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26];

function qrLayout(version) {
  const size = version * 4 + 17;
  const count = version > 1 ? Math.floor(version / 7) + 2 : 0;
  const centres = [];
  if (count) {
    const step = Math.ceil((version * 4 + 4) / (count * 2 - 2)) * 2;
    for (let at = size - 7; centres.length < count - 1; at -= step) centres.unshift(at);
    centres.unshift(6);
  }
  // Without finders, timing lines, alignment and version patterns.
  const aligned = count ? (count * count - 3) * 25 - (count - 2) * 10 : 0;
  const free = size * size - 3 * 64 - 31 - 2 * (size - 16) - aligned - (version > 6 ? 36 : 0);
  const total = Math.floor(free / 8);
  const blocks = QR_BLOCKS[version];
  const checks = QR_CHECKS[version];
  return { size, total, data: total - blocks * checks, blocks, checks, centres };
}

function qrCodewords(bytes, version) {
  const { total, data, blocks, checks } = qrLayout(version);
  const nibbles = [4];
  for (let shift = version < 10 ? 4 : 12; shift >= 0; shift -= 4) nibbles.push((bytes.length >> shift) & 15);
  for (const byte of bytes) nibbles.push(byte >> 4, byte & 15);
  nibbles.push(0);
  const words = [];
  for (let at = 0; at < nibbles.length; at += 2) words.push((nibbles[at] << 4) | nibbles[at + 1]);
  for (let pad = 0xec; words.length < data; pad ^= 0xec ^ 0x11) words.push(pad);

  const short = Math.floor(data / blocks);
  const longer = data % blocks;
  const parts = [];
  for (let index = 0, at = 0; index < blocks; index += 1) {
    const length = short + (index >= blocks - longer ? 1 : 0);
    const part = words.slice(at, at + length);
    parts.push({ part, check: reedSolomon(part, checks) });
    at += length;
  }
  const out = [];
  for (let at = 0; at <= short; at += 1) for (const { part } of parts) if (at < part.length) out.push(part[at]);
  for (let at = 0; at < checks; at += 1) for (const { check } of parts) out.push(check[at]);
  return out.slice(0, total);
}

/** In GF(2^8). */
function times(left, right) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    product = (product << 1) ^ ((product >> 7) * 0x11d);
    if ((right >> bit) & 1) product ^= left;
  }
  return product;
}

function reedSolomon(data, count) {
  let generator = [1];
  for (let index = 0, root = 1; index < count; index += 1, root = times(root, 2)) {
    const shifted = [...generator, 0];
    generator.forEach((factor, at) => (shifted[at + 1] ^= times(factor, root)));
    generator = shifted;
  }
  const rest = [...data, ...Array(count).fill(0)];
  for (let at = 0; at < data.length; at += 1) {
    const lead = rest[at];
    if (lead) generator.forEach((factor, index) => (rest[at + index] ^= times(factor, lead)));
  }
  return rest.slice(data.length);
}

const qrBits = (words) => words.flatMap((word) => [7, 6, 5, 4, 3, 2, 1, 0].map((bit) => (word >> bit) & 1));

function bch(value, generator, length) {
  let rest = value << length;
  for (let bit = 31 - Math.clz32(rest); bit >= length; bit -= 1) if ((rest >> bit) & 1) rest ^= generator << (bit - length);
  return (value << length) | rest;
}

const QR_MASKS = [
  (x, y) => (x + y) % 2,
  (x, y) => y % 2,
  (x) => x % 3,
  (x, y) => (x + y) % 3,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2,
  (x, y) => ((x * y) % 2) + ((x * y) % 3),
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
];

function qrDraw(bits, version, mask) {
  const { size, centres } = qrLayout(version);
  const rows = Array.from({ length: size }, () => new Uint8Array(size).fill(2));
  const set = (x, y, dark) => {
    if (x >= 0 && y >= 0 && x < size && y < size) rows[y][x] = dark ? 1 : 0;
  };
  const rings = (cx, cy, radius, light) => {
    for (let dy = -radius; dy <= radius; dy += 1) {
      for (let dx = -radius; dx <= radius; dx += 1) {
        set(cx + dx, cy + dy, !light.includes(Math.max(Math.abs(dx), Math.abs(dy))));
      }
    }
  };
  for (let at = 0; at < size; at += 1) {
    set(6, at, at % 2 === 0);
    set(at, 6, at % 2 === 0);
  }
  const far = size - 7;
  for (const x of centres) {
    for (const y of centres) {
      const atFinder = (x === 6 && (y === 6 || y === far)) || (x === far && y === 6);
      if (!atFinder) rings(x, y, 2, [1]);
    }
  }
  rings(3, 3, 4, [2, 4]);
  rings(size - 4, 3, 4, [2, 4]);
  rings(3, size - 4, 4, [2, 4]);

  // Level L is 01.
  const format = bch((1 << 3) | mask, 0x537, 10) ^ 0x5412;
  for (let bit = 0; bit < 15; bit += 1) {
    const dark = (format >> bit) & 1;
    set(8, bit < 6 ? bit : bit < 8 ? bit + 1 : size - 15 + bit, dark);
    set(bit < 8 ? size - 1 - bit : bit < 9 ? 7 : 14 - bit, 8, dark);
  }
  set(8, size - 8, true);
  if (version > 6) {
    const code = bch(version, 0x1f25, 12);
    for (let bit = 0; bit < 18; bit += 1) {
      const near = Math.floor(bit / 3);
      const off = size - 11 + (bit % 3);
      set(near, off, (code >> bit) & 1);
      set(off, near, (code >> bit) & 1);
    }
  }

  // Columns of two, from the right, up and down.
  let next = 0;
  for (let right = size - 1, up = true; right > 0; right -= 2, up = !up) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step += 1) {
      const y = up ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (rows[y][x] === 2) rows[y][x] = (bits[next++] ?? 0) ^ (QR_MASKS[mask](x, y) === 0 ? 1 : 0);
      }
    }
  }
  return rows;
}

/** By which the mask is chosen (7.8.3). */
function qrPenalty(rows) {
  const size = rows.length;
  let penalty = 0;
  let dark = 0;
  for (let y = 0; y < size; y += 1) {
    const column = rows.map((row) => row[y]);
    for (const line of [rows[y].join(''), column.join('')]) {
      for (const [run] of line.matchAll(/0{5,}|1{5,}/g)) penalty += run.length - 2;
      penalty += 40 * [...line.matchAll(/(?=00001011101|10111010000)/g)].length;
    }
    for (let x = 0; x < size; x += 1) {
      dark += rows[y][x];
      const square = x && y && rows[y][x] + rows[y - 1][x] + rows[y][x - 1] + rows[y - 1][x - 1];
      if (x && y && square % 4 === 0) penalty += 3;
    }
  }
  return penalty + 10 * Math.floor(Math.abs((dark * 20) / (size * size) - 10));
}

/** With a quiet zone of four squares. */
function qrPicture(text, label) {
  const rows = qrCode(text);
  const side = rows.length + 8;
  let path = '';
  rows.forEach((row, y) => row.forEach((dark, x) => (path += dark ? `M${x + 4} ${y + 4}h1v1h-1z` : '')));
  const box = { viewBox: `0 0 ${side} ${side}`, role: 'img', 'aria-label': label, 'shape-rendering': 'crispEdges' };
  return make('svg', box, make('path', { d: path }));
}

// --- pages

/** Never leaves this module, and gets only what this origin answered. */
let policy = null;
function trusted() {
  const same = (text) => text;
  const rules = { createHTML: same, createScript: same, createScriptURL: same };
  return (policy ??= globalThis.trustedTypes?.createPolicy('firsthand', rules) ?? rules);
}

const parse = (html) => new DOMParser().parseFromString(trusted().createHTML(html), 'text/html');

/** The key that the content of this page was fetched with, if it is personal. */
let shownTo = null;
/** Whether this page has asked to be forgotten, and says itself what came of it. */
let leaving = false;

/** The last visit. The signal of a navigate event ends too early, when the address changes. */
let underWay = null;

/** While we change the address ourselves. */
let ownHistory = false;
function setAddress(url, how, state = null) {
  ownHistory = true;
  if (how === 'push') history.pushState(state, '', url);
  else history.replaceState(state, '', url);
  ownHistory = false;
}

/** Shows another page in this document, fetched in the customer's name. */
async function visit(target, { method = 'GET', body, address = 'replace', scroll = 'top' } = {}) {
  underWay?.abort();
  const { signal } = (underWay = new AbortController());
  const headers = { accept: 'text/html' };
  if (body) headers['content-type'] = URLENCODED;
  const done = showBusy();
  try {
    const { response, url } = await follow(target, { method, headers, body: body?.toString(), signal });
    if (url.origin !== location.origin) return;
    const html = isPage(response) && (await response.text());
    if (url.href !== location.href) setAddress(url, address);
    if (html !== false) await replaceDocument(html, scroll, mayRun(response));
    else if (!response.ok || response.status === 204) throw await Problem.of(response);
    else await save(response, url);
    await markShown();
  } catch (problem) {
    if (signal.aborted) return;
    explain(problem, method === 'GET' && (() => visit(location.href, { scroll })));
  } finally {
    done();
    if (underWay?.signal === signal) underWay = null;
  }
}

/** HTML, but none to save or to run in a sandbox. */
function isPage(response) {
  const type = response.headers.get('content-type') ?? '';
  const saved = /^\s*attachment/i.test(response.headers.get('content-disposition'));
  const boxed = /\bsandbox\b/i.test(response.headers.get('content-security-policy'));
  return type.startsWith('text/html') && !saved && !boxed;
}

/** A page that forbids itself every script keeps that, although it runs under the policy of this document. */
function mayRun(response) {
  const policy = response.headers.get('content-security-policy') ?? '';
  const [sources] = ['script-src ', 'default-src '].map((name) => policy.split(name)[1]).filter(Boolean);
  return !/^\s*'none'/i.test(sources);
}

async function save(response, url) {
  const name = url.pathname.split('/').pop() || 'file';
  make('a', { href: URL.createObjectURL(await response.blob()), download: name }).click();
  if (ourPage()) message({ title: name, back: HOME });
}

async function replaceDocument(html, scroll, scripts) {
  const page = parse(html);
  for (const unused of page.querySelectorAll('noscript')) unused.remove();
  const { title } = page;
  const kept = [window.scrollX, window.scrollY];

  // What both heads have stays, so that no style flickers.
  const old = new Map([...document.head.children].map((element) => [element.outerHTML, element]));
  const fresh = [...page.head.children].filter((element) => !old.delete(element.outerHTML));
  const sheets = fresh.filter((element) => element.matches('link[rel~=stylesheet]')).map(loaded);
  document.head.append(...fresh);
  await Promise.race([Promise.all(sheets), new Promise((resolve) => setTimeout(resolve, 3000))]);

  copyAttributes(page.documentElement, document.documentElement);
  document.body.replaceWith(document.adoptNode(page.body));
  for (const element of old.values()) element.remove();
  document.title = title;
  const inert = [...fresh.filter((element) => element.matches('script')), ...document.body.querySelectorAll('script')];
  if (scripts) await runScripts(inert);

  const target = location.hash && document.getElementById(location.hash.slice(1));
  (document.querySelector('[autofocus]') ?? target)?.focus?.({ preventScroll: true });
  if (typeof scroll === 'function') scroll();
  else if (scroll === 'keep') jump(...kept);
  else if (target) target.scrollIntoView();
  else jump(0, 0);
  announce(title);
  document.dispatchEvent(new CustomEvent('firsthand-navigated'));
}

const loaded = (element) => new Promise((resolve) => (element.onload = element.onerror = resolve));

function copyAttributes(from, to) {
  for (const { name } of [...to.attributes]) if (!from.hasAttribute(name)) to.removeAttribute(name);
  for (const { name, value } of from.attributes) if (!/^on/i.test(name)) to.setAttribute(name, value);
}

/** Made anew, parsed scripts run, in their order; a module once in a document's life. */
async function runScripts(scripts) {
  for (const inert of scripts) {
    const script = document.createElement('script');
    for (const { name, value } of inert.attributes) if (!/^on|^src$/i.test(name)) script.setAttribute(name, value);
    script.nonce = inert.nonce;
    script.async = inert.hasAttribute('async');
    // What this module makes is trusted under 'strict-dynamic', so a script of elsewhere needs the page's own nonce.
    if (inert.src && new URL(inert.src).origin !== location.origin && inert.nonce !== pageNonce()) continue;
    if (inert.src) script.src = trusted().createScriptURL(inert.src);
    else script.text = trusted().createScript(inert.text);
    const classic = !inert.type || /javascript/i.test(inert.type);
    const blocks = inert.src && classic && !script.async && !inert.defer && !inert.noModule;
    const ran = blocks && loaded(script);
    inert.replaceWith(script);
    await ran;
  }
}

const pageNonce = () => document.querySelector('script[src$="/firsthand.js"]')?.nonce || null;

async function refreshMarked() {
  const marked = [...document.querySelectorAll('[data-firsthand]')];
  if (!marked.length || !recognised) return;
  const { response } = await follow(location.href, { headers: { accept: 'text/html' } });
  if (!response.ok || !isPage(response)) return;
  const page = parse(await response.text());
  const found = [...page.querySelectorAll('[data-firsthand]')];
  const unnamed = found.filter((element) => !element.dataset.firsthand);
  for (const element of marked) {
    const name = element.dataset.firsthand;
    const at = name ? found.findIndex((other) => other.dataset.firsthand === name) : found.indexOf(unnamed.shift());
    if (at < 0) continue;
    const [next] = found.splice(at, 1);
    element.replaceWith(document.adoptNode(next));
    await runScripts(next.querySelectorAll('script'));
  }
  await markShown();
}

/** A page that waits for something is fetched again, in the customer's name: the browser would ask without. */
let again = 0;
function lookAgain() {
  clearTimeout(again);
  const seconds = Number(document.querySelector('[data-firsthand-again]')?.dataset.firsthandAgain);
  const { href } = location;
  if (seconds && recognised) again = setTimeout(() => location.href === href && visit(href, { scroll: 'keep' }), 1000 * seconds);
}

const markShown = async () => {
  leaving = false;
  lookAgain();
  shownTo = (await device.read())?.jwk.x ?? null;
};

/** Personal content goes with its customer, also from other tabs and the back-forward cache. */
async function checkShown() {
  const record = await device.read();
  if (leaving) return;
  if ((shownTo || cookie) && (!record?.token || (shownTo && record.jwk.x !== shownTo))) location.reload();
}

// --- messages

function showBusy() {
  document.body.setAttribute('aria-busy', 'true');
  const timer = setTimeout(() => announce(words().loading), 600);
  return () => {
    clearTimeout(timer);
    document.body.removeAttribute('aria-busy');
  };
}

/** For screen readers. */
function announce(text) {
  let region = document.getElementById('firsthand-live');
  if (!region) {
    region = make('div', { id: 'firsthand-live', role: 'status' });
    Object.assign(region.style, { position: 'fixed', width: '1px', height: '1px', overflow: 'hidden', clipPath: 'inset(50%)' });
    document.body.append(region);
  }
  // A region that has just come is not read.
  setTimeout(() => (region.textContent = text), 100);
}

/** Says on the page what happened and how to go on. */
function message({ title, text, ask, retry, back }) {
  const w = words();
  const main = document.querySelector('main') ?? document.body;
  const heading = make('h1', { tabindex: '-1' }, title);
  const parts = [
    text && make('p', {}, text),
    ask && make('firsthand-button', { ask }),
    retry && make('button', { type: 'button', class: 'firsthand-retry', onclick: retry }, w.retry),
    back && make('p', {}, make('a', { href: back }, w.back)),
  ];
  main.replaceChildren(make('section', { class: 'firsthand-message' }, heading, ...parts.filter(Boolean)));
  main.removeAttribute('aria-busy');
  document.title = title;
  heading.focus();
}

/** Why a page is not shown. */
function explain(problem, retry) {
  const { status, ask } = problem;
  const w = words();
  if (status === 401 || status === 403) retry = null;
  const title = ask ? (w[problem.code] ?? w.needsProof) : status === 401 ? w.forCustomers : describe(problem, w);
  message({ title, ask, retry, back: HOME });
}

/** A sentence for the customer, a code for whoever helps them. */
function describe(problem, w) {
  if (problem instanceof TypeError) return w.offline;
  if (!(problem instanceof Problem)) console.error(problem);
  if (problem.status === 429) return w.busy;
  return w[problem.code] ?? `${w.failed} (${problem.code ?? problem.status ?? problem.name})`;
}

function make(name, attributes, ...children) {
  const svg = name === 'svg' || name === 'path';
  const space = svg ? 'http://www.w3.org/2000/svg' : 'http://www.w3.org/1999/xhtml';
  const element = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(key.slice(2), value);
    else if (value) element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

// --- navigation

const URLENCODED = 'application/x-www-form-urlencoded';

/** A second press does nothing. */
let sending = false;

/** The link or form used last, for browsers whose navigate event does not tell. */
let used = null;

function ours(url) {
  return (recognised || memory) && optedIn() && url.origin === location.origin && (!url.pathname.startsWith(BASE.pathname) || isCheckout(url));
}

/** The page of ours that is a page of the shop's. */
const isCheckout = ({ pathname }) => /^checkout(\/[^/]+)?$/.test(pathname.slice(BASE.pathname.length));

const isNative = (element) => Boolean(element?.closest?.('[data-firsthand-native]'));

/** Null where the browser has to send the form: files, other encodings. */
function urlencoded(data, form, submitter) {
  const encoding = submitter?.getAttribute('formenctype') || form?.enctype || URLENCODED;
  if (encoding !== URLENCODED) return null;
  return new URLSearchParams([...data].map(([name, value]) => [name, value.name ?? value]));
}

async function sendForm(target, body, form, submitter, address) {
  sending = true;
  form?.setAttribute('aria-busy', 'true');
  if (submitter) submitter.disabled = true;
  try {
    await visit(target, { method: 'POST', body, address });
  } finally {
    sending = false;
    form?.removeAttribute('aria-busy');
    if (submitter) submitter.disabled = false;
  }
}

function onNavigate(event) {
  const { destination, navigationType, formData } = event;
  const url = new URL(destination.url);
  const traverse = navigationType === 'traverse';
  if (ownHistory || !event.canIntercept || event.hashChange || event.downloadRequest !== null) return;
  // Content that we replaced has to come back, whoever the visitor is now.
  if (traverse !== destination.sameDocument || navigationType === 'reload' || !(traverse ? optedIn() : ours(url))) return;

  const element = event.sourceElement ?? used?.element;
  const submitter = element?.form ? element : used?.submitter;
  const form = element?.form ?? element?.closest?.('form');
  if (isNative(element) || isNative(submitter)) return;
  const body = formData && urlencoded(formData, form, submitter);
  if (formData && !body) return;
  used = null;
  if (sending && body) return event.preventDefault();

  const scroll = traverse ? restoreScroll : 'top';
  event.intercept({
    scroll: 'manual',
    focusReset: 'manual',
    handler: () => (body ? sendForm(url, body, form, submitter) : visit(url, { scroll })),
  });
}

/** Browsers without the Navigation API. */
function onClick(event) {
  const link = event.composedPath().find((node) => node.localName === 'a' && node.href);
  used = link && { element: link };
  if (globalThis.navigation || !link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if ((link.target && link.target !== '_self') || link.hasAttribute('download') || isNative(link)) return;
  const url = new URL(link.href);
  const sameDocument = url.hash && url.href.split('#')[0] === location.href.split('#')[0];
  if (!ours(url) || sameDocument) return;
  event.preventDefault();
  saveScroll();
  visit(url, { address: 'push' });
}

function onSubmit(event) {
  const { target: form, submitter } = event;
  used = { element: form, submitter };
  if (globalThis.navigation || event.defaultPrevented || isNative(form) || isNative(submitter)) return;
  const method = (submitter?.getAttribute('formmethod') || form.getAttribute('method') || 'get').toLowerCase();
  const target = submitter?.getAttribute('formtarget') || form.target;
  const action = submitter?.getAttribute('formaction') ?? form.getAttribute('action') ?? '';
  const url = new URL(action || location.href, document.baseURI);
  if (method === 'dialog' || (target && target !== '_self') || !ours(url)) return;
  const body = urlencoded(new FormData(form, submitter), form, method === 'post' ? submitter : null);
  if (!body) return;
  event.preventDefault();
  if (sending) return;
  saveScroll();
  if (method === 'post') return sendForm(url, body, form, submitter, 'push');
  url.search = body;
  visit(url, { address: 'push' });
}

function onPopState() {
  if (optedIn() && (shownTo || history.state?.firsthand)) visit(location.href, { scroll: restoreScroll });
}

/** A shell is too short for the browser to restore its position. */
function saveScroll() {
  if (shownTo && !underWay) setAddress(location.href, 'replace', { ...history.state, firsthand: [window.scrollX, window.scrollY] });
}

const restoreScroll = () => jump(...(history.state?.firsthand ?? [0, 0]));

/** Also where pages scroll smoothly. */
const jump = (left, top) => window.scrollTo({ left, top, behavior: 'instant' });

/** After an answer: in place where the page allows it or the key would be lost. */
function proceed(path) {
  const elsewhere = path && path !== location.pathname + location.search;
  if (ourPage() === 'post') location.assign(path ?? here());
  else if (optedIn() || ourPage() === 'shell' || memory) {
    visit(path ?? location.href, elsewhere ? { address: 'push' } : { scroll: 'keep' });
  } else if (elsewhere) location.assign(path);
  else location.reload();
}

// --- button

const STYLE = `
:host { display: inline-block; --_accent: var(--firsthand-accent, light-dark(#14503f, #8fd6bd));
  --_on-accent: var(--firsthand-on-accent, light-dark(#fff, #08261d)); --_radius: var(--firsthand-radius, 12px);
  --_line: var(--firsthand-line, color-mix(in srgb, currentColor 22%, transparent)); }
:host([hidden]) { display: none }
* { box-sizing: border-box }
button, a, summary, label { min-height: 44px; font: inherit; cursor: pointer; touch-action: manipulation }
button, a { display: inline-flex; align-items: center; justify-content: center; padding: 10px 20px; border-radius: var(--_radius);
  border: 1px solid var(--_line); background: none; color: inherit; text-decoration: none; text-align: center }
.main { border-color: transparent; background: var(--_accent); color: var(--_on-accent); font-weight: 600 }
:focus-visible { outline: 3px solid var(--_accent); outline-offset: 3px }
h2:focus { outline: none }
:host([dialog-only]) > button, [hidden] { display: none !important }
dialog { width: min(44rem, calc(100vw - 24px)); max-height: calc(100dvh - 24px); padding: 24px; border: 1px solid var(--_line);
  border-radius: calc(var(--_radius) * 1.6); background: var(--firsthand-background, Canvas); color: var(--firsthand-color, CanvasText);
  font: var(--firsthand-font, 1rem/1.5 system-ui, sans-serif); text-align: start; box-shadow: 0 24px 64px #0006; overflow: auto }
dialog::backdrop { background: #0008 }
header { display: flex; justify-content: space-between; align-items: start; gap: 12px }
h2 { margin: 6px 0 0; font-size: 1.35em; line-height: 1.25 }
h3 { margin: 16px 0 0; font-size: 1em }
p { margin: 8px 0 }
.close { padding: 0; width: 44px; flex: none; border-color: transparent; font-size: 1.4em; line-height: 1 }
.offer { display: flex; flex-wrap: wrap; gap: 24px; margin: 16px 0 }
.offer > * { flex: 1 1 15rem; min-width: 0 }
.code svg { display: block; width: min(100%, 19rem); margin: 0 auto; border-radius: 8px; background: #fff; fill: #000; forced-color-adjust: none }
.delivered svg { opacity: .25 }
ul { display: grid; gap: 10px; margin: 12px 0 0; padding: 0; list-style: none }
li a { width: 100%; overflow-wrap: anywhere }
details { margin-top: 16px; border-top: 1px solid var(--_line) }
summary { padding: 10px 0 }
label { display: flex; align-items: center; gap: 12px }
input { width: 22px; height: 22px; flex: none; accent-color: var(--_accent) }
footer { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 16px; border-top: 1px solid var(--_line); padding-top: 12px }
.status { display: flex; flex: 1 1 14rem; align-items: center; gap: 12px; min-height: 44px; margin: 0 }
.status::before { content: ""; flex: none; width: 10px; height: 10px; border-radius: 50%; background: var(--_accent) }
.waiting::before { animation: breathe 1.6s ease-in-out infinite }
.ended::before { background: var(--firsthand-warning, light-dark(#b3261e, #ffb4ab)) }
@keyframes breathe { 50% { opacity: .2; transform: scale(.7) } }
@media (max-width: 34rem) { dialog { width: 100vw; max-width: 100vw; margin: auto 0 0; border-radius: 20px 20px 0 0; padding: 20px 20px max(20px, env(safe-area-inset-bottom)) } }
@media (prefers-reduced-motion: reduce) { .waiting::before { animation: none } }
`;

const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);

const onPhone = () => navigator.userAgentData?.mobile ?? matchMedia('(hover: none) and (pointer: coarse)').matches;

/** Where the browser itself finds wallets: its part of the button. */
const byBrowser = globalThis.DigitalCredential && (() => import('./dc.js'));

/** What the dialog opens with. The tab to which a wallet returns could not find a key in memory. */
async function prepare(host) {
  await device.key();
  const flows = memory && !byBrowser ? ['cross_device'] : onPhone() && !memory ? ['same_device'] : ['cross_device', 'same_device'];
  return Promise.all(flows.map((flow) => asked(host, flow)));
}

/** A presentation; or why there is none by a code, where the shop takes payments from wallets on this device alone. */
async function asked(host, flow) {
  try {
    return await host.ask(flow);
  } catch (problem) {
    if (problem.code !== 'payment_across_devices') throw problem;
    return { flow, problem };
  }
}

/**
 * `<firsthand-button ask="age" return-to="/wine">Show that I am 18</firsthand-button>`
 *
 * Attributes: `ask` (several with spaces between them), `order` (what is paid, for one that is for payments; a guest's with its
 * `link`; or `checkout`, the one that is completed, with the `revision`, `total` in minor units and `currency` that the customer
 * sees, and a `key` that makes it happen once), `return-to` (a path), `remember="no"` (the box starts empty), `lang`. Slots: label, `purpose`.
 * Parts: button dialog title close qr links link remember status retry.
 * Properties: `--firsthand-` accent on-accent background color line radius font warning.
 * Events: `firsthand-` recognised (cancel it to go on yourself), declined, error (`detail.code`).
 */
class FirsthandButton extends HTMLElement {
  #prepared = null;
  #dialog = null;

  connectedCallback() {
    if (this.shadowRoot) return;
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true });
    root.adoptedStyleSheets = [sheet];
    // The question is on its way when the finger comes up.
    const early = (event) => {
      // A checkout is completed by a press, and by nothing that may be let go elsewhere.
      if (this.hasAttribute('checkout')) return;
      if (event.type === 'pointerdown' ? event.button === 0 : event.key === 'Enter' || event.key === ' ') this.#prepare();
    };
    const label = make('slot', {}, words(this).button);
    const listeners = { onpointerdown: early, onkeydown: early, onclick: () => this.open() };
    root.append(make('button', { type: 'button', part: 'button', class: 'main', ...listeners }, label));
  }

  disconnectedCallback() {
    this.#dialog?.close();
  }

  open() {
    if (this.#dialog) return;
    this.#dialog = new Conversation(this, this.#prepare(), () => (this.#dialog = null));
    this.#prepared = null;
  }

  ask(flow) {
    const given = (name) => this.getAttribute(name) ?? undefined;
    const [order, link, id, key, currency] = ['order', 'link', 'checkout', 'key', 'currency'].map(given);
    const seen = { revision: Number(given('revision')), total_minor: Number(given('total')) };
    const payment = id ? { link, checkout: { id, key, currency, ...seen } } : order && { order, link };
    return present(given('ask'), flow, this.returnTo ?? here(), payment);
  }

  get pays() {
    return this.hasAttribute('checkout') || this.hasAttribute('order');
  }

  get returnTo() {
    const path = this.getAttribute('return-to');
    return path && localPath(path);
  }

  #prepare() {
    this.#prepared ??= prepare(this);
    // For a press that was let go elsewhere.
    const prepared = this.#prepared;
    const drop = () => this.#prepared === prepared && (this.#prepared = null);
    prepared.then(() => setTimeout(drop, 30_000), drop);
    return prepared;
  }
}

/** The open dialog. */
class Conversation {
  #host;
  #words;
  #dialog;
  #offer;
  #status;
  #retry;
  #round = null;
  #made;
  #shown = {};
  #places;
  #scan;
  #renewals = 0;
  #finished = false;

  constructor(host, prepared, closed) {
    const w = (this.#words = words(host));
    this.#host = host;
    this.#offer = make('div', { class: 'offer' });
    this.#status = make('p', { class: 'status', part: 'status', role: 'status' });
    this.#retry = make('button', { type: 'button', part: 'retry', hidden: true, onclick: () => this.#begin(prepare(host)) }, w.retry);
    const box = make('input', { type: 'checkbox', onchange: () => remember(box.checked) });
    box.checked = host.getAttribute('remember') !== 'no';
    const title = make('h2', { part: 'title', id: 'title', tabindex: '-1', autofocus: true }, host.pays ? w.payTitle : w.title);
    const close = make('button', { type: 'button', class: 'close', part: 'close', 'aria-label': w.close, onclick: () => this.close() }, '×');
    this.#dialog = make(
      'dialog',
      { part: 'dialog', 'aria-labelledby': 'title', lang: languageOf(host) },
      make('header', {}, title, close),
      make('slot', { name: 'purpose' }),
      this.#offer,
      make('label', { part: 'remember' }, box, w.remember),
      make('footer', {}, this.#status, this.#retry),
    );
    // No press on the card that the button may stand in.
    this.#dialog.addEventListener('click', (event) => event.stopPropagation());
    this.#dialog.addEventListener('close', () => {
      this.#round?.abort();
      this.#dialog.remove();
      closed();
      if (this.#finished) return;
      host.dispatchEvent(new CustomEvent('firsthand-closed'));
      if (host.hasAttribute('checkout')) this.#giveUp();
    });
    host.shadowRoot.append(this.#dialog);
    this.#dialog.showModal();
    this.#begin(prepared.finally(() => remember(box.checked)));
  }

  close() {
    this.#dialog.close();
  }

  /** A checkout waits for no wallet that nobody opens any more: it can be changed again, and be paid in another way. */
  async #giveUp() {
    const made = [...(await this.#made.catch(() => [])), ...Object.values(this.#shown)].map(({ id }) => id);
    await Promise.allSettled([...new Set(made)].map((id) => byKey('DELETE', `presentations/${encodeURIComponent(id)}`)));
    proceed();
  }

  async #begin(prepared) {
    this.#made = prepared;
    this.#round?.abort();
    const { signal } = (this.#round = new AbortController());
    this.#renewals = 0;
    this.#retry.hidden = true;
    this.#offer.replaceChildren();
    this.#say('loading');
    try {
      const made = await prepared;
      if (signal.aborted) return;
      heard.addEventListener('recognised', ({ detail }) => this.#shows(detail) && this.#finish('same_device'), { signal });
      document.addEventListener('visibilitychange', () => this.#renew(signal), { signal });
      this.#draw(made);
      this.#say('requested');
    } catch (problem) {
      this.#fail(problem);
    }
  }

  #draw(made) {
    const w = this.#words;
    this.#shown = {};
    const code = make('div', { class: 'code', part: 'qr' });
    const links = make('ul', { part: 'links' });
    const scan = (this.#scan = make('p', {}, w.scan));
    const consent = make('p', {}, w.consent);
    if (memory) this.#offer.append(code, make('div', {}, scan, consent, make('p', {}, w.tabOnly)));
    else if (onPhone()) {
      const more = make('details', {}, make('summary', {}, w.otherDevice), scan, code);
      more.addEventListener('toggle', () => this.#add('cross_device'), { once: true });
      this.#offer.append(make('div', {}, consent, links, more));
    } else this.#offer.append(code, make('div', {}, scan, consent, make('h3', {}, w.onComputer), links));
    this.#dialog.querySelector('label').hidden = Boolean(memory);
    this.#places = { cross_device: code, same_device: links };
    for (const presentation of made) this.#place(presentation);
  }

  async #add(flow) {
    const { signal } = this.#round;
    try {
      const presentation = await asked(this.#host, flow);
      if (!signal.aborted) this.#place(presentation);
    } catch (problem) {
      if (!signal.aborted) this.#fail(problem);
    }
  }

  #place(presentation) {
    const w = this.#words;
    const { flow, uri, wallets, problem } = presentation;
    if (problem) {
      this.#scan.hidden = true;
      return this.#places[flow].replaceChildren(make('p', {}, describe(problem, w)));
    }
    this.#shown[flow] = presentation;
    if (flow === 'cross_device') {
      this.#places[flow].replaceChildren(qrPicture(uri, w.code));
      this.#watch(presentation);
    } else {
      const all = [...wallets, { name: w.anyWallet, url: uri }].filter(({ url }) => !/^\s*(javascript|data|vbscript|blob|file):/i.test(url));
      const items = all.map(({ name, url }, index) => {
        // A web wallet gets a tab of its own; an app needs none.
        const tab = /^https?:/i.test(url) ? { target: '_blank', rel: 'noopener' } : {};
        const look = { part: 'link', class: onPhone() && !index && 'main', 'data-firsthand-native': true };
        return make('li', {}, make('a', { href: url, ...tab, ...look, onclick: () => this.#watch(presentation) }, name));
      });
      this.#places[flow].replaceChildren(...items);
      this.#byBrowser(presentation);
    }
    const { signal } = this.#round;
    sleep(Math.max(presentation.until - Date.now() - RENEW_BEFORE_MS, 1000), signal).then(() => this.#renew(signal));
  }

  /** Replaces what soon expires and nobody has taken up, while somebody looks. */
  #renew(signal) {
    if (signal.aborted || document.visibilityState !== 'visible') return;
    for (const presentation of Object.values(this.#shown)) {
      const { flow, state, until, taken } = presentation;
      const waits = flow === 'same_device' ? !taken : state === 'requested';
      if (until - Date.now() > RENEW_BEFORE_MS + 500 || presentation.renewed || !waits) continue;
      presentation.renewed = true;
      this.#renewals += 1;
      if (this.#renewals > 20) return this.#end('expired');
      this.#add(flow);
    }
  }

  async #byBrowser(presentation) {
    const talk = {
      offer: this.#offer,
      signal: this.#round.signal,
      say: (text, ended) => this.#tell(text, ended),
      redeem: (code) => this.#redeem(presentation, code),
      declined: () => this.#end('declined'),
      fail: (problem) => this.#fail(problem),
    };
    const module = await byBrowser?.().catch(() => null);
    await module?.offer(presentation, talk);
  }

  #shows(id) {
    return Object.values(this.#shown).some((presentation) => presentation.id === id);
  }

  async #watch(presentation) {
    if (presentation.taken) return;
    presentation.taken = true;
    for await (const { state, refused } of states(presentation.id, this.#round.signal)) {
      this.#hear(presentation, state, refused);
    }
  }

  #hear(presentation, state, refused) {
    const shown = this.#shows(presentation.id);
    const scanned = presentation.flow === 'cross_device';
    presentation.state = state;
    if (state === 'redeemed') {
      // The tab that redeems tells us when it has the token. If not:
      const { signal } = this.#round;
      sleep(3000, signal).then(() => signal.aborted || this.#finish(presentation.flow));
    } else if (state === 'answered' && scanned) this.#redeem(presentation);
    else if (state === 'expired') {
      if (shown && !presentation.renewed) this.#end('expired');
    } else if (state === 'declined') this.#end('declined');
    else if (state === 'delivered' || shown || state === 'offline') {
      this.#say(refused ? 'again' : state);
      this.#places.cross_device.classList.toggle('delivered', state === 'delivered' && scanned);
      this.#retry.hidden = state !== 'delivered' && state !== 'answered';
    }
  }

  async #redeem({ id, flow }, code) {
    this.#say('loading');
    try {
      await redeem(id, code);
      this.#finish(flow, this.#host.returnTo);
    } catch (problem) {
      this.#fail(problem);
    }
  }

  /** After a same-device answer the other tab goes on; this one refreshes. */
  #finish(flow, path) {
    if (this.#finished) return;
    this.#finished = true;
    this.close();
    const detail = { ask: this.#host.getAttribute('ask'), flow };
    if (emit(this.#host, 'firsthand-recognised', detail)) proceed(path);
  }

  #end(state) {
    this.#round.abort();
    this.#offer.replaceChildren();
    this.#say(state, true);
    this.#retry.hidden = false;
    this.#retry.focus();
    if (state === 'declined') emit(this.#host, 'firsthand-declined', { ask: this.#host.getAttribute('ask') });
    else emit(this.#host, 'firsthand-error', { code: state });
  }

  #fail(problem) {
    this.#end(problem.code ?? problem.name);
    this.#status.textContent = describe(problem, this.#words);
  }

  #say(state, ended) {
    this.#tell(this.#words[state], ended);
  }

  #tell(text, ended = false) {
    this.#status.textContent = text;
    this.#status.className = `status ${ended ? 'ended' : 'waiting'}`;
  }
}

const RENEW_BEFORE_MS = 20_000;

const emit = (host, name, detail) =>
  host.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, cancelable: true, detail }));

/** Opens the dialog without a button. @returns {Promise<boolean>} false when the customer closed it */
export function ask(name, { returnTo, lang, order, link } = {}) {
  const host = make('firsthand-button', { ask: name, 'return-to': returnTo, lang, order, link, 'dialog-only': true });
  document.body.append(host);
  return new Promise((resolve) => {
    const end = (answer) => {
      host.remove();
      resolve(answer);
    };
    host.addEventListener('firsthand-recognised', (event) => {
      event.preventDefault();
      end(true);
    });
    host.addEventListener('firsthand-closed', () => end(false));
    host.open();
  });
}

// --- start

/** The wallet has brought the customer back. */
async function comeBack(code) {
  const w = words();
  const id = location.pathname.split('/').pop();
  const record = await device.read();
  if (!record) return message({ title: w.elsewhere, text: w.elsewhereText, back: HOME });
  const back = record.asks[id]?.returnTo ?? HOME;
  try {
    if (code) return location.replace(await redeem(id, code));
    const { state } = await call('GET', `presentations/${encodeURIComponent(id)}`, undefined, true);
    message({ title: w[state], back });
  } catch (problem) {
    message({ title: describe(problem, w), back, retry: problem instanceof TypeError && (() => comeBack(code)) });
  }
}

/** Does the shop know this browser? Asks nothing where the customer has not acted. */
export const ready = (async () => {
  const found = await device.read();
  const record = found && (await keepRun(found));
  if (record) listen();
  if (record?.known && !record.locked && !record.token && ourPage() !== 'return') await newSession();
  return recognised;
})();

async function start() {
  customElements.define('firsthand-button', FirsthandButton);
  window.addEventListener('click', onClick);
  window.addEventListener('submit', onSubmit);
  if (globalThis.navigation) navigation.addEventListener('navigate', onNavigate);
  else window.addEventListener('popstate', onPopState);
  window.addEventListener('scrollend', saveScroll);
  window.addEventListener('pageshow', ({ persisted }) => persisted && checkShown());
  document.addEventListener('visibilitychange', watchSession);
  heard.addEventListener('left', checkShown);

  if (ourPage() === 'return') {
    const code = new URLSearchParams(location.hash.slice(1)).get('response_code');
    // The code is a secret: it leaves the address before anything else happens.
    history.replaceState(null, '', location.pathname);
    return comeBack(code);
  }
  await ready;
  if (ourPage() === 'shell') await visit(location.href, { scroll: restoreScroll });
  else if (ourPage() !== 'post') await refreshMarked();
  if (!watch) await settle();
}

/** For `account.js`, `meet.js` and `dc.js`, which come with this file. */
export { byKey, call, describe, deviceName, localPath, make, message, proceed, qrPicture, takeSession };

start().catch((error) => console.error(error));
