// A subscriber's messages: what is stored, and each new one as it comes.

import { Secret, call } from './api.js';
import { byId, el, setText } from './dom.js';
import { say } from './said.js';
import { Stream, showLink } from './stream.js';
import { ago, count, plural, time } from './words.js';

const PAGE = 30;
const FRESH_MS = 700;

// `rsu_<user>.<expires>.<signature>`, or the bare number of a user, for a server without tokens.
function userOf(text) {
  const found = /^(?:rsu_)?(\d{1,19})(?:\.\d+\.[\w-]+)?$/.exec(text);
  return found && (text.startsWith('rsu_') === text.includes('.')) ? found[1] : null;
}

class Inbox {
  constructor() {
    this.secret = new Secret('restock.me');
    // By number: the same message can come from the list and from the stream, and again after a break.
    this.messages = new Map();
    this.begun = 0;
    this.unread = 0;
    this.oldest = null;
    byId('enter-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.enter(byId('enter-token').value.trim());
      byId('enter-token').value = '';
    });
    byId('leave-button').addEventListener('click', () => this.leave());
    byId('read-all').addEventListener('click', () => this.readAll());
    byId('older').addEventListener('click', () => this.loadOlder());
    window.addEventListener('hashchange', () => this.takeFragment());
    setInterval(() => this.drawTimes(), 5_000);
    if (!this.takeFragment()) this.begin();
  }

  // A link may bring the token after the `#`, which no server sees. It is taken out of the address at once.
  takeFragment() {
    const given = new URLSearchParams(location.hash.slice(1));
    const token = given.get('token') ?? given.get('user');
    if (!token) return false;
    history.replaceState(null, '', location.pathname);
    this.enter(token);
    return true;
  }

  enter(token) {
    if (!userOf(token)) {
      this.complain('That is no token: one starts with rsu_ and has three parts with dots between them. Copy all of it.');
      return;
    }
    this.secret.set(token);
    this.begin();
  }

  leave(problem) {
    this.stream?.stop();
    this.secret.set(null);
    this.clear();
    showLink('refused');
    this.begin();
    if (problem) this.complain(problem);
    byId('enter-token').focus();
  }

  clear() {
    this.messages.clear();
    this.unread = 0;
    this.oldest = null;
    byId('messages').replaceChildren();
  }

  complain(words) {
    const notice = byId('notice');
    notice.hidden = !words;
    setText(notice, words ?? '');
  }

  headers() {
    return this.secret.value?.startsWith('rsu_') ? this.secret.headers() : {};
  }

  call(method, path, options) {
    const token = { headers: () => this.headers() };
    return call(token, method, `/api/users/${this.user}/notifications${path}`, options);
  }

  async begin() {
    this.stream?.stop();
    this.clear();
    // Whoever begins anew meanwhile goes on alone: two streams would be followed otherwise.
    this.begun += 1;
    const { begun } = this;
    this.user = this.secret.value && userOf(this.secret.value);
    byId('enter').hidden = Boolean(this.user);
    byId('inbox').hidden = !this.user;
    byId('leave-button').hidden = !this.user;
    setText(byId('subline'), this.user ? `Customer ${this.user}: what you asked for, the moment it is back.` : 'What you asked for, the moment it is back.');
    if (!this.user) return;
    this.complain(null);
    showLink('wait');
    let last;
    try {
      const page = await this.call('GET', `?limit=${PAGE}`);
      if (begun !== this.begun) return;
      this.takePage(page);
      last = page.items[0]?.id ?? 0;
    } catch (error) {
      if (begun !== this.begun) return;
      if ([400, 401, 403, 404].includes(error.status)) this.leave(error.message);
      else {
        this.complain(error.message);
        setTimeout(() => { if (begun === this.begun) this.begin(); }, 3_000);
      }
      return;
    }
    // Behind the newest of the list: what came between the two calls is sent first.
    this.stream = new Stream({
      path: `/api/users/${this.user}/notifications/stream`,
      headers: () => this.headers(),
      lastId: String(last),
      onEvent: (event) => { if (event.name === 'restock-notification') this.add(JSON.parse(event.data), event.id, true); },
      onState: (state, problem) => {
        showLink(state);
        if (state === 'refused') this.leave(problem.message);
        else this.complain(problem?.message ?? null);
      },
    }).start();
  }

  async loadOlder() {
    try {
      this.takePage(await this.call('GET', `?limit=${PAGE}&before=${this.oldest}`));
    } catch (error) {
      this.complain(error.message);
    }
  }

  takePage(page) {
    for (const message of page.items) this.add(message, String(message.id), false);
    this.unread = page.unread;
    this.oldest = page.next;
    byId('older').hidden = page.next === null;
    this.draw();
  }

  add(message, id, isNew) {
    if (this.messages.has(id)) return;
    const shown = this.row(message, id);
    this.messages.set(id, shown);
    if (isNew) {
      byId('messages').prepend(shown.element);
      shown.element.classList.add('fresh');
      setTimeout(() => shown.element.classList.remove('fresh'), FRESH_MS);
      this.unread += 1;
      say(`${message.data.name} is back in stock.`);
      this.draw();
    } else {
      byId('messages').append(shown.element);
    }
  }

  row({ timestamp, read_at: readAt, data }, id) {
    const [at, foot] = [el('time', { class: 'message-time', datetime: timestamp, title: time(timestamp) }), el('span')];
    const read = el('button', { type: 'button', 'aria-label': `Mark ${data.name} as read`, onclick: () => this.read(id) }, 'Mark as read');
    const element = el('li', { 'data-id': id },
      el('span', { class: 'message-dot', 'aria-hidden': 'true' }), el('span', { class: 'message-name' }, `${data.name} is back in stock`), at,
      el('div', { class: 'message-foot' }, foot, read));
    setText(foot, [data.sku && `code ${data.sku}`, `product ${data.product_id}`, `round ${data.restock_round}`].filter(Boolean).join(' · '));
    const shown = { element, at, read, sentAt: timestamp, isRead: Boolean(readAt) };
    this.drawRow(shown);
    return shown;
  }

  drawRow({ element, at, read, sentAt, isRead }) {
    element.classList.toggle('unread', !isRead);
    read.hidden = isRead;
    setText(at, ago(sentAt));
  }

  async read(id) {
    const shown = this.messages.get(id);
    try {
      this.unread = (await this.call('PUT', `/${id}/read`)).unread;
      shown.isRead = true;
      this.drawRow(shown);
      this.draw();
      // The button is gone: stay near.
      (shown.element.nextElementSibling?.querySelector('button:not([hidden])') ?? byId('inbox-title')).focus();
    } catch (error) {
      this.complain(error.message);
    }
  }

  async readAll() {
    try {
      // Up to what can be seen here: what comes meanwhile is new.
      const upto = Math.max(...[...this.messages.keys()].map(Number));
      this.unread = (await this.call('PUT', '/read', { body: { upto } })).unread;
      for (const [id, shown] of this.messages) {
        if (Number(id) > upto) continue;
        shown.isRead = true;
        this.drawRow(shown);
      }
      this.draw();
      say('All messages are marked as read.');
    } catch (error) {
      this.complain(error.message);
    }
  }

  draw() {
    byId('messages-empty').hidden = this.messages.size > 0;
    byId('read-all').disabled = this.unread === 0;
    setText(byId('unread-count'), this.unread > 0 ? `${count(this.unread)} unread` : '');
    setText(byId('headline'), this.unread > 0 ? plural(this.unread, 'new message', 'new messages') : 'My messages');
    document.title = this.unread > 0 ? `(${this.unread}) My messages · Restock` : 'My messages · Restock';
  }

  drawTimes() {
    for (const shown of this.messages.values()) this.drawRow(shown);
  }
}

new Inbox();
