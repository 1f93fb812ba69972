// What a screen reader is told: only what changed for people, gathered, at most every few seconds.

import { byId } from './dom.js';

const APART_MS = 5_000;
const SENTENCES_MAX = 3;

let waiting = [];
let timer = null;
let lastMs = 0;

export function say(sentence) {
  waiting.push(sentence);
  if (timer) return;
  timer = setTimeout(speak, Math.max(300, lastMs + APART_MS - Date.now()));
}

function speak() {
  const more = waiting.length - SENTENCES_MAX;
  const sentences = waiting.slice(0, SENTENCES_MAX);
  if (more > 0) sentences.push(`And ${more} more changes.`);
  byId('said').textContent = sentences.join(' ');
  waiting = [];
  timer = null;
  lastMs = Date.now();
}
