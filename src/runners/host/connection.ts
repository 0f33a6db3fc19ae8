import type { Socket } from 'node:net';
import type { MissingDevice, WarmUpOptions } from '../../engines/engine.ts';
import { decodeError } from '../../errors/encode.ts';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { NamedTensors } from '../../tensor/tensor.ts';
import { createFrameReader, createFrameScratch, type Section, writeFrame } from '../frames.ts';
import { type ChildMessage, type HostMessage, type LoadMessage, PROTOCOL_VERSION } from '../messages.ts';
import type { RunResult, ToldInfo } from '../runner.ts';
import { bodyBytesOf, packTensors, unpackTensors } from '../tensors.ts';
import { createHeartbeat } from './heartbeat.ts';
import { readChildMessage } from './read-message.ts';

/** What a connection finds wrong with its runner: it misbehaves, or it hangs. */
export type Fault = 'crashed' | 'unresponsive';

export interface RunnerConnectionOptions {
  readonly socket: Socket;
  readonly maxFrameBytes: number;
  readonly heartbeatMs: number;
  readonly unresponsiveMs: number;
  readonly onLoaded: (info: ToldInfo) => void;
  readonly onLoadFailed: (error: SlipwayError) => void;
  /** The runner reports a defect of its own; its end follows. */
  readonly onFatal: (message: string) => void;
  /** The runner can't be trusted any more and must be ended; `how` goes after "the process". */
  readonly onFault: (fault: Fault, how: string) => void;
}

export interface RunnerConnection {
  /** Runs sent and not answered yet. */
  readonly inFlight: number;
  /** Resident memory that the runner told last, in bytes. */
  readonly reportedBytes: number | undefined;
  /** What it told last of the memory of its GPU, in bytes; undefined where it does not tell. */
  readonly reportedDeviceBytes: number | undefined;
  load(placement: LoadMessage['placement'], warmUp: WarmUpOptions, missingDevice: MissingDevice): void;
  run(parts: readonly NamedTensors[], outputs: readonly string[], signatureName?: string): Promise<RunResult>;
  /** Asks the runner to finish its run and end. */
  requestStop(): void;
  /** Fails all runs in flight and ignores whatever still arrives. */
  close(error: SlipwayError): void;
}

interface PendingRun {
  readonly resolve: (result: RunResult) => void;
  readonly reject: (error: SlipwayError) => void;
}

/** The host's side of the border: messages to one runner process, and the table of runs that it has to answer. */
export function createRunnerConnection(options: RunnerConnectionOptions): RunnerConnection {
  const { socket, maxFrameBytes, heartbeatMs, unresponsiveMs, onLoaded, onLoadFailed, onFatal, onFault } = options;
  const pending = new Map<number, PendingRun>();
  let lastId = 0;
  /** A runner answers in order, so the answer that must come next is known. */
  let nextAnswer = 1;
  let greeted = false;
  let loading = true;
  let reportedBytes: number | undefined;
  let reportedDeviceBytes: number | undefined;
  let closedBy: SlipwayError | undefined;

  const scratch = createFrameScratch();
  let sentThisTurn = false;
  let corked = false;
  const endTurn = (): void => {
    sentThisTurn = false;
    if (corked) socket.uncork();
    corked = false;
  };

  /** The first frame goes at once; those that follow it before the event loop goes on, by one system call. */
  function send(message: HostMessage, sections: readonly Section[] = []): void {
    if (!sentThisTurn) {
      sentThisTurn = true;
      queueMicrotask(endTurn);
    } else if (!corked) {
      corked = true;
      socket.cork();
    }
    writeFrame(socket, message, sections, maxFrameBytes, scratch);
  }

  const heartbeat = createHeartbeat({
    heartbeatMs,
    unresponsiveMs,
    isBusy: () => pending.size > 0,
    ping: () => send({ kind: 'ping', id: 0 }),
    onSilent: () => onFault('unresponsive', `did not answer for ${unresponsiveMs} ms and was ended`),
  });

  function takePending(id: number): PendingRun {
    const run = pending.get(id);
    if (run === undefined || id !== nextAnswer) throw new Error(`it answered run ${id}, the next in order is ${nextAnswer}`);
    pending.delete(id);
    nextAnswer += 1;
    return run;
  }

  function endLoading(): void {
    if (!loading) throw new Error('it reported a second time that it has loaded');
    loading = false;
  }

  function receive(message: ChildMessage, body: Uint8Array): void {
    if (closedBy !== undefined) return;
    if (!greeted && message.kind !== 'hello') throw new Error(`its first message is "${message.kind}" instead of "hello"`);
    switch (message.kind) {
      case 'hello':
        if (message.protocol !== PROTOCOL_VERSION)
          throw new Error(`it speaks protocol version ${message.protocol}, the server ${PROTOCOL_VERSION}`);
        greeted = true;
        return;
      case 'result': {
        const outputs = unpackTensors(message.tensors, body);
        return takePending(message.id).resolve({ outputs, computeNs: message.computeNs });
      }
      case 'error':
        return takePending(message.id).reject(decodeError(message.error));
      case 'loaded':
        endLoading();
        heartbeat.start();
        reportedDeviceBytes = message.info.deviceBytes;
        return onLoaded(message.info);
      case 'load-failed':
        endLoading();
        return onLoadFailed(decodeError(message.error));
      case 'pong':
        reportedBytes = message.memoryBytes;
        reportedDeviceBytes = message.deviceBytes;
        return;
      case 'fatal':
        return onFatal(message.message);
    }
  }

  const reader = createFrameReader({ maxFrameBytes, readHeader: readChildMessage, bodyBytesOf, onFrame: receive });

  socket.on('data', (chunk: Buffer) => {
    if (closedBy !== undefined) return;
    heartbeat.alive();
    try {
      reader.push(chunk);
    } catch (error) {
      onFault('crashed', `broke the runner protocol and was ended: ${messageOf(error)}`);
    }
  });
  // A broken pipe means that the process has ended, and its end says more than the pipe's error.
  socket.on('error', () => {});

  return {
    get inFlight() {
      return pending.size;
    },
    get reportedBytes() {
      return reportedBytes;
    },
    get reportedDeviceBytes() {
      return reportedDeviceBytes;
    },
    load(placement, warmUp, missingDevice) {
      send({ kind: 'load', protocol: PROTOCOL_VERSION, placement, warmUp, missingDevice });
    },
    run(parts, outputs, signatureName) {
      return new Promise((resolve, reject) => {
        if (closedBy !== undefined) return reject(closedBy);
        const { headers, sections } = packTensors(parts);
        const id = lastId + 1;
        try {
          send({ kind: 'run', id, outputs, signatureName, tensors: headers }, sections);
        } catch (error) {
          return reject(new SlipwayError('BODY_TOO_LARGE', messageOf(error), { cause: error }));
        }
        lastId = id;
        pending.set(id, { resolve, reject });
        heartbeat.wake();
      });
    },
    requestStop() {
      if (socket.writable) send({ kind: 'stop' });
    },
    close(error) {
      if (closedBy !== undefined) return;
      closedBy = error;
      heartbeat.stop();
      for (const run of pending.values()) run.reject(error);
      pending.clear();
    },
  };
}
