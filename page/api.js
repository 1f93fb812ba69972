// Calls of the HTTP API: the token goes into a header and nowhere else, and whatever goes wrong is put in words.

import { byId } from './dom.js';

const ADVICE = {
  'no-stock': 'Announce a restock, or set the stock first.',
  'nothing-to-resume': 'It may have gone on meanwhile: the lists show where it stands.',
  'nothing-to-cancel': 'It may have ended meanwhile: the lists show where it stands.',
  'stock-has-changed': 'Look at the product again, then decide.',
  'refused-before': 'Ask again; a new key is made each time.',
  'too-many-requests': 'Wait a moment, then try again.',
  unavailable: 'Try again in a moment; `restock-cli doctor` names what is missing.',
  overloaded: 'Try again in a moment.',
  'too-slow': 'It may have been done all the same: look before you try again.',
  internal: 'The reason is in the log of restock-api.',
};

// Why a call failed, in one sentence and a half that people can do something with.
export class Problem extends Error {
  constructor(status, kind, text, waitMs = 0) {
    super(text);
    this.status = status;
    this.kind = kind;
    this.waitMs = waitMs;
  }

  static unreachable() {
    return new Problem(0, 'unreachable', 'The server does not answer. See whether restock-api runs; this page tries again by itself.');
  }

  // Reads a problem document (RFC 9457); an answer of somebody between us and the server has none.
  static async of(response) {
    const waitMs = 1000 * (Number(response.headers.get('retry-after')) || 0);
    try {
      const document = await response.json();
      const kind = String(document.type ?? '').split(':').pop();
      const detail = document.detail || document.title || `status ${response.status}`;
      if (kind === 'unauthorized' && !document.detail?.startsWith('the token')) return new Problem(response.status, kind, 'A token is needed.');
      const sentence = detail.charAt(0).toUpperCase() + detail.slice(1);
      const text = [/[.!?]$/.test(sentence) ? sentence : `${sentence}.`, ADVICE[kind]].filter(Boolean).join(' ');
      return new Problem(response.status, kind, text, waitMs);
    } catch {
      return new Problem(response.status, 'unknown', `The server answered ${response.status}, without a reason.`, waitMs);
    }
  }
}

// A secret that this tab keeps until it is closed.
export class Secret {
  constructor(name) {
    this.name = name;
    this.value = null;
    try {
      this.value = sessionStorage.getItem(name);
    } catch {
      // Without storage it lasts as long as the page.
    }
  }

  set(value) {
    this.value = value || null;
    try {
      if (this.value) sessionStorage.setItem(this.name, this.value);
      else sessionStorage.removeItem(this.name);
    } catch {
      // As above.
    }
  }

  headers() {
    return this.value ? { authorization: `Bearer ${this.value}` } : {};
  }
}

// One call; answers the JSON that came back, or null where there is none.
export async function call(secret, method, path, { body, headers = {}, signal } = {}) {
  const init = { method, headers: { accept: 'application/json', ...secret.headers(), ...headers }, signal, cache: 'no-store', credentials: 'omit' };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers['content-type'] = 'application/json';
  }
  let response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    throw error.name === 'AbortError' ? error : Problem.unreachable();
  }
  if (!response.ok) throw await Problem.of(response);
  return response.status === 204 ? null : response.json();
}

// The token of whoever is on duty, asked for once, when the server wants one.
export class Duty {
  constructor() {
    this.secret = new Secret('restock.token');
    this.changed = new EventTarget();
    this.asking = null;
    byId('token-button').addEventListener('click', () => this.ask(null));
    byId('token-forget').addEventListener('click', () => {
      this.secret.set(null);
      byId('token-input').value = '';
      byId('token-dialog').close('forgot');
    });
    byId('token-cancel').addEventListener('click', () => byId('token-dialog').close(''));
    byId('token-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.secret.set(byId('token-input').value.trim());
      byId('token-input').value = '';
      byId('token-dialog').close('given');
    });
  }

  // Resolves to whether there is another token now. Who asks while it is open waits for the same answer.
  ask(why) {
    this.asking ??= new Promise((resolve) => {
      const dialog = byId('token-dialog');
      byId('token-title').textContent = why ? 'A token is needed' : 'Token';
      byId('token-why').textContent =
        why ?? 'A server that has tokens lets only those in who have one. An admin’s can do all that is on this page.';
      byId('token-input').value = '';
      byId('token-forget').hidden = !this.secret.value;
      dialog.addEventListener('close', () => {
        this.asking = null;
        const isNew = ['given', 'forgot'].includes(dialog.returnValue);
        dialog.returnValue = '';
        if (isNew) this.changed.dispatchEvent(new Event('change'));
        resolve(isNew);
      }, { once: true });
      dialog.returnValue = '';
      dialog.showModal();
    });
    return this.asking;
  }

  // A call that asks for a token where one is missing or may not do that, and then is made again.
  async call(method, path, options) {
    try {
      return await call(this.secret, method, path, options);
    } catch (error) {
      const words = error.status === 401 ? 'This server lets only those in who have a token. An admin’s can do all that is on this page.'
        : error.status === 403 && this.secret.value ? `${error.message} Give the token of an admin.` : null;
      if (!words || !(await this.ask(words)) || !this.secret.value) throw error;
      return call(this.secret, method, path, options);
    }
  }

  // The same for what is asked in the background: never opens anything.
  quietly(path, signal) {
    return call(this.secret, 'GET', path, { signal });
  }
}
