// BullMQ on a queue of jobs that do nothing. COUNT jobs on REDIS_URL; says `queued`, waits for a line, works them and
// says `done`.
import { once } from 'node:events';
import { Queue, Worker } from 'bullmq';

const count = Number(process.env.COUNT);
const url = new URL(process.env.REDIS_URL);
const connection = { host: url.hostname, port: Number(url.port), maxRetriesPerRequest: null };

const queue = new Queue('bench', { connection });
for (let first = 0; first < count; first += 1000) {
  const length = Math.min(1000, count - first);
  const job = { name: 'none', data: {}, opts: { removeOnComplete: true, removeOnFail: true } };
  await queue.addBulk(Array.from({ length }, () => job));
}
console.log('queued');
await once(process.stdin, 'data');

let left = count;
const done = new Promise((resolve) => {
  const worker = new Worker('bench', async () => {}, { connection, concurrency: 100 });
  worker.on('completed', () => { left -= 1; if (left === 0) resolve(); });
});
await done;
console.log('done');
process.exit(0);
