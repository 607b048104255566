/**
 * The pages `call` and `join` of Firsthand: a customer types a number that an operator says, or that another screen shows.
 * The words stand in the page; this shows one step after the other.
 */
import { fetch, ready, recognised, Problem, byKey, takeSession, qrPicture } from './firsthand.js';

const BASE = new URL('.', import.meta.url);
const HOME = new URL('..', BASE).pathname;
const page = document.body.dataset.firsthandPage;
const main = document.querySelector('main');
const all = (selector) => [...main.querySelectorAll(selector)];

/** What the other device holds: the name of a join. */
const link = page === 'join' ? location.hash.slice(1) : '';

/** What a button does at this step. */
let does = {};

function show(step, values = {}, next = {}) {
  does = next;
  trouble(null);
  main.removeAttribute('aria-busy');
  for (const slot of all('[data-slot]')) if (slot.dataset.slot in values) slot.replaceChildren(values[slot.dataset.slot]);
  for (const part of all('[data-if]')) part.hidden = !values[part.dataset.if];
  for (const section of all('[data-step]')) section.hidden = section.dataset.step !== step;
  const heading = main.querySelector(`[data-step="${step}"] h1`);
  document.title = heading.textContent.trim();
  heading.focus();
}

/** One line about what went wrong, or none. */
function trouble(code) {
  const lines = all('[data-trouble]');
  const known = lines.some(({ dataset }) => dataset.trouble === code);
  for (const line of lines) line.hidden = !code || line.dataset.trouble !== (known ? code : 'failed');
}

async function call(method, path, body) {
  const headers = body ? { 'content-type': 'application/json' } : {};
  const response = await fetch(new URL(path, BASE), { method, headers, body: body && JSON.stringify(body), cache: 'no-store' });
  if (!response.ok) throw await Problem.of(response);
  return response.status === 204 ? null : response.json();
}

/** A refusal, as a step of its own or as a line. */
function refused(problem, again) {
  const { status, code } = problem;
  if (status === 401) show('sign_in');
  else if (code === 'step_up_needed' || code === 'rung_needed') show('step_up', {}, { again });
  else if (status === 404 || status === 410) show('over', {}, { again: start });
  else if (code === 'in_another_meeting') start();
  else if (code === 'browser_known') show('known');
  else {
    if (!code) console.error(problem);
    if (main.hasAttribute('aria-busy')) show(code === 'across_devices' ? 'step_up' : 'over', {}, { again });
    trouble(code ?? 'failed');
  }
}

/** Goes on, or says why not. */
const attempt = (work) => async (...with_) => {
  try {
    await work(...with_);
  } catch (problem) {
    refused(problem, attempt(() => work(...with_)));
  }
};

// --- a desk

const time = (text) => new Date(text).toLocaleTimeString(document.documentElement.lang, { timeStyle: 'short' });

async function askForNumber() {
  const { call: announced, meeting } = await call('GET', 'calls');
  if (meeting) return question(meeting);
  const values = { no_call: !announced?.is_on };
  if (announced) {
    const { desk, purpose, telephone, starts_at, until, is_on } = announced;
    Object.assign(values, { call: true, call_on: is_on, call_later: !is_on, call_desk: desk, call_purpose: purpose });
    Object.assign(values, { call_number: telephone, call_from: time(starts_at), call_until: time(until) });
  }
  show('number', values, { number: attempt(async (number) => question(await call('POST', 'calls', { number }))) });
}

function question(meeting) {
  const path = `calls/${encodeURIComponent(meeting.id)}`;
  const answer = (method, step) =>
    attempt(async () => {
      await call(method, path);
      show(step);
    });
  show('question', meeting, { yes: answer('POST', 'done'), no: answer('DELETE', 'refused') });
}

// --- a browser that nobody knows

async function wait() {
  const join = await byKey('POST', 'joins').catch(async (problem) => {
    if (problem.code !== 'binding_locked') throw problem;
    // The key was signed out: the next one is new.
    return byKey('POST', 'joins');
  });
  const path = `joins/${encodeURIComponent(join.id)}`;
  const code = qrPicture(join.link, main.querySelector('[data-slot="code"]').dataset.label);
  show('waiting', { code, number: join.number });
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, join.interval * 1000));
    // A phone sleeps, a network stumbles: what counts is what the shop says at the end.
    const { state } = await byKey('GET', path).catch((problem) => {
      if (problem.status) throw problem;
      return { state: 'waiting' };
    });
    if (state === 'vouched') {
      await takeSession(await byKey('POST', `${path}/session`));
      return location.assign(HOME);
    }
    if (state === 'refused') return show('denied');
    if (state === 'expired') return show('over', {}, { again: start });
  }
}

// --- the customer's own browser

async function askForOther() {
  const path = `vouchers/${encodeURIComponent(link)}`;
  const { browser } = await call('GET', path);
  show(
    'question',
    { browser: browser ?? '', unnamed: !browser },
    {
      number: attempt(async (number) => {
        await call('POST', path, { number });
        show('done');
      }),
      no: attempt(async () => {
        await call('DELETE', path);
        show('refused');
      }),
    },
  );
}

const start = attempt(async () => {
  await ready;
  if (page === 'call') return recognised ? askForNumber() : show('sign_in');
  if (link) return recognised ? askForOther() : show('sign_in');
  // Nothing is kept in a browser before somebody acts: the key is made with the first press.
  return recognised ? show('known') : show('begin', {}, { begin: attempt(wait) });
});

main.addEventListener('click', ({ target }) => does[target.closest('[data-does]')?.dataset.does]?.());
main.addEventListener('submit', (event) => {
  event.preventDefault();
  event.stopPropagation();
  const { number } = event.target.elements;
  does.number?.(number.value);
  number.value = '';
});
for (const anchor of all('[data-back]')) anchor.href = HOME;
for (const button of all('firsthand-button')) {
  // With the fragment: it says which browser waits.
  button.setAttribute('return-to', location.pathname + location.hash);
  button.addEventListener('firsthand-recognised', (event) => {
    event.preventDefault();
    start();
  });
}
start();
