import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { beforeEach, describe, expect, it } from 'vitest';
import { failureOf, post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';

const wine = await readFile(new URL('../../examples/data/wine.csv', import.meta.url));
const SPEC = { dataset: 'wine', target: 'kind', architecture: { kind: 'mlp' }, epochs: 1 };

async function picture(width: number, height: number): Promise<Blob> {
  const image = sharp({ create: { width, height, channels: 3, background: { r: 200, g: 10, b: 10 } } });
  return new Blob([Uint8Array.from(await image.png().toBuffer())]);
}

/** Image files by their names as a dataset. */
function upload(address: string, files: Readonly<Record<string, Blob>>, query = ''): Promise<Response> {
  const form = new FormData();
  form.set('name', 'pictures');
  for (const [name, content] of Object.entries(files)) form.append('file', content, name);
  return fetch(`${address}/datasets${query}`, { method: 'POST', body: form });
}

const layers = (...given: readonly (readonly [string, object?])[]): object => ({
  architecture: { kind: 'layers', layers: given.map(([class_name, config = {}]) => ({ class_name, config })) },
});

describe('before a training job is queued', () => {
  let address: string;

  beforeEach(async () => {
    ({ address } = await runningServer([]));
    expect((await post(address, '/datasets?name=wine', wine, 'text/csv')).status).toBe(201);
  });

  async function refusal(spec: unknown): Promise<Awaited<ReturnType<typeof failureOf>>> {
    const failure = await failureOf(await post(address, '/train-jobs', JSON.stringify(spec)));
    expect(await (await fetch(`${address}/train-jobs`)).json()).toEqual({ jobs: [] });
    return failure;
  }

  it('a stack of layers that does not fit is refused, with the layer and why', async () => {
    const softmax = ['Dense', { units: 3, activation: 'softmax' }] as const;
    for (const [change, message] of [
      [
        { architecture: { kind: 'lenet5' } },
        /^lenet5 is for images of the shape \[height, width, channels\]; the input has the shape \[13\]\.$/,
      ],
      [
        layers(['Dense', { units: 4 }], ['Conv2D', { filters: 2, kernel_size: [3, 3] }], softmax),
        /^Layer 2, Conv2D "conv2d_2", does not fit: it takes images/,
      ],
      [
        layers(['Reshape', { target_shape: [4, 4] }], ['Flatten'], softmax),
        /^Layer 1, Reshape .* has 13 values, which do not make \[4,4\]\.$/,
      ],
      [layers(['Dense', { units: 4, activation: 'softmax' }]), /^The last layer has 4 units, but "kind" has 3 classes\.$/],
      [layers(['Dense', { units: 4 }]), /must be a Dense or Activation layer with the activation softmax/],
      [
        layers(['Reshape', { target_shape: [13, 1] }], softmax),
        /^The last layer, Dense "probabilities", gives the shape \[13, 3\], but "kind" has 3 classes: that needs \[3\]\.$/,
      ],
      [{ target: 'proline', ...layers(['Dense', { units: 2 }]) }, /gives the shape \[2\], but "proline" is a number: that needs \[1\]\.$/],
      [
        { target: 'proline', features: ['kind'], ...layers(['Conv1D', { filters: 1, kernel_size: 1 }]) },
        /what comes to it has the shape \[\?\]\.$/,
      ],
      [{ architecture: { kind: 'transformer-encoder' } }, /transformer-encoder is for texts/],
      [
        { microBatches: 4, ...layers(['Dense', { units: 4 }], ['BatchNormalization'], softmax) },
        /^Layer 2, BatchNormalization .*, normalizes by the whole batch, so it cannot be computed in microBatches\.$/,
      ],
    ] as const) {
      const failure = await refusal({ ...SPEC, ...change });
      expect(failure).toMatchObject({ status: 400, code: 'INVALID_ARCHITECTURE' });
      expect(failure.message).toMatch(message);
    }
  });

  it('what does not fit the target or the data is refused', async () => {
    for (const [change, path, message] of [
      [{ loss: 'huber' }, 'loss', /^The loss huber does not fit the target "kind"; take cross-entropy\.$/],
      [{ target: 'proline', classWeights: 'balanced' }, 'classWeights', /are for classes/],
      [{ classWeights: { chianti: 2 } }, 'classWeights', /names "chianti", which is no class of "kind": barbera, barolo, grignolino\.$/],
      [{ publish: { model: 'wine', if: { metric: 'rmse', atMost: 1 } } }, 'publish.if.metric', /"rmse" is not measured of classes/],
      [{ target: 'proline', earlyStopping: { metric: 'accuracy' } }, 'earlyStopping.metric', /"accuracy" is not measured of numbers/],
      [{ target: 'alcohol', task: 'classification' }, 'target', /number with fractions/],
      [{ features: ['ash', 'ash'] }, 'features', /"ash" is named twice/],
    ] as const) {
      const failure = await refusal({ ...SPEC, ...change });
      expect(failure).toMatchObject({ code: 'UNSUITABLE_DATA', details: [{ path }] });
      expect(failure.message).toMatch(message);
    }
  });

  it('texts too short for a window and splits that cannot be are refused', async () => {
    const rows = 'text,use\nthe whale,training\nthe sea and the ship,rest\n';
    expect((await post(address, '/datasets?name=short&types={"text":"text"}', rows, 'text/csv')).status).toBe(201);
    const continued = { dataset: 'short', task: 'next-token', features: ['text'], architecture: { kind: 'gru' }, epochs: 1 };
    for (const [spec, path, message] of [
      [
        continued,
        'text.maxLength',
        'The texts in "text" have 29 characters, too few for a window of 64 tokens; text.maxLength makes it smaller.',
      ],
      [
        { ...continued, text: { maxLength: 31 } },
        'text.maxLength',
        'The texts in "text" have 29 characters, too few for a window of 31 tokens; text.maxLength makes it smaller.',
      ],
      [
        { ...SPEC, split: { validation: 0.6, test: 0.4 } },
        'split',
        'The shares for validation (0.6) and test (0.4) must be at least 0 and together less than 1.',
      ],
      [
        { ...SPEC, split: { column: 'ash' } },
        'split',
        'The column "ash" does not say which rows are for training: it must have the value "train", and may have "validation" and "test".',
      ],
    ] as const)
      expect(await refusal(spec)).toMatchObject({ code: 'UNSUITABLE_DATA', message, details: [{ path }] });
    // Whether 30 tokens fill a window shows when the rows are split.
    const job = { ...continued, text: { maxLength: 30 } };
    expect((await post(address, '/train-jobs', JSON.stringify(job))).status).toBe(202);
  });

  it('a damaged image is named and the upload refused, or it is left out; images of several sizes are told before the queue', async () => {
    const good = Object.fromEntries(
      await Promise.all(
        Array.from({ length: 12 }, async (_each, index) => [
          `${index % 2 === 0 ? 'red' : 'dark'}/${index}.png`,
          await picture(8 + (index % 3), 8),
        ]),
      ),
    ) as Record<string, Blob>;
    const files = { ...good, 'red/damaged.png': new Blob(['no image']) };
    const failure = await failureOf(await upload(address, files));
    expect(failure).toMatchObject({ code: 'INVALID_DATASET', details: [{ path: 'red/damaged.png' }] });
    expect(failure.message).toMatch(/^red\/damaged\.png: .* None may be left out; "maxSkipped" allows more\.$/);
    const taken = await upload(address, files, '?maxSkipped=1');
    expect(taken.status).toBe(201);
    expect(await taken.json()).toMatchObject({ rows: 12, skipped: { count: 1, first: [{ place: 'red/damaged.png' }] } });

    const spec = { dataset: 'pictures', architecture: { kind: 'cnn', filters: [2], hidden: [] }, epochs: 1 };
    const ragged = await refusal(spec);
    expect(ragged).toMatchObject({ code: 'UNSUITABLE_DATA', details: [{ path: 'image' }] });
    expect(ragged.message).toBe('The images in "image" are of several sizes, 8×8 to 10×8; say which width and height they are to have.');
    const response = await post(address, '/train-jobs', JSON.stringify({ ...spec, image: { width: 8, height: 8 } }));
    const { id } = (await response.json()) as { id: string };
    await (await fetch(`${address}/train-jobs/${id}/events`)).text();
    expect(await (await fetch(`${address}/train-jobs/${id}`)).json()).toMatchObject({ state: 'succeeded' });
  });
});
