import { describe, expect, it } from 'vitest';
import { readHostMessage } from '../../../src/runners/child/read-message.ts';
import { readChildMessage } from '../../../src/runners/host/read-message.ts';
import { type ChildMessage, type HostMessage, PROTOCOL_VERSION } from '../../../src/runners/messages.ts';
import type { TensorSpec } from '../../../src/tensor/signature.ts';

const tensor = { name: 'x', dtype: 'FP32', shape: [1, 2], bytes: 8 } as const;
const placement = { folder: '/m/1', format: 'onnx', engine: undefined, threads: 1 } as const;
const warmUp = { mode: 'auto', onFailure: 'refuse', maxRequests: 5, folder: '/m/1' } as const;
const spec: TensorSpec = { name: 'x', dtype: 'FP32', shape: [-1, 2] };

const HOST_MESSAGES: HostMessage[] = [
  { kind: 'load', protocol: PROTOCOL_VERSION, placement, warmUp, missingDevice: 'refuse' },
  {
    kind: 'load',
    protocol: PROTOCOL_VERSION,
    placement: { ...placement, engine: 'tfjs', backend: 'wasm', device: 'cpu', signature: 's' },
    warmUp: { ...warmUp, mode: 'off' },
    missingDevice: 'fallback',
  },
  { kind: 'run', id: 1, outputs: ['y'], tensors: [tensor] },
  { kind: 'ping', id: 0 },
  { kind: 'stop' },
];

const CHILD_MESSAGES: ChildMessage[] = [
  { kind: 'hello', protocol: 1 },
  {
    kind: 'loaded',
    info: {
      signature: { inputs: [spec], outputs: [{ ...spec, shape: null }] },
      engine: 'onnx',
      backend: 'cpu',
      device: 'cpu',
      reason: 'r',
      memoryBytes: 5,
    },
  },
  {
    kind: 'loaded',
    info: {
      signature: { inputs: [], outputs: [] },
      engine: 'tfjs',
      backend: 'cpu',
      device: 'cpu',
      reason: 'r',
      memoryBytes: 5,
      warmUp: { inputs: 'recorded', runs: 2, firstMs: 3.5, lastMs: 0 },
    },
  },
  { kind: 'load-failed', error: { code: 'INVALID_MODEL', message: 'm', details: [{ path: 'p', message: 'd' }] } },
  { kind: 'result', id: 1, computeNs: 12, tensors: [tensor] },
  { kind: 'error', id: 1, error: { code: 'INFERENCE_FAILED', message: 'm' } },
  { kind: 'pong', memoryBytes: 1, id: 0 },
  { kind: 'fatal', message: 'm' },
];

describe('messages to a runner', () => {
  it.each(HOST_MESSAGES)('$kind passes', (message) => {
    expect(readHostMessage(JSON.parse(JSON.stringify(message)))).toEqual(JSON.parse(JSON.stringify(message)));
  });

  it.each<[string, unknown]>([
    ['nothing', null],
    ['a list', []],
    ['an unknown kind', { kind: 'reboot' }],
    ['a run without id', { kind: 'run', outputs: [], tensors: [] }],
    ['a run with a negative size', { kind: 'run', id: 1, outputs: [], tensors: [{ ...tensor, bytes: -8 }] }],
    ['a run with an unknown dtype', { kind: 'run', id: 1, outputs: [], tensors: [{ ...tensor, dtype: 'constructor' }] }],
    ['a run with a broken shape', { kind: 'run', id: 1, outputs: [], tensors: [{ ...tensor, shape: [1.5] }] }],
    ['a run with outputs that are no names', { kind: 'run', id: 1, outputs: [1], tensors: [] }],
    ['a load of an unknown format', { kind: 'load', protocol: 1, placement: { ...placement, format: 'pickle' }, warmUp }],
    ['a load without a folder', { kind: 'load', protocol: 1, placement: { ...placement, folder: undefined }, warmUp }],
    ['a load without a warm-up', { kind: 'load', protocol: 1, placement }],
  ])('%s is refused', (_name, message) => {
    expect(() => readHostMessage(message)).toThrow(/protocol/);
  });
});

describe('messages of a runner', () => {
  it.each(CHILD_MESSAGES)('$kind passes', (message) => {
    expect(readChildMessage(JSON.parse(JSON.stringify(message)))).toEqual(message);
  });

  it.each<[string, unknown, RegExp]>([
    ['nothing', null, /protocol/],
    ['an unknown kind', { kind: 'reboot' }, /kind/],
    ['an unknown code', { kind: 'error', id: 1, error: { code: 'TOO_BAD', message: 'm' } }, /error\.code/],
    ['a size that is no integer', { kind: 'result', id: 1, computeNs: 1, tensors: [{ ...tensor, bytes: 0.5 }] }, /tensors\.0\.bytes/],
    ['a negative dimension', { kind: 'result', id: 1, computeNs: 1, tensors: [{ ...tensor, shape: [-1] }] }, /tensors\.0\.shape\.0/],
  ])('%s is refused', (_name, message, words) => {
    expect(() => readChildMessage(message)).toThrow(words);
  });
});
