// The page of whoever is on duty: what runs, how fast, and what needs a person.

import { Duty } from './api.js';
import { byId, setText } from './dom.js';
import { Entries } from './entries.js';
import { LaneList, Speeds, change, cutRow, doneRow, isOpen, keyOf, openRow, settled } from './lanes.js';
import { Names } from './names.js';
import { Plot } from './plot.js';
import { ProductPanel } from './product.js';
import { say } from './said.js';
import { Stream, showLink } from './stream.js';
import { count, duration, plural } from './words.js';

const CUT = ['CANCELED_BY_SOLD_OUT', 'CANCELED_BY_ADMIN'];

class Page {
  constructor() {
    this.duty = new Duty();
    this.moment = null;
    // By product, channel and round.
    this.lanes = null;
    this.trouble = null;
    this.isLive = false;
    this.speeds = new Speeds();
    this.names = new Names(this.duty, () => this.draw());
    this.plot = new Plot(byId('plot'), byId('plot-words'));
    const list = (name, row) => new LaneList({ list: byId(name), empty: byId(`${name}-empty`), number: byId(`${name}-count`), row: row(this) });
    this.lists = { running: list('running', openRow), failed: list('failed', cutRow), stopped: list('stopped', cutRow), done: list('done', doneRow) };
    this.product = new ProductPanel(this);
    this.entries = new Entries(this);
    this.stream = null;
    this.duty.changed.addEventListener('change', () => this.connect());
    // Numbers change with every event; times and the plot go on without any.
    setInterval(() => this.draw(), 1_000);
  }

  connect() {
    this.stream?.stop();
    this.stream = new Stream({
      path: '/api/rounds/stream',
      headers: () => this.duty.secret.headers(),
      onEvent: (event) => this.take(event),
      onState: (state, problem) => this.link(state, problem),
    }).start();
    this.product.refresh();
  }

  async link(state, problem) {
    showLink(state);
    this.isLive = state === 'live';
    if (this.isLive) this.entries.refresh();
    byId('notice').hidden = !problem;
    if (problem) setText(byId('notice'), problem.message);
    if (state === 'lost' && this.moment) {
      this.moment.used = null;
      this.plot.add(null, this.moment.limit);
    }
    if (state === 'refused' && [401, 403].includes(problem.status)) {
      await this.duty.ask(problem.status === 401 ? 'This server lets only those in who have a token. An admin’s can do all that is on this page.' : problem.message);
    }
  }

  // `state` has all lanes; `change` those that are otherwise than before, and those that are gone.
  take({ name, data }) {
    if (!['state', 'change', 'trouble'].includes(name)) return;
    const given = JSON.parse(data);
    this.trouble = name === 'trouble' ? given.detail : null;
    if (name === 'trouble') {
      if (this.moment) this.plot.add(null, this.moment.limit);
    } else {
      const before = this.lanes;
      this.lanes = new Map(name === 'change' && before ? before : []);
      for (const lane of given.lanes) {
        const key = keyOf(lane);
        if (before) this.hear(before.get(key), lane);
        this.lanes.set(key, lane);
      }
      for (const lane of given.gone) this.lanes.delete(keyOf(lane));
      this.moment = given;
      this.speeds.look([...this.lanes.values()]);
      this.plot.add(given.used, given.limit);
    }
    this.draw();
  }

  // A lane is otherwise than before.
  hear(before, lane) {
    const sentence = change(before, lane, this.names.of(lane));
    if (!sentence) return;
    say(sentence);
    this.product.hear(lane.product);
  }

  draw() {
    this.plot.draw();
    if (!this.moment) return;
    const lanes = [...this.lanes.values()];
    const by = (date) => (a, b) => new Date(b[date] ?? 0) - new Date(a[date] ?? 0);
    const running = lanes.filter(isOpen).sort((a, b) => Number(a.status === 'QUEUED') - Number(b.status === 'QUEUED') || a.product - b.product || a.round - b.round);
    const failed = lanes.filter((lane) => lane.status === 'CANCELED_BY_ERROR').sort(by('ended_at'));
    this.lists.running.show(running);
    this.lists.failed.show(failed);
    this.lists.stopped.show(lanes.filter((lane) => CUT.includes(lane.status)).sort(by('ended_at')));
    this.lists.done.show(lanes.filter((lane) => lane.status === 'COMPLETED').sort(by('ended_at')));
    this.drawFigures(running, failed);
  }

  drawFigures(running, failed) {
    const { used, limit, lag, outbox, paused, live } = this.moment;
    const known = running.filter((lane) => lane.total !== null);
    const left = known.reduce((sum, lane) => sum + Math.max(0, lane.total - settled(lane)), 0);
    setText(byId('pace-used'), used === null ? '–' : count(used));
    setText(byId('pace-limit'), limit > 0 ? `of ${count(limit)} messages a second` : 'messages a second, no limit');
    setText(byId('fact-left'), running.length === 0 ? '0' : plural(left, 'person', 'people'));
    setText(byId('fact-lag'), lag ? (lag.entries === 0 ? 'nothing' : `${duration(lag.oldest_ms / 1000)}`) : 'unknown');
    setText(byId('fact-outbox'), plural(outbox.pending, 'restock', 'restocks'));
    const runs = running.length === 0 ? 'No round is running' : `${plural(running.length, 'round is', 'rounds are')} running`;
    const needs = failed.length === 0 ? ' and nothing needs you' : `; ${count(failed.length)} failed and ${failed.length === 1 ? 'needs' : 'need'} you`;
    setText(byId('headline'), paused ? 'All sending is paused.' : `${runs}${needs}.`);
    setText(byId('subline'), this.prospect(left, running, live));
    document.title = failed.length > 0 ? `(${failed.length}) Restock` : 'Restock';
  }

  prospect(left, running, live) {
    if (this.trouble) return `${this.trouble}.`;
    if (!live) return 'Redis does not answer: this is what MySQL knows, and it may lag.';
    if (this.moment.paused) return '`restock-cli unpause` lets it go on.';
    if (running.length === 0) return 'The next restock shows up here by itself.';
    const speed = running.reduce((sum, lane) => sum + (this.speeds.of(lane) ?? 0), 0);
    const people = `${plural(left, 'person is', 'people are')} still to be told`;
    return speed > 0 && left > 0 ? `${people}, in about ${duration(left / speed)} at this pace.` : `${people}.`;
  }

  // Does something by hand; what the server says against it stands below the button.
  async act(button, refusal, method, path, body, headers) {
    button.disabled = true;
    refusal.hidden = true;
    try {
      const done = await this.duty.call(method, path, { body, headers });
      say('Done.');
      this.product.refresh();
      return done;
    } catch (error) {
      setText(refusal, error.message);
      refusal.hidden = false;
      say(error.message);
      return null;
    } finally {
      button.disabled = false;
    }
  }

  // Asks before something that many people would notice.
  sure(title, text, yes) {
    return new Promise((resolve) => {
      const dialog = byId('sure-dialog');
      setText(byId('sure-title'), title);
      setText(byId('sure-text'), text);
      setText(byId('sure-yes'), yes);
      byId('sure-form').onsubmit = (event) => { event.preventDefault(); dialog.close('yes'); };
      byId('sure-no').onclick = () => dialog.close('');
      dialog.addEventListener('close', () => { const sure = dialog.returnValue === 'yes'; dialog.returnValue = ''; resolve(sure); }, { once: true });
      dialog.showModal();
    });
  }

  showProduct(id) {
    this.product.show(String(id));
  }
}

new Page().connect();
