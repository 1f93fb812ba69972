// Numbers, times and states in words.

const NUMBER = new Intl.NumberFormat('en');

export const count = (number) => (number === null || number === undefined ? '–' : NUMBER.format(number));

export const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;

// Seconds as people say them, with at most two units.
// The space before a unit does not break.
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '–';
  if (seconds < 0.95) return `${Math.max(0, Math.round(seconds * 10) / 10)}\u00a0s`;
  const whole = Math.round(seconds);
  const units = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const at = units.findIndex(([size]) => whole >= size);
  const [size, unit] = units[at];
  const [smaller, small] = units[at + 1] ?? [0, ''];
  const rest = smaller ? Math.floor((whole % size) / smaller) : 0;
  return `${Math.floor(whole / size)}\u00a0${unit}${rest > 0 ? `\u00a0${rest}\u00a0${small}` : ''}`;
}

export const ago = (date) => {
  const seconds = (Date.now() - new Date(date).getTime()) / 1000;
  return seconds < 5 ? 'just now' : `${duration(seconds)}\u00a0ago`;
};

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

export function time(date) {
  const at = new Date(date);
  return Date.now() - at.getTime() < 20 * 3600 * 1000 ? CLOCK.format(at) : DAY.format(at);
}

// What a status is called here, and which of the few states it is shown as.
export function stateOf(lane) {
  if (lane.paused && ['QUEUED', 'IN_PROGRESS'].includes(lane.status)) return { state: 'rest', word: 'Paused' };
  switch (lane.status) {
    case 'QUEUED': return { state: 'rest', word: 'Waiting' };
    case 'IN_PROGRESS': return { state: 'run', word: 'Sending' };
    case 'COMPLETED': return { state: 'done', word: 'Completed' };
    case 'CANCELED_BY_SOLD_OUT': return { state: 'sold', word: 'Sold out' };
    case 'CANCELED_BY_ERROR': return { state: 'fail', word: 'Failed' };
    case 'CANCELED_BY_ADMIN': return { state: 'rest', word: 'Ended by hand' };
    case 'SUPERSEDED': return { state: 'rest', word: 'Overtaken' };
    default: return { state: 'rest', word: String(lane.status) };
  }
}

const RESUME = { wish: {}, label: 'Resume' };
const SKIP = { wish: { skip: true }, label: 'Skip this person' };
const RETRY = { wish: { retryFailed: true }, label: 'Tell the refused again' };

// Why a round was cut off, what to do about it, and the ways to go on.
export function explain(lane) {
  const reason = lane.reason ?? '';
  if (lane.status === 'CANCELED_BY_SOLD_OUT') {
    return { text: 'The stock was gone. The next restock goes on with the next person; resume needs stock.', acts: [RESUME] };
  }
  if (lane.status === 'CANCELED_BY_ADMIN') {
    const by = /^canceled by (.+)$/.exec(reason);
    const how = by ? `Ended by ${by[1]}.` : `Ended by hand${reason ? `: ${reason}` : ''}.`;
    return { text: `${how} Resume goes on after the last person told.`, acts: [RESUME] };
  }
  const answered = /^(.+) answered (\d{3})/.exec(reason);
  const silent = /^no answer: (.+)$/.exec(reason);
  const refused = /^refused (\d+) people in a row/.exec(reason);
  if (silent || (answered && [408, 425, 429].includes(Number(answered[2]))) || (answered && Number(answered[2]) >= 500)) {
    const what = silent ? `did not answer (${silent[1]})` : `answered ${answered[2]}`;
    return {
      text: `The receiver ${what} until the retries were used up. When it works again, resume: the person it stopped at is tried first.`,
      acts: [RESUME, SKIP],
    };
  }
  if (answered) {
    return {
      text: `The receiver answered ${answered[2]}: it does not accept us. Nobody counts as refused. Mend its address or the secret, then resume.`,
      acts: [RESUME],
    };
  }
  if (refused) {
    return {
      text: `The receiver refused ${refused[1]} people in a row, which is no accident. When it is mended, tell those again; the round then goes on.`,
      acts: [RETRY, RESUME],
    };
  }
  if (reason.startsWith('attempts')) {
    return {
      text: `Worker after worker was lost at the same person (${reason}). See what their logs say, then resume.`,
      acts: [RESUME],
    };
  }
  return { text: reason ? `${reason}.` : 'No reason was recorded.', acts: [RESUME] };
}
