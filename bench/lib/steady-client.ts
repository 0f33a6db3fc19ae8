/**
 * A client program, a process of its own: sends one prepared HTTP/1.1 request over connections that stay open, phase by phase,
 * and tells what became of each. `steady-load.ts` starts it. It costs little beside the server: no HTTP library, one buffer
 * for all reads.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { quantile } from './statistics.ts';
import type { ClientOptions, Phase, PhaseResult } from './steady-load.ts';

const HEAD_END = Buffer.from('\r\n\r\n');
const LENGTH = Buffer.from('content-length: ');
/** Longest sleep between looks at the sockets, in milliseconds. */
const NAP_MS = 0.2;
const CLOSED_LOOP_LOOK_MS = 20;

const nap = new Int32Array(new SharedArrayBuffer(4));
const readBuffer = Buffer.alloc(65_536);

/** Whether all of the answer at the start of `bytes` is there. */
function isWhole(bytes: Buffer): boolean {
  const head = bytes.indexOf(HEAD_END);
  if (head === -1) return false;
  const field = bytes.indexOf(LENGTH);
  if (field === -1 || field > head) throw new Error(`an answer without content-length: ${bytes.toString('latin1', 0, head)}`);
  let length = 0;
  for (let at = field + LENGTH.length; bytes[at] !== 13; at += 1) length = length * 10 + bytes[at]! - 48;
  return bytes.length >= head + HEAD_END.length + length;
}

/** What became of the requests of one phase. */
interface Record {
  readonly startedAt: number;
  endedAt: number;
  readonly latencies: number[];
  /** The same without what the client itself may have added. */
  readonly serverLatencies: number[];
  readonly lags: number[];
  readonly outcomes: Map<string, number>;
  lastFailureMs: number;
}

interface Sending {
  readonly record: Record;
  /** When it was to be sent, by the schedule; its time runs from then on. */
  readonly dueAt: number;
  readonly sentAt: number;
}

interface Connection {
  readonly socket: Socket;
  sending: Sending | undefined;
  /** The first part of an answer that comes in pieces. */
  partial: Buffer | undefined;
}

function note(record: Record, outcome: string, dueAt: number): void {
  record.outcomes.set(outcome, (record.outcomes.get(outcome) ?? 0) + 1);
  if (outcome !== '200') record.lastFailureMs = Math.max(record.lastFailureMs, dueAt - record.startedAt);
}

function resultOf({ startedAt, endedAt, latencies, serverLatencies, lags, outcomes, lastFailureMs }: Record): PhaseResult {
  const ascending = Float64Array.from(latencies).toSorted();
  return {
    seconds: (endedAt - startedAt) / 1_000,
    outcomes: Object.fromEntries(outcomes),
    p50Ms: quantile(ascending, 0.5),
    p99Ms: quantile(ascending, 0.99),
    serverP99Ms: quantile(Float64Array.from(serverLatencies).toSorted(), 0.99),
    lagP99Ms: quantile(Float64Array.from(lags).toSorted(), 0.99),
    lastFailureMs,
  };
}

