// Entries that workers have in hand, and what was given up: with age and owner.

import { byId, el, keepList, setText } from './dom.js';
import { count, duration } from './words.js';

const EVERY_MS = 3_000;
const SHOWN_MAX = 50;
const KINDS = { round: 'Round', job: 'Unreadable entry' };

export class Entries {
  constructor(page) {
    this.page = page;
    this.tables = { pending: table('pending', pendingRow(page)), dead: table('dead', deadRow(page)) };
    this.timer = setInterval(() => { if (!document.hidden && page.isLive) this.refresh(); }, EVERY_MS);
  }

  async refresh() {
    await Promise.all([
      this.load('pending', '/api/pending', (row) => row.product !== null || row.entry),
      this.load('dead', `/api/dead?limit=${SHOWN_MAX + 1}`, () => true),
    ]);
  }

  async load(name, path, isShown) {
    const { body, empty, scroll, number, known, make, emptyWords } = this.tables[name];
    try {
      const found = await this.page.duty.quietly(path);
      const rows = (Array.isArray(found) ? found : found.items).filter(isShown);
      const shown = rows.slice(0, SHOWN_MAX);
      keepList(body, known, shown, (row) => `${row.stream ?? ''} ${row.entry ?? row.id}`, make);
      setText(number, rows.length > 0 ? `${count(shown.length)}${rows.length > shown.length ? ' and more' : ''}` : '');
      setText(empty, emptyWords);
      empty.hidden = rows.length > 0;
      scroll.hidden = rows.length === 0;
    } catch (error) {
      if (known.size > 0) return;
      setText(empty, error.status === 401 || error.status === 403 ? 'Only admins see this: give a token.' : error.message);
      empty.hidden = false;
    }
  }
}

function table(name, make) {
  const empty = byId(`${name}-empty`);
  return {
    body: byId(name), empty, scroll: byId(`${name}-scroll`), number: byId(`${name}-count`), known: new Map(), make, emptyWords: empty.textContent,
  };
}

// A row of cells that `texts(row)` fills.
function cells(kinds, texts) {
  return (first) => {
    const all = kinds.map((kind) => el('td', { class: kind }));
    const update = (row) => texts(row).forEach((text, at) => setText(all[at], text));
    update(first);
    return { element: el('tr', {}, all), update };
  };
}

const named = (page, row) => (row.product === null ? '–' : page.names.of({ product: row.product, sku: null }));

const pendingRow = (page) => cells([null, 'num', 'wide', 'code', 'num', 'num wide', 'num wide', 'code wide'], (row) => [
  named(page, row), count(row.round), row.channel, row.owner ?? `${row.consumer} (has not begun)`, duration(row.idle_ms / 1000),
  lease(row.lease_ms), `${row.deliveries}×`, row.entry,
]);

function lease(ms) {
  if (ms === null) return '–';
  return ms < 0 ? `ran out ${duration(-ms / 1000)} ago` : duration(ms / 1000);
}

const deadRow = (page) => cells([null, null, 'num wide', 'wide', 'num', null, 'code wide'], (row) => [
  KINDS[row.kind] ?? 'Row that MySQL refused', named(page, row), count(row.round), row.channel ?? '–',
  row.at ? duration((Date.now() - new Date(row.at)) / 1000) : '–', row.reason, row.id,
]);
