// One product: what is in stock, who waits, its rounds, and what can be done about it. Its number stands in the address after
// the `#`, so that it can be passed on.

import { byId, el, setText } from './dom.js';
import { say } from './said.js';
import { count, plural, stateOf, time } from './words.js';

const PEOPLE_SHOWN = 8;
const ROUNDS_SHOWN = 8;
const REFRESH_MS = 2_000;

export class ProductPanel {
  constructor(page) {
    this.page = page;
    this.panel = byId('product');
    this.wanted = null;
    this.load = 0;
    byId('find').addEventListener('submit', (event) => {
      event.preventDefault();
      const text = byId('find-input').value.trim();
      if (text) this.show(text);
    });
    window.addEventListener('hashchange', () => this.follow());
    setInterval(() => { if (!document.hidden) this.refresh(); }, REFRESH_MS);
    this.follow();
  }

  follow() {
    const named = new URLSearchParams(location.hash.slice(1)).get('product');
    if (named && named !== this.wanted) this.open(named);
    if (!named && this.wanted) this.close();
  }

  // As a link would.
  show(text) {
    const hash = `#${new URLSearchParams({ product: text })}`;
    if (location.hash === hash) this.open(text);
    else location.hash = hash;
  }

  async open(text) {
    this.wanted = text;
    this.view = null;
    this.panel.hidden = false;
    this.panel.replaceChildren(el('h2', { id: 'product-title' }, `Looking for ${text}…`));
    await this.refresh(true);
    this.panel.scrollIntoView({ block: 'nearest' });
    this.panel.querySelector('h2')?.focus();
  }

  close() {
    this.wanted = null;
    this.panel.hidden = true;
    this.panel.replaceChildren();
    if (location.hash) history.pushState(null, '', location.pathname);
    byId('find-input').focus();
  }

  // Something happened to this product.
  hear(product) {
    if (this.view?.product.id === product) this.refresh();
  }

  async refresh(isAsked = false) {
    // What is looked for the first time is not overtaken by a look from time to time.
    if (!this.wanted || (!isAsked && !this.view)) return;
    this.load += 1;
    const load = this.load;
    try {
      const found = await this.look(isAsked);
      if (load !== this.load || !this.wanted) return;
      this.page.names.keep(found.product);
      if (this.view?.product.id !== found.product.id) this.build(found.product);
      this.view.product = found.product;
      this.fill(found);
    } catch (error) {
      if (load === this.load && !this.view) this.fail(error);
    }
  }

  async look(isAsked) {
    const get = (path) => (isAsked ? this.page.duty.call('GET', path) : this.page.duty.quietly(path));
    const id = /^\d+$/.test(this.wanted) ? this.wanted : await this.idOf(this.wanted, get);
    const product = await get(`/api/products/${id}`);
    const [rounds, line] = await Promise.all([
      get(`/api/products/${id}/rounds?limit=${ROUNDS_SHOWN}`), get(`/api/products/${id}/line?limit=${PEOPLE_SHOWN}`),
    ]);
    return { product, rounds: rounds.items, line };
  }

  async idOf(text, get) {
    const sku = text.startsWith('sku:') ? text.slice(4) : text;
    const { items } = await get(`/api/products?${new URLSearchParams({ sku })}`);
    if (items.length === 0) {
      throw new Error(`No product has the code ${sku}. Upper and lower case differ; a number finds a product too.`);
    }
    return items[0].id;
  }

  fail(error) {
    this.panel.replaceChildren(
      el('div', { class: 'product-head' }, el('h2', { id: 'product-title', tabindex: -1 }, 'No such product'), this.closeButton()),
      el('p', { class: 'said-no' }, error.message));
    say(error.message);
  }

  closeButton() {
    return el('button', { type: 'button', onclick: () => this.close() }, 'Close');
  }

  build(product) {
    const part = (name, attributes = {}) => el(name, attributes);
    const view = {
      product, facts: part('dl', { class: 'facts' }), rounds: part('tbody'), waiting: part('p'), people: part('p', { class: 'muted people' }),
      refusal: part('p', { class: 'said-no', hidden: true }), noRounds: el('p', { class: 'empty' }, 'It was never restocked.'),
      stock: part('dd'), round: part('dd'), sku: part('dd'), id: part('dd'),
    };
    const fact = (name, value) => el('div', {}, el('dt', {}, name), value);
    view.facts.append(fact('In stock', view.stock), fact('Round', view.round), fact('Code', view.sku), fact('Number', view.id));
    const heads = ['Round', 'Channel', 'State', 'Told', 'Refused', 'Began', 'Why it ended'];
    const kinds = ['num', null, null, 'num', 'num wide', 'num wide', 'wide'];
    view.table = el('div', { class: 'scroll', role: 'region', 'aria-label': 'Rounds of this product', tabindex: 0 }, el('table', {},
      el('thead', {}, el('tr', {}, heads.map((head, at) => el('th', { scope: 'col', class: kinds[at] }, head)))), view.rounds));
    this.panel.replaceChildren(
      el('div', { class: 'product-head' }, el('h2', { id: 'product-title', tabindex: -1 }, product.name), this.closeButton()),
      el('div', { class: 'product-grid' },
        el('div', {}, view.facts, this.acts(product, view.refusal), view.refusal),
        el('div', {}, el('h3', {}, 'Line'), view.waiting, view.people, el('h3', { class: 'more' }, 'Rounds'), view.table, view.noRounds)));
    this.view = view;
  }

