// The buttons of "My data", and those that copy. They wait on the document, because pages come and go without being loaded
// anew.
import { forgetDevice, signOut } from '/wallet/firsthand.js';

const actions = {
  'sign-out': () => leave(signOut),
  'forget-device': () => leave(forgetDevice),
};

document.addEventListener('click', async (event) => {
  const button = event.target instanceof Element && event.target.closest('button[data-action]');
  if (!button || button.disabled) return;
  button.disabled = true;
  try {
    await actions[button.dataset.action]?.(button);
  } catch (error) {
    console.error(error);
    button.disabled = false;
    const failed = document.querySelector('[data-failed]');
    failed?.removeAttribute('hidden');
    failed?.scrollIntoView({ block: 'center' });
  }
});

document.addEventListener('click', async (event) => {
  const button = event.target instanceof Element && event.target.closest('button[data-copy]');
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = button.dataset.copied;
  } catch {
    // A browser may forbid it: then at least the text is ready to be copied by hand.
    getSelection().selectAllChildren(button.previousElementSibling);
  }
});

async function leave(how) {
  await how();
  location.assign('/');
}