async function run({ port, request, deadlineMs, connections, maxConnections, phases }: ClientOptions): Promise<PhaseResult[]> {
  const bytes = Buffer.from(request, 'base64');
  const free: Connection[] = [];
  let open = 0;
  /** In the order of their deadlines; those before `firstWaiting` are done with. */
  let waiting: { readonly connection: Connection; readonly sending: Sending }[] = [];
  let firstWaiting = 0;
  /** When the client last had looked at all sockets: what it reads now may have been there since. */
  let lookedAt = Infinity;
  let onFree = (connection: Connection): void => void free.push(connection);

  function finish(connection: Connection, outcome: string): void {
    const { sending } = connection;
    if (sending === undefined) return;
    connection.sending = undefined;
    const { record, dueAt, sentAt } = sending;
    const now = performance.now();
    const inTime = now - dueAt <= deadlineMs;
    if (inTime && outcome === '200') {
      record.latencies.push(now - dueAt);
      record.serverLatencies.push(Math.max(0, Math.min(now, Math.max(lookedAt, sentAt)) - sentAt));
    }
    note(record, inTime ? outcome : 'no answer in time', dueAt);
  }

  function openConnection(): Connection {
    open += 1;
    const onread = {
      buffer: readBuffer,
      callback(length: number): boolean {
        const chunk = readBuffer.subarray(0, length);
        const answer = connection.partial === undefined ? chunk : Buffer.concat([connection.partial, chunk]);
        if (isWhole(answer)) {
          connection.partial = undefined;
          finish(connection, answer.toString('latin1', 9, 12));
          onFree(connection);
        } else connection.partial = Buffer.from(answer);
        return true;
      },
    };
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread });
    const connection: Connection = { socket, sending: undefined, partial: undefined };
    socket.once('error', (error: NodeJS.ErrnoException) => finish(connection, `connection failed: ${error.code}`));
    socket.once('close', () => {
      open -= 1;
      finish(connection, 'connection closed');
      const at = free.indexOf(connection);
      if (at !== -1) free.splice(at, 1);
    });
    return connection;
  }

  function send(connection: Connection, record: Record, dueAt: number): void {
    const sentAt = performance.now();
    record.lags.push(sentAt - dueAt);
    connection.sending = { record, dueAt, sentAt };
    waiting.push({ connection, sending: connection.sending });
    connection.socket.write(bytes);
  }

  /** Gives up what was not answered in its time. Its connection stays open, and is free again once the answer has come. */
  function giveUp(): void {
    const now = performance.now();
    for (; firstWaiting < waiting.length; firstWaiting += 1) {
      const { connection, sending } = waiting[firstWaiting]!;
      if (connection.sending !== sending) continue;
      if (sending.dueAt + deadlineMs > now) break;
      finish(connection, 'no answer in time');
    }
    if (2 * firstWaiting < waiting.length) return;
    waiting = waiting.slice(firstWaiting);
    firstWaiting = 0;
  }

  async function closedLoop(record: Record, until: number, count: number): Promise<void> {
    onFree = (connection) => {
      const now = performance.now();
      if (now < until) send(connection, record, now);
      else free.push(connection);
    };
    for (let index = 0; index < count; index += 1) send(free.pop() ?? openConnection(), record, performance.now());
    for (; performance.now() < until; await after(CLOSED_LOOP_LOOK_MS)) giveUp();
    onFree = (connection) => void free.push(connection);
  }

  async function openLoop(record: Record, until: number, requestsPerSecond: number): Promise<void> {
    const gapMs = 1_000 / requestsPerSecond;
    for (let dueAt = record.startedAt; dueAt < until;) {
      for (const now = performance.now(); dueAt <= now && dueAt < until; dueAt += gapMs) {
        const connection = free.pop() ?? (open < maxConnections ? openConnection() : undefined);
        if (connection === undefined) note(record, 'not sent, for all connections waited', dueAt);
        else send(connection, record, dueAt);
      }
      giveUp();
      await new Promise((resolve) => setImmediate(resolve));
      lookedAt = performance.now();
      const idleMs = dueAt - performance.now();
      if (idleMs > 0) Atomics.wait(nap, 0, 0, Math.min(NAP_MS, idleMs));
    }
  }

  async function runPhase({ durationMs, load }: Phase): Promise<Record> {
    const startedAt = performance.now();
    const until = startedAt + durationMs;
    const record: Record = {
      startedAt,
      endedAt: until,
      latencies: [],
      serverLatencies: [],
      lags: [],
      outcomes: new Map(),
      lastFailureMs: 0,
    };
    if ('connections' in load) await closedLoop(record, until, load.connections);
    else await openLoop(record, until, load.requestsPerSecond);
    record.endedAt = performance.now();
    lookedAt = Infinity;
    return record;
  }

  for (let index = 0; index < connections; index += 1) {
    const connection = openConnection();
    await new Promise((connected) => connection.socket.once('connect', connected));
    free.push(connection);
  }
  const records: Record[] = [];
  for (const phase of phases) records.push(await runPhase(phase));
  // What is still on its way belongs to its phase.
  for (const end = performance.now() + 2 * deadlineMs; performance.now() < end; await after(CLOSED_LOOP_LOOK_MS)) giveUp();
  return records.map(resultOf);
}

process.once('message', (options: ClientOptions) => {
  void run(options).then((results) => process.send!(results, () => process.exit(0)));
});