  acts(product, refusal) {
    const base = `/api/products/${product.id}`;
    const pieces = (id, words, button, act) => {
      const input = el('input', { id, type: 'number', min: 0, step: 1, inputmode: 'numeric', required: true });
      const submit = el('button', { type: 'submit' }, button);
      return el('form', { onsubmit: (event) => { event.preventDefault(); act(Number(input.value), submit, input); } },
        el('label', { for: id }, words), input, submit);
    };
    const act = (button, method, path, body, headers) => this.page.act(button, refusal, method, path, body, headers);
    // Asked again after a failure it is the same restock, and counts once.
    let asked = { quantity: null, key: null };
    const restock = pieces('restock-pieces', 'Restock by so many pieces', 'Announce…', async (quantity, button, input) => {
      const sure = await this.page.sure(`Announce ${product.name}?`, `${this.waitingWords()}, in order, until the stock is gone.`, 'Announce it');
      if (!sure) return;
      if (asked.quantity !== quantity) asked = { quantity, key: freshKey() };
      if (!(await act(button, 'POST', `${base}/notifications/re-stock`, { quantity }, { 'idempotency-key': asked.key }))) return;
      asked = { quantity: null, key: null };
      input.value = '';
    });
    const stock = pieces('stock-pieces', 'Set the stock; 0 ends the sending', 'Set', async (pieces, button, input) => {
      if (await act(button, 'PUT', `${base}/stock`, { stock: pieces })) input.value = '';
    });
    const cancel = el('button', { type: 'button', onclick: async () => {
      const sure = await this.page.sure(`End the open round of ${product.name}?`, 'Who was not told yet is not told; resume goes on after the last person told.', 'End it');
      if (sure) act(cancel, 'POST', `/api/admin/products/${product.id}/notifications/cancel`);
    } }, 'End the open round…');
    return el('div', { class: 'product-acts' }, restock, stock, el('div', {}, cancel));
  }

  waitingWords() {
    const { waiting, at_least: atLeast } = this.line;
    return `${atLeast ? 'At least ' : ''}${plural(waiting, 'person who asked is', 'people who asked are')} told`;
  }

  fill({ product, rounds, line }) {
    const { view } = this;
    this.line = line;
    setText(view.stock, count(product.stock));
    setText(view.round, count(product.round));
    setText(view.sku, product.sku ?? 'none');
    setText(view.id, String(product.id));
    const stands = `${line.at_least ? 'At least ' : ''}${plural(line.waiting, 'person stands', 'people stand')} in line.`;
    setText(view.waiting, line.waiting === 0 && !line.at_least ? 'Nobody stands in line.' : stands);
    const first = line.items.filter((person) => person.active).map((person) => person.user).join(', ');
    setText(view.people, first ? `Customers in their order: ${first}${line.next ? ' …' : '.'}` : '');
    view.noRounds.hidden = rounds.length > 0;
    view.table.hidden = rounds.length === 0;
    const texts = rounds.map((row) => ({ row, key: JSON.stringify(row) }));
    const key = texts.map((text) => text.key).join();
    if (key === view.drawnFor) return;
    view.drawnFor = key;
    view.rounds.replaceChildren(...rounds.map(roundRow));
  }
}

const freshKey = () => `page-${[...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;

function roundRow(row) {
  const { state, word } = stateOf(row);
  const told = row.total === null ? count(row.sent) : `${count(row.sent)} of ${count(row.total)}`;
  return el('tr', {},
    el('td', { class: 'num' }, String(row.round)), el('td', {}, row.channel),
    el('td', {}, el('span', { class: 'state', 'data-state': state }, word)),
    el('td', { class: 'num' }, told), el('td', { class: 'num wide' }, count(row.failed)),
    el('td', { class: 'num wide' }, row.started_at ? time(row.started_at) : '–'), el('td', { class: 'wide' }, row.reason ?? ''));
}
