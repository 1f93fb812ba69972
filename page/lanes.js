// Lanes as rows: a bar and a time for what runs, the reason and the ways to go on for what was cut off.

import { el, keepList, setText } from './dom.js';
import { ago, count, duration, explain, plural, stateOf } from './words.js';

const SHOWN_FIRST = 12;
// Speeds are of about the last so many seconds.
const SPEED_SPAN_S = 5;

export const keyOf = (lane) => `${lane.product}/${lane.channel}/${lane.round}`;
export const isOpen = (lane) => lane.status === 'QUEUED' || lane.status === 'IN_PROGRESS';
export const settled = (lane) => lane.sent + lane.skipped + lane.failed + lane.unknown;

// How fast each lane goes, seen from here.
export class Speeds {
  constructor() {
    this.seen = new Map();
  }

  look(lanes) {
    const now = performance.now() / 1000;
    const open = new Set();
    for (const lane of lanes.filter(isOpen)) {
      const key = keyOf(lane);
      open.add(key);
      const looks = this.seen.get(key) ?? [];
      looks.push({ at: now, done: settled(lane) });
      while (looks.length > 2 && now - looks[0].at > SPEED_SPAN_S) looks.shift();
      this.seen.set(key, looks);
    }
    for (const key of this.seen.keys()) if (!open.has(key)) this.seen.delete(key);
  }

  // People a second; null before there is anything to tell it by.
  of(lane) {
    const looks = this.seen.get(keyOf(lane));
    if (!looks || looks.length < 2) return null;
    const [first, last] = [looks[0], looks[looks.length - 1]];
    return last.at - first.at < 0.8 ? null : Math.max(0, (last.done - first.done) / (last.at - first.at));
  }

  eta(lane) {
    if (lane.status !== 'IN_PROGRESS' || lane.paused || lane.total === null) return null;
    const speed = this.of(lane);
    const left = Math.max(0, lane.total - settled(lane));
    return speed ? left / speed : lane.eta_seconds ?? null;
  }
}

// A list of lanes that shows the first few, and the others when somebody wants them.
export class LaneList {
  constructor({ list, empty, number, row }) {
    Object.assign(this, { list, empty, number, row });
    this.known = new Map();
    this.isWhole = false;
    this.lanes = [];
    this.more = el('p', { class: 'more', hidden: true }, el('button', { type: 'button', onclick: () => { this.isWhole = true; this.draw(); } }));
    list.after(this.more);
  }

  show(lanes) {
    this.lanes = lanes;
    this.draw();
  }

  draw() {
    const shown = this.isWhole ? this.lanes : this.lanes.slice(0, SHOWN_FIRST);
    keepList(this.list, this.known, shown, keyOf, this.row);
    this.empty.hidden = this.lanes.length > 0;
    setText(this.number, this.lanes.length > 0 ? count(this.lanes.length) : '');
    this.more.hidden = shown.length === this.lanes.length;
    setText(this.more.firstElementChild, `Show all ${count(this.lanes.length)}`);
  }
}

const where = (lane) => `round ${lane.round} · ${lane.channel}`;

function progressBar() {
  const parts = ['sent', 'skipped', 'failed', 'unknown'].map((kind) => [kind, el('span', { class: `part-${kind}` })]);
  const track = el('div', { class: 'bar-track', role: 'progressbar', 'aria-valuemin': 0 }, parts.map(([, part]) => part));
  const update = (lane, name) => {
    const total = lane.total ?? 0;
    track.setAttribute('aria-label', `${name}, ${where(lane)}`);
    track.setAttribute('aria-valuemax', Math.max(total, 1));
    track.setAttribute('aria-valuenow', Math.min(settled(lane), Math.max(total, 1)));
    track.setAttribute('aria-valuetext', lane.total === null ? 'not begun' : `${settled(lane)} of ${total} people`);
    for (const [kind, part] of parts) {
      part.style.width = total > 0 ? `${Math.min(100, (100 * lane[kind]) / total)}%` : '0';
    }
  };
  return { track, update };
}

function counts(lane) {
  const words = [lane.total === null ? `${count(lane.sent)} told` : `${count(lane.sent)} of ${count(lane.total)} told`];
  if (lane.skipped > 0) words.push(`${count(lane.skipped)} passed over`);
  if (lane.failed > 0) words.push(`${count(lane.failed)} refused`);
  if (lane.unknown > 0) words.push(`${count(lane.unknown)} unknown`);
  if (lane.refused > 0) words.push(`MySQL refused ${plural(lane.refused, 'row', 'rows')}`);
  return words.join(' · ');
}

function nameButton(page) {
  let product = 0;
  const button = el('button', { class: 'name', type: 'button', onclick: () => page.showProduct(product) });
  return { button, update: (lane) => { product = lane.product; setText(button, page.names.of(lane)); } };
}

