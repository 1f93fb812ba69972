// The pace of the last minute against its limit.

import { setText, svg } from './dom.js';
import { count } from './words.js';

const SPAN_MS = 60_000;
const HEIGHT = 170;
const TOP = 16;
const BOTTOM = 22;
// The words for who cannot see it change this often, so that nothing chatters.
const WORDS_EVERY_MS = 10_000;

export class Plot {
  constructor(figure, words) {
    Object.assign(this, { figure, words });
    this.samples = [];
    this.limit = 0;
    this.wordsMs = 0;
    this.lines = svg('g');
    this.area = svg('path', { class: 'area' });
    this.used = svg('path', { class: 'used' });
    this.picture = svg('svg', { 'aria-hidden': 'true', height: HEIGHT }, this.lines, this.area, this.used);
    figure.append(this.picture);
    new ResizeObserver(() => this.draw()).observe(figure);
  }

  // `used`: starts in the last second, null where nobody knows.
  add(used, limit) {
    const now = performance.now();
    this.limit = limit;
    this.samples.push({ at: now, used });
    while (this.samples.length > 0 && now - this.samples[0].at > SPAN_MS + 5_000) this.samples.shift();
    if (Date.now() - this.wordsMs > WORDS_EVERY_MS) this.describe();
  }

  describe() {
    this.wordsMs = Date.now();
    const known = this.samples.map((sample) => sample.used).filter((used) => used !== null);
    if (known.length === 0) return;
    const of = this.limit > 0 ? `, the limit is ${count(this.limit)}` : ', without a limit';
    setText(this.words, `Messages a second in the last minute: now ${count(known[known.length - 1])}, at most ${count(Math.max(...known))}${of}.`);
  }

  draw() {
    const width = this.figure.clientWidth;
    if (width === 0) return;
    const now = performance.now();
    const most = Math.max(this.limit, 10, ...this.samples.map((sample) => sample.used ?? 0));
    const top = niceAbove(most * 1.04);
    const x = (at) => width - ((now - at) / SPAN_MS) * width;
    const y = (used) => TOP + (1 - used / top) * (HEIGHT - TOP - BOTTOM);
    this.picture.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    this.drawLines(width, top, y);
    const runs = [[]];
    for (const sample of this.samples) {
      if (sample.used === null) runs.push([]);
      else runs[runs.length - 1].push(`${x(sample.at).toFixed(1)},${y(sample.used).toFixed(1)}`);
    }
    const drawn = runs.filter((run) => run.length > 1);
    const floor = y(0).toFixed(1);
    this.used.setAttribute('d', drawn.map((run) => `M${run.join('L')}`).join(''));
    const closed = (run) => `M${run[0].split(',')[0]},${floor}L${run.join('L')}L${run[run.length - 1].split(',')[0]},${floor}Z`;
    this.area.setAttribute('d', drawn.map(closed).join(''));
  }

  drawLines(width, top, y) {
    const key = `${width} ${top} ${this.limit}`;
    if (key === this.drawnFor) return;
    this.drawnFor = key;
    const across = (at, kind) => svg('line', { class: kind, x1: 0, x2: width, y1: y(at), y2: y(at) });
    const text = (words, at, px, anchor, kind = '') => svg('text', { x: px, y: at, 'text-anchor': anchor, class: kind }, words);
    const parts = [across(0, 'grid')];
    if (this.limit > 0) {
      parts.push(across(this.limit, 'limit'), text(`limit ${count(this.limit)}`, y(this.limit) - 5, width, 'end', 'of-limit'));
      parts.push(across(this.limit / 2, 'grid'), text(count(this.limit / 2), y(this.limit / 2) - 4, 0, 'start'));
    } else {
      parts.push(across(top / 2, 'grid'), text(count(top / 2), y(top / 2) - 4, 0, 'start'));
    }
    parts.push(text('1 min ago', HEIGHT - 5, 0, 'start'), text('30 s', HEIGHT - 5, width / 2, 'middle'), text('now', HEIGHT - 5, width, 'end'));
    this.lines.replaceChildren(...parts);
  }
}

function niceAbove(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((step) => power * step >= value);
}
