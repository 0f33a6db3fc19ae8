import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../../src/errors/slipway-error.ts';
import { openLayersModel } from '../../../../src/packages/layers-model.ts';
import { writeSafetensors } from '../../../../src/packages/safetensors/write.ts';
import { decodeWeights } from '../../../../src/packages/tfjs/decode-weights.ts';
import { fixtureFolder, modelFolder } from '../../../helpers/fixture-models.ts';
import { denseLayer, sequentialTopology } from '../../../helpers/tfjs-model.ts';

type Header = Record<string, unknown>;

/** A file as others would write it: its header as it is given, then the bytes. */
function fileOf(header: Header | string, bytes: Buffer): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, bytes]);
}

const bytesOf = (data: ArrayBufferView): Buffer => Buffer.from(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
const LAYERS = JSON.stringify({ modelTopology: sequentialTopology([denseLayer('dense', 1, { batch_input_shape: [null, 2] })]) });

async function weightsOf(file: Buffer, layers = LAYERS): Promise<Record<string, number[]>> {
  const model = await openLayersModel(await modelFolder({ 'model.json': layers, 'model.safetensors': file }));
  const weights = decodeWeights(await model.weights());
  return Object.fromEntries([...weights].map(([name, weight]) => [name, [...(weight.tensor().data as Float32Array)]]));
}

async function problemOf(file: Buffer, layers?: string): Promise<string> {
  try {
    await weightsOf(file, layers);
  } catch (error) {
    if (error instanceof SlipwayError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'none';
}

describe('safetensors', () => {
  it.each<[dtype: string, data: ArrayBufferView, values: number[]]>([
    ['F32', Float32Array.of(0.1, -2), [Math.fround(0.1), -2]],
    ['F64', Float64Array.of(0.1, -2), [Math.fround(0.1), -2]],
    ['F16', Uint16Array.of(0x3c00, 0xc000), [1, -2]],
    ['BF16', Uint16Array.of(0x3f80, 0xc000), [1, -2]],
    ['I64', BigInt64Array.of(7n, -2n), [7, -2]],
    ['I32', Int32Array.of(7, -2), [7, -2]],
    ['I16', Int16Array.of(7, -2), [7, -2]],
    ['I8', Int8Array.of(7, -2), [7, -2]],
    ['U64', BigUint64Array.of(7n, 2n), [7, 2]],
    ['U32', Uint32Array.of(7, 2), [7, 2]],
    ['U16', Uint16Array.of(7, 2), [7, 2]],
    ['U8', Uint8Array.of(7, 2), [7, 2]],
    ['BOOL', Uint8Array.of(1, 0), [1, 0]],
  ])('reads %s, by names with slashes or dots', async (dtype, data, values) => {
    const header = { __metadata__: { format: 'np' }, 'dense.kernel': { dtype, shape: [2, 1], data_offsets: [0, data.byteLength] } };
    expect(await weightsOf(fileOf(header, bytesOf(data)))).toEqual({ 'dense/kernel': values });
  });

  const good = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
  it.each<[what: string, file: Buffer, problem: RegExp]>([
    ['nothing', Buffer.alloc(3), /ends in the middle of the length of its header/],
    ['a huge header', Buffer.from('ffffffffffffff7f', 'hex'), /states a header of 9223372036854775807 bytes; at most 100000000 are taken/],
    ['a cut header', fileOf({ a: good }, Buffer.alloc(0)).subarray(0, 20), /ends in the middle of its header/],
    ['no JSON', fileOf('{"a"', Buffer.alloc(8)), /header that is not valid JSON/],
    ['a list', fileOf('[]', Buffer.alloc(0)), /header that is no JSON object/],
    [
      'an unknown dtype',
      fileOf({ a: { ...good, dtype: 'F8_E4M3' } }, Buffer.alloc(8)),
      /the tensor "a" of the dtype "F8_E4M3"; there are F64, F32/,
    ],
    ['a negative size', fileOf({ a: { ...good, shape: [-2] } }, Buffer.alloc(8)), /the tensor "a" without a shape/],
    [
      'too few bytes',
      fileOf({ a: { ...good, shape: [3] } }, Buffer.alloc(8)),
      /gives the tensor "a" 8 bytes; F32 of the shape \[3\] has 12/,
    ],
    [
      'an overlap',
      fileOf({ a: good, b: { ...good, data_offsets: [4, 12] } }, Buffer.alloc(12)),
      /the tensors "a" and "b" in the same bytes/,
    ],
    [
      'a hole',
      fileOf({ a: good, b: { ...good, data_offsets: [12, 20] } }, Buffer.alloc(20)),
      /4 bytes between "a" and "b" that no tensor has/,
    ],
    ['bytes before', fileOf({ a: { ...good, data_offsets: [4, 12] } }, Buffer.alloc(12)), /4 bytes between the header and "a"/],
    ['bytes behind', fileOf({ a: good }, Buffer.alloc(9)), /1 bytes behind its last tensor/],
    ['a cut tensor', fileOf({ a: good }, Buffer.alloc(7)), /ends in the middle of the tensor "a"/],
    [
      'a whole number of more bits than layers have',
      fileOf({ a: { dtype: 'I64', shape: [1], data_offsets: [0, 8] } }, bytesOf(BigInt64Array.of(2n ** 40n))),
      /1099511627776 in the tensor "a"; whole numbers of weights are of 32 bits/,
    ],
  ])('is refused with %s', async (_what, file, problem) => {
    const found = await problemOf(file);
    expect(found).toMatch(/^INVALID_MODEL: model\.safetensors /);
    expect(found).toMatch(problem);
  });

  it('names what a model of Keras 3 lacks and what it does not take; the names of a cell and of the model do not matter', async () => {
    const layers = JSON.stringify({
      module: 'keras',
      class_name: 'Sequential',
      config: {
        name: 'model',
        layers: [
          { module: 'keras.layers', class_name: 'InputLayer', config: { name: 'x', batch_shape: [null, 2, 2], dtype: 'float32' } },
          { module: 'keras.layers', class_name: 'SimpleRNN', config: { name: 'rnn', units: 1, activation: 'tanh', use_bias: true } },
        ],
      },
    });
    const header = {
      'model/rnn/simple_rnn_cell/kernel': { dtype: 'F32', shape: [2, 1], data_offsets: [0, 8] },
      'other/kernel': { dtype: 'F32', shape: [1], data_offsets: [8, 12] },
    };
    expect(await problemOf(fileOf(header, Buffer.alloc(12)), layers)).toBe(
      'INVALID_MODEL: model.safetensors lacks "rnn/recurrent_kernel", "rnn/bias"; it has "other/kernel", which no layer of model.json takes.',
    );
  });

  it('without layers beside it is refused with what to do', async () => {
    const folder = await modelFolder({ 'model.safetensors': fileOf({}, Buffer.alloc(0)) });
    await expect(openLayersModel(folder)).rejects.toThrow(
      /holds model\.safetensors, which is weights alone; put the layers that they are for beside it, as model\.json/,
    );
  });

  it('is written with the same bits and always the same bytes, and read again', async () => {
    const weights = decodeWeights(await (await openLayersModel(fixtureFolder('digits-layers'))).weights());
    const file = writeSafetensors(weights);
    expect(writeSafetensors(new Map([...weights].toReversed())).equals(file)).toBe(true);
    expect((8 + Number(file.readBigUInt64LE(0))) % 8).toBe(0);
    const layers = readFileSync(join(fixtureFolder('digits-layers'), 'model.json'), 'utf8');
    const { modelTopology } = JSON.parse(layers) as Header;
    const folder = await modelFolder({ 'model.json': JSON.stringify({ modelTopology }), 'model.safetensors': file });
    const read = decodeWeights(await (await openLayersModel(folder)).weights());
    expect(new Set(read.keys())).toEqual(new Set(weights.keys()));
    expect(writeSafetensors(read).equals(await readFile(join(folder, 'model.safetensors')))).toBe(true);
  });
});