function stateMark() {
  const mark = el('span', { class: 'state' });
  return { mark, update: ({ state, word }) => { mark.dataset.state = state; setText(mark, word); } };
}

// A round that is open.
export const openRow = (page) => (first) => {
  let lane = first;
  const [name, state, bar] = [nameButton(page), stateMark(), progressBar()];
  const [eta, foot, refusal] = [el('span', { class: 'muted' }), el('span'), el('p', { class: 'said-no', hidden: true })];
  const pause = el('button', {
    type: 'button', onclick: () => page.act(pause, refusal, 'POST', `/api/admin/products/${lane.product}/notifications/${lane.paused ? 'unpause' : 'pause'}`),
  });
  const element = el('li', {},
    el('div', { class: 'lane-head' }, name.button, el('span', { class: 'lane-side' }, eta, state.mark)),
    bar.track, el('div', { class: 'lane-foot' }, foot, pause), refusal);
  const update = (next) => {
    lane = next;
    const known = page.names.of(lane);
    name.update(lane);
    state.update(stateOf(lane));
    bar.update(lane, known);
    const seconds = page.speeds.eta(lane);
    setText(eta, seconds === null ? '' : `${duration(seconds)} left`);
    setText(foot, [counts(lane), where(lane), ...motion(lane, page.speeds.of(lane))].join(' · '));
    setText(pause, lane.paused ? 'Go on' : 'Pause');
    pause.setAttribute('aria-label', `${lane.paused ? 'Go on with' : 'Pause'} ${known}`);
  };
  return { element, update };
};

function motion(lane, speed) {
  if (lane.status === 'QUEUED') {
    const since = lane.waiting_ms > 1_500 ? ` for ${duration(lane.waiting_ms / 1000)}` : '';
    return [`waits${since}`];
  }
  const words = [];
  if (speed > 0 && !lane.paused) words.push(`${count(Math.round(speed))}/s`);
  if (lane.owner) words.push(lane.lease_ms < 0 ? `its worker fell silent, taken over soon` : `worker ${lane.owner}`);
  return words;
}

// A round that was cut off.
export const cutRow = (page) => (first) => {
  let lane = first;
  const [name, state] = [nameButton(page), stateMark()];
  const [why, foot, refusal] = [el('p', { class: 'lane-why' }), el('span'), el('p', { class: 'said-no', hidden: true })];
  const actions = el('div', { class: 'actions' });
  const element = el('li', {},
    el('div', { class: 'lane-head' }, name.button, el('span', { class: 'lane-side' }, state.mark)),
    why, el('div', { class: 'lane-foot' }, foot), actions, refusal);
  let drawnFor = null;
  const update = (next) => {
    lane = next;
    const known = page.names.of(lane);
    name.update(lane);
    state.update(stateOf(lane));
    const { text, acts } = explain(lane);
    setText(why, text);
    setText(foot, [counts(lane), where(lane), lane.ended_at && ago(lane.ended_at)].filter(Boolean).join(' · '));
    const key = `${known} ${text}`;
    if (key === drawnFor) return;
    drawnFor = key;
    actions.replaceChildren(...acts.map(({ wish, label }, at) => {
      const button = el('button', {
        type: 'button', class: at === 0 && lane.status === 'CANCELED_BY_ERROR' ? 'primary' : null, 'aria-label': `${label}: ${known}`,
        onclick: () => page.act(button, refusal, 'POST', `/api/admin/products/${lane.product}/notifications/re-stock`, { ...wish, channel: lane.channel }),
      }, label);
      return button;
    }));
  };
  return { element, update };
};

// A round that everybody has heard of.
export const doneRow = (page) => (first) => {
  const [name, state, foot] = [nameButton(page), stateMark(), el('span')];
  const element = el('li', {},
    el('div', { class: 'lane-head' }, name.button, el('span', { class: 'lane-side' }, state.mark)), el('div', { class: 'lane-foot' }, foot));
  const update = (lane) => {
    name.update(lane);
    state.update(stateOf(lane));
    setText(foot, [counts(lane), where(lane), took(lane), lane.ended_at && ago(lane.ended_at)].filter(Boolean).join(' · '));
  };
  update(first);
  return { element, update };
};

function took(lane) {
  if (!lane.started_at || !lane.ended_at) return null;
  return `took ${duration((new Date(lane.ended_at) - new Date(lane.started_at)) / 1000)}`;
}

// The round before and this one, in a sentence for who listens; null where nothing happened that they would want to know.
export function change(before, lane, name) {
  if (before?.status === lane.status) return null;
  const words = { ...stateOf(lane) }.word.toLowerCase();
  if (!before) return isOpen(lane) ? `${name}: round ${lane.round} is ${lane.status === 'QUEUED' ? 'waiting' : 'being sent'}.` : null;
  if (lane.status === 'QUEUED') return null;
  return `${name}: ${words}, ${plural(lane.sent, 'person', 'people')} told.`;
}
