/** The API key, where the service wants one: asked for, and kept until the tab is closed. */

import { inWords } from './problem.js';

const PLACE = 'chromaserve-key';
const UNSEEN = /\p{Cf}/gu; // comes along where a key is copied from a page or a letter
const SENT = /^[\x21-\x7e]+$/; // what a header takes, and the service has for keys
const dialog = document.querySelector('#key-dialog');
const input = document.querySelector('#key');
let asking = null;
let given = ''; // where the browser keeps nothing
let declined = false; // until the user does something again

for (const event of ['pointerdown', 'keydown', 'paste', 'drop']) {
  addEventListener(event, () => { declined = false; }, true);
}

/** The key, '' without one. */
export function key() {
  try {
    const kept = sessionStorage.getItem(PLACE) ?? given;
    return SENT.test(kept) ? kept : '';
  } catch {
    return given;
  }
}

/**
 * Have the user give a key; one dialog, however many requests want it.
 *
 * @param {Problem} refusal what the service said
 * @param {string} used the key that it refused
 * @throws {Problem} the refusal, where no key is given
 */
export async function askForKey(refusal, used, signal) {
  if (key() !== used) {
    return; // another request has got a new one meanwhile
  }
  if (declined) {
    throw refusal;
  }
  document.querySelector('#key-text').textContent = used
    ? `The service did not take this key. ${inWords(refusal).detail}`
    : 'This service wants an API key. It is kept until this tab is closed.';
  asking ??= ask().finally(() => { asking = null; });
  declined = !(await asking);
  signal?.throwIfAborted();
  if (declined) {
    throw refusal;
  }
}

function ask() {
  return new Promise((resolve) => {
    const before = document.activeElement;
    const form = document.querySelector('#key-form');
    const end = (answered) => {
      form.onsubmit = null;
      dialog.onclose = null;
      dialog.close();
      before?.focus?.();
      resolve(answered);
    };
    form.onsubmit = (event) => {
      event.preventDefault();
      const typed = input.value.replace(UNSEEN, '').trim();
      if (!SENT.test(typed)) {
        document.querySelector('#key-text').textContent = 'No key has spaces, or letters and signs'
          + ' beyond those of English. Copy it again, and nothing else with it.';
        input.focus();
        return;
      }
      given = typed;
      try {
        sessionStorage.setItem(PLACE, given);
      } catch {
        // It is asked for again after a reload.
      }
      input.value = '';
      dispatchEvent(new Event('key'));
      end(true);
    };
    document.querySelector('#key-cancel').onclick = () => end(false);
    dialog.onclose = () => end(false); // by Escape
    dialog.showModal();
  });
}
