import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { File, FS, ready } from 'h5wasm';
import { beforeAll, describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../../src/errors/slipway-error.ts';
import { openLayersModel } from '../../../../src/packages/layers-model.ts';
import { openZip } from '../../../../src/packages/zip.ts';
import { buffer } from 'node:stream/consumers';
import { zipOf } from '../../../helpers/archives.ts';
import { modelFolder } from '../../../helpers/fixture-models.ts';

const LATE = fileURLToPath(new URL('../../../fixtures/keras/late.keras', import.meta.url));

type Parts = Record<'config.json' | 'metadata.json' | 'model.weights.h5', Buffer | string>;

let parts: Parts;
beforeAll(async () => {
  const read: Partial<Parts> = {};
  const zip = await openZip(LATE);
  for await (const { name, open } of zip.entries()) read[name as keyof Parts] = await buffer(await open());
  zip.close();
  parts = read as Parts;
});

async function problemOf(changes: Partial<Parts>): Promise<string> {
  const folder = await modelFolder({ ...parts, ...changes });
  try {
    await (await openLayersModel(folder)).weights();
  } catch (error) {
    if (error instanceof SlipwayError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'none';
}

/** The weights, written anew by the HDF5 library. */
async function weightsWith(change: (file: File) => void): Promise<Buffer> {
  await ready;
  FS!.writeFile('/changed.h5', parts['model.weights.h5']);
  const file = new File('/changed.h5', 'a');
  change(file);
  file.close();
  const bytes = Buffer.from(FS!.readFile('/changed.h5'));
  FS!.unlink('/changed.h5');
  return bytes;
}

/** The config with one more layer behind the last one. */
function configWithThird(): string {
  const config = JSON.parse(parts['config.json'].toString()) as { config: { layers: { config: object }[] } };
  const last = config.config.layers.at(-1)!;
  config.config.layers.push({ ...last, config: { ...last.config, name: 'third' } });
  return JSON.stringify(config);
}

describe('a Keras model that is damaged is refused by what is wrong', () => {
  it('as it is, there is nothing wrong', async () => {
    expect(await problemOf({})).toBe('none');
  });

  it.each<[what: string, changes: () => Partial<Parts>, problem: RegExp]>([
    [
      'a file of Keras 2',
      () => ({ 'metadata.json': '{"keras_version":"2.15.0"}' }),
      /written by Keras 2\.15\.0; load it and save it with Keras 3/,
    ],
    ['no JSON', () => ({ 'config.json': '{' }), /config\.json is not valid JSON/],
    [
      'no model',
      () => ({ 'config.json': '{"class_name":"MyModel","module":"keras"}' }),
      /it is a MyModel; Sequential and Functional models can be read/,
    ],
    ['no HDF5', () => ({ 'model.weights.h5': 'weights' }), /INVALID_MODEL: .*model\.weights\.h5/],
    [
      'half a file',
      () => ({ 'model.weights.h5': (parts['model.weights.h5'] as Buffer).subarray(0, 5000) }),
      /INVALID_MODEL: .*model\.weights\.h5 cannot be read: truncated file/,
    ],
    [
      'a layer that the weights lack',
      () => ({ 'config.json': configWithThird() }),
      /model\.weights\.h5 has no "layers\/dense_2\/vars\/0", the weight "third\/kernel"/,
    ],
    [
      'half precision',
      () => ({
        'config.json': parts['config.json'].toString().replaceAll('"name": "float32"', '"name": "float16"'),
      }),
      /ENGINE_UNAVAILABLE: .*the layer "dense" has the dtype policy float16; cast its variables to float32/,
    ],
    [
      'another slope',
      () => ({ 'config.json': parts['config.json'].toString().replaceAll('"relu"', '"hard_sigmoid"') }),
      /the layer "dense" has the activation "hard_sigmoid", which TF\.js has not, or not as Keras 3 computes it/,
    ],
  ])('%s', async (_what, changes, problem) => {
    expect(await problemOf(changes())).toMatch(problem);
  });

  it('more numbers than bytes, which a few bytes can state', async () => {
    const weights = await weightsWith((file) => {
      const group = file.create_group('layers/dense_2');
      group.create_group('vars');
      const data = new Float32Array(4_000_000);
      file.create_dataset({ name: 'layers/dense_2/vars/0', data, shape: [2, 2_000_000], chunks: [2, 1_000_000], compression: 9 });
      file.create_dataset({ name: 'layers/dense_2/vars/1', data: new Float32Array(2) });
    });
    expect(weights.length).toBeLessThan(100_000);
    expect(await problemOf({ 'config.json': configWithThird(), 'model.weights.h5': weights })).toMatch(
      /"layers\/dense_2\/vars\/0" of model\.weights\.h5 states more numbers than the file has bytes for/,
    );
  });

  it('wrappers in wrappers, which a few bytes could make grow without end', async () => {
    const config = JSON.parse(parts['config.json'].toString()) as { config: { layers: object[] } };
    const wrapped = (layer: object): object => ({ module: 'keras.layers', class_name: 'Bidirectional', config: { name: 'both', layer } });
    const lstm = { module: 'keras.layers', class_name: 'LSTM', config: { name: 'forward_lstm', units: 2 } };
    config.config.layers.push(wrapped(wrapped(lstm)));
    expect(await problemOf({ 'config.json': JSON.stringify(config) })).toMatch(/holds a Bidirectional, one wrapper inside of another/);
  });

  it('a link out of the file', async () => {
    const weights = await weightsWith((file) => {
      file.create_group('layers/dense_2');
      file.create_external_link('/etc/passwd', 'x', 'layers/dense_2/vars');
    });
    expect(await problemOf({ 'config.json': configWithThird(), 'model.weights.h5': weights })).toMatch(/INVALID_MODEL/);
  });

  it('an archive with compressed parts, which could unpack to any size', async () => {
    const archive = zipOf(Object.entries(parts).map(([name, content]) => ({ name, content: Buffer.from(content) })));
    const folder = await modelFolder({ 'model.keras': archive });
    await expect(openLayersModel(folder)).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringContaining('metadata.json is compressed in model.keras, which Keras does not do; unpack the archive'),
    });
  });

  it('any bytes changed: it is refused, or read, and nothing hangs', async () => {
    const whole = parts['model.weights.h5'] as Buffer;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }), async (changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of changes) bytes[at] = value;
        expect(await problemOf({ 'model.weights.h5': bytes })).toMatch(/^none$|^INVALID_MODEL|^ENGINE_UNAVAILABLE/);
      }),
      { numRuns: 60 },
    );
  });
});
