// Server-Sent Events by `fetch`, because EventSource cannot send a token in a header, and in the URL it would be logged.
//
// Goes on where it was cut off: after a break it asks for what came behind the last event that was handed on.

import { Problem } from './api.js';

// Longer than the server's heartbeats are apart: a stream that says nothing for so long is dead, whatever TCP thinks.
const SILENCE_MAX_MS = 45_000;
const PAUSE_MIN_MS = 500;
const PAUSE_MAX_MS = 15_000;
// An event that never ends must not fill the memory.
const LINE_CHARS_MAX = 4_000_000;

// Cuts text into events, as the HTML standard says.
export class Parser {
  // `id` is the last one of the stream that was cut off, until there is another.
  constructor({ id, onEvent, onId, onRetry }) {
    Object.assign(this, { id, onEvent, onId, onRetry });
    this.rest = '';
    this.clear();
  }

  clear() {
    this.name = '';
    this.data = [];
  }

  push(text) {
    this.rest += text;
    if (this.rest.length > LINE_CHARS_MAX) throw new Error('a line without an end');
    const lines = this.rest.split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop();
    for (const line of lines) this.take(line);
  }

  take(line) {
    if (line === '') {
      // Without data it is no event, but its id counts; an id of what was cut off before its end does not.
      if (this.data.length > 0) this.onEvent({ id: this.id, name: this.name || 'message', data: this.data.join('\n') });
      this.onId(this.id);
      this.clear();
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.name = value;
    else if (field === 'data') this.data.push(value);
    else if (field === 'id' && !value.includes('\0')) this.id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) this.onRetry(Number(value));
  }
}

export class Stream {
  // `onEvent({ id, name, data })`; `onState('wait' | 'live' | 'lost' | 'refused', problem)`.
  constructor({ path, headers, onEvent, onState, lastId = '' }) {
    Object.assign(this, { path, headers, onEvent, onState, lastId });
    this.pauseMs = PAUSE_MIN_MS;
    this.stopping = new AbortController();
  }

  start() {
    this.run();
    return this;
  }

  stop() {
    this.stopping.abort();
  }

  async run() {
    let failures = 0;
    while (!this.stopping.signal.aborted) {
      let problem = null;
      try {
        this.onState(failures === 0 ? 'wait' : 'lost', null);
        await this.read(() => {
          failures = 0;
          this.onState('live', null);
        });
      } catch (error) {
        if (this.stopping.signal.aborted) return;
        problem = error instanceof Problem ? error : Problem.unreachable();
      }
      if (this.stopping.signal.aborted) return;
      if (problem && [400, 401, 403, 404, 421].includes(problem.status)) {
        this.onState('refused', problem);
        return;
      }
      failures += 1;
      this.onState('lost', failures > 2 ? problem : null);
      await this.pause(Math.max(problem?.waitMs ?? 0, Math.min(PAUSE_MAX_MS, this.pauseMs * 2 ** (failures - 1))));
    }
  }

  // Not all at the same moment, when a server comes back to thousands of pages.
  pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms * (0.5 + Math.random() / 2));
      this.stopping.signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
    });
  }

  async read(onLive) {
    const silence = new AbortController();
    const stop = () => silence.abort();
    this.stopping.signal.addEventListener('abort', stop, { once: true });
    let timer = setTimeout(stop, SILENCE_MAX_MS);
    try {
      const last = this.lastId ? { 'last-event-id': this.lastId } : {};
      const response = await fetch(this.path, {
        headers: { accept: 'text/event-stream', ...this.headers(), ...last },
        signal: silence.signal, cache: 'no-store', credentials: 'omit',
      });
      if (!response.ok) throw await Problem.of(response);
      onLive();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new Parser({
        id: this.lastId,
        onEvent: this.onEvent,
        // Only what was handed on is not asked for again.
        onId: (id) => { this.lastId = id; },
        onRetry: (ms) => { this.pauseMs = Math.min(PAUSE_MAX_MS, Math.max(100, ms)); },
      });
      for (;;) {
        const { done, value } = await reader.read();
        clearTimeout(timer);
        if (done) return;
        timer = setTimeout(stop, SILENCE_MAX_MS);
        parser.push(value);
      }
    } finally {
      clearTimeout(timer);
      this.stopping.signal.removeEventListener('abort', stop);
      silence.abort();
    }
  }
}

// What the corner of the page says of a stream.
export function showLink(state) {
  const words = { wait: 'Connecting', live: 'Live', lost: 'Reconnecting', refused: 'Not connected' };
  const link = document.getElementById('link');
  link.dataset.state = state === 'refused' ? 'lost' : state;
  const text = document.getElementById('link-text');
  if (text.textContent !== words[state]) text.textContent = words[state];
}
