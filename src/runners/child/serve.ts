import type { Socket } from 'node:net';
import { encodeError } from '../../errors/encode.ts';
import { messageOf } from '../../errors/slipway-error.ts';
import type {
  EngineName,
  EngineWishes,
  LoadedModel,
  LoadOptions,
  MissingDevice,
  WarmUpOptions,
  WarmUpReport,
} from '../../engines/engine.ts';
import { createFrameReader, createFrameScratch, DEFAULT_MAX_FRAME_BYTES, type Section, writeFrame } from '../frames.ts';
import { type ChildMessage, type HostMessage, type LoadMessage, PROTOCOL_VERSION, type RunMessage } from '../messages.ts';
import { bodyBytesOf, packTensors, unpackTensors } from '../tensors.ts';
import { readHostMessage } from './read-message.ts';

/** Answers wait for the host once this much is unsent, so that a slow host does not fill this process's memory. */
const MAX_UNSENT_BYTES = 1024 * 1024;

/**
 * Answers of requests that came together go back together: one system call and one wake-up of the host for all of
 * them. None waits for longer than this, in milliseconds, or while more than so many bytes are held.
 */
const MAX_HELD_MS = 0.5;
const MAX_HELD_BYTES = 64 * 1024;

export interface RunnerChildOptions {
  /** The connection to the host; its end is the end of this process. */
  readonly connection: Socket;
  readonly loadModel: (
    options: LoadOptions & EngineWishes & { warmUp: WarmUpOptions; missingDevice: MissingDevice },
  ) => Promise<{ engine: EngineName; model: LoadedModel; warmUp?: WarmUpReport | undefined }>;
  readonly exit: (code: number) => void;
}

export interface RunnerChild {
  /** Reports a defect to the host as well as it still can, then exits with code 1. */
  fail(error: unknown): void;
}

type Task = { readonly message: Exclude<HostMessage, { kind: 'ping' }>; readonly body: Uint8Array };

/** The child's side of the border: loads one model and runs requests strictly one after the other, in order. */
export function serveRunner({ connection, loadModel, exit }: RunnerChildOptions): RunnerChild {
  const waiting: Task[] = [];
  let working = false;
  let model: LoadedModel | undefined;
  const scratch = createFrameScratch();

  function send(message: ChildMessage, sections: readonly Section[] = []): void {
    writeFrame(connection, message, sections, DEFAULT_MAX_FRAME_BYTES, scratch);
  }

  /** Since when answers are held back, undefined when none are. */
  let heldSince: number | undefined;

  function holdAnswers(): void {
    if (heldSince !== undefined) return;
    heldSince = performance.now();
    connection.cork();
  }

  function releaseAnswers(): void {
    if (heldSince === undefined) return;
    heldSince = undefined;
    connection.uncork();
  }

  function isTimeToRelease(): boolean {
    if (heldSince === undefined || waiting.length === 0) return true;
    return connection.writableLength > MAX_HELD_BYTES || performance.now() - heldSince > MAX_HELD_MS;
  }

  async function load({ protocol, placement, warmUp, missingDevice }: LoadMessage): Promise<void> {
    // The host compares versions as well; ending here keeps this side from misreading the placement.
    if (protocol !== PROTOCOL_VERSION) throw new Error(`The host speaks runner protocol ${protocol}, this program ${PROTOCOL_VERSION}.`);
    try {
      const loaded = await loadModel({ ...placement, warmUp, missingDevice });
      model = loaded.model;
      const { signature, signatures, backend, device, reason } = model;
      const memoryBytes = process.memoryUsage.rss();
      const { engine, warmUp: report } = loaded;
      const deviceBytes = model.deviceBytes?.();
      send({ kind: 'loaded', info: { signature, signatures, engine, backend, device, reason, memoryBytes, deviceBytes, warmUp: report } });
    } catch (error) {
      send({ kind: 'load-failed', error: encodeError(error) });
    }
  }

  async function run(message: RunMessage, body: Uint8Array): Promise<void> {
    try {
      if (model === undefined) throw new Error('No model is loaded.');
      const inputs = unpackTensors(message.tensors, body);
      const started = performance.now();
      const outputs = await model.run(inputs, message.outputs, message.signatureName);
      const computeNs = Math.round((performance.now() - started) * 1e6);
      const { headers, sections } = packTensors([outputs]);
      if (waiting.length > 0) holdAnswers();
      send({ kind: 'result', id: message.id, computeNs, tensors: headers }, sections);
    } catch (error) {
      send({ kind: 'error', id: message.id, error: encodeError(error, 'INFERENCE_FAILED') });
    }
  }

  async function perform({ message, body }: Task): Promise<void> {
    switch (message.kind) {
      case 'load':
        return load(message);
      case 'run':
        return run(message, body);
      case 'stop':
        releaseAnswers();
        await model?.dispose();
        return exit(0);
    }
  }

  async function work(): Promise<void> {
    if (working) return;
    working = true;
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      await perform(task);
      if (isTimeToRelease()) releaseAnswers();
      if (connection.writableLength > MAX_UNSENT_BYTES) await new Promise((resolve) => connection.once('drain', resolve));
    }
    working = false;
  }

  function fail(error: unknown): void {
    const message = messageOf(error);
    process.stderr.write(`${error instanceof Error ? (error.stack ?? message) : message}\n`);
    // The callback of an empty write comes after everything before it was handed to the system.
    setTimeout(() => exit(1), 500);
    if (connection.writable) {
      releaseAnswers();
      send({ kind: 'fatal', message });
      connection.write('', () => exit(1));
    } else exit(1);
  }

  function receive(message: HostMessage, body: Uint8Array): void {
    if (message.kind === 'ping') {
      return send({ kind: 'pong', id: message.id, memoryBytes: process.memoryUsage.rss(), deviceBytes: model?.deviceBytes?.() });
    }
    if (message.kind === 'stop') waiting.length = 0;
    waiting.push({ message, body });
    work().catch(fail);
  }

  const reader = createFrameReader({ maxFrameBytes: DEFAULT_MAX_FRAME_BYTES, readHeader: readHostMessage, bodyBytesOf, onFrame: receive });
  connection.on('data', (chunk: Buffer) => {
    try {
      reader.push(chunk);
    } catch (error) {
      fail(error);
    }
  });
  // The host is gone: nobody waits for an answer, and a process without a host would be an orphan for ever.
  connection.on('end', () => exit(0));
  connection.on('error', () => exit(0));
  connection.on('close', () => exit(0));

  send({ kind: 'hello', protocol: PROTOCOL_VERSION });
  return { fail };
}
