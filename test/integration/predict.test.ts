import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { failureOf, post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';

const SEVEN = new URL('../fixtures/images/seven.png', import.meta.url);

interface PredictAnswer {
  readonly model: string;
  readonly version: number;
  readonly outputs: Record<string, unknown>;
  readonly predictions?: { label: string; probability: number; top: { label: string; probability: number }[] }[];
}

describe('POST /predict', () => {
  it('recognises a digit from an image, and gives the same numbers for the same pixels as JSON', async () => {
    const { address } = await runningServer(['digits']);
    const image = new Uint8Array(await readFile(SEVEN));
    const answered = await post(address, '/predict?model=digits', image, 'image/png');
    expect(answered.status).toBe(200);
    const fromImage = (await answered.json()) as PredictAnswer;
    expect(fromImage).toMatchObject({ model: 'digits', version: 1 });
    expect(fromImage.predictions).toHaveLength(1);
    expect(fromImage.predictions![0]!.label).toBe('7');
    expect(fromImage.predictions![0]!.probability).toBeGreaterThan(0.5);
    expect((fromImage.outputs['probabilities'] as number[][])[0]).toContain(fromImage.predictions![0]!.probability);
    expect(fromImage.predictions![0]!.top[0]).toEqual({ label: '7', probability: fromImage.predictions![0]!.probability });

    const grey = await sharp(image).greyscale().raw().toBuffer();
    const rows = Array.from({ length: 28 }, (_, y) =>
      Array.from({ length: 28 }, (_pixel, x) => Math.fround(grey[y * 28 + x]! * Math.fround(1 / 255))),
    );
    for (const inputs of [[[rows]], [rows], rows]) {
      const fromJson = (await (await post(address, '/predict', JSON.stringify({ model: 'digits', inputs }))).json()) as PredictAnswer;
      expect(fromJson.predictions![0]!.label).toBe('7');
      expect(fromJson.predictions![0]!.probability).toBeCloseTo(fromImage.predictions![0]!.probability, 5);
    }
  });

  it('takes the model from the path, the version too, and picks outputs', async () => {
    const { address } = await runningServer(['multi', 'times-three']);
    const named = await post(address, '/models/times-three/versions/1/predict', '{"inputs":[1,2.5,-3]}');
    expect(await named.json()).toMatchObject({ model: 'times-three', version: 1, outputs: { y: [3, 7.5, -9] } });
    const picked = await post(address, '/models/multi/predict', '{"inputs":{"a":[[1,2]],"b":[[10,20]]},"outputs":["difference"]}');
    expect(picked.status).toBe(200);
    expect(Object.keys(((await picked.json()) as PredictAnswer).outputs)).toEqual(['difference']);
  });

  it('tells where the time went', async () => {
    const { address } = await runningServer(['times-three']);
    const answer = await post(address, '/predict', '{"model":"times-three","inputs":[1]}');
    expect(answer.headers.get('server-timing')).toMatch(
      /^decode;dur=[\d.]+, queue;dur=[\d.]+, compute;dur=[\d.]+, transfer;dur=[\d.]+, encode;dur=[\d.]+, total;dur=[\d.]+$/,
    );
  });

  it('answers each kind of bad input with its code and names the field', async () => {
    const limits = { maxBodyBytes: 100_000, maxImagePixels: 1_000_000 };
    const { address } = await runningServer(['digits', 'dtypes', 'multi', 'times-three'], { limits });
    const cases: [body: string, status: number, code: string, message: RegExp, path?: string][] = [
      ['{"model":"digits"', 400, 'INVALID_JSON', /byte/],
      ['', 400, 'INVALID_JSON', /./],
      ['[1,2]', 400, 'INVALID_REQUEST', /JSON object/],
      ['{"inputs":[1]}', 400, 'INVALID_REQUEST', /does not name its model/],
      ['{"model":"times-three"}', 400, 'INVALID_REQUEST', /inputs/],
      ['{"model":"times-three","inputs":[1],"output":["y"]}', 400, 'INVALID_REQUEST', /output: is no field/, 'output'],
      ['{"model":"times-three","inputs":[1],"version":"1"}', 400, 'INVALID_REQUEST', /version: must be a number/, 'version'],
      ['{"model":"times-three","inputs":[1],"version":1,"label":"stable"}', 400, 'INVALID_REQUEST', /not both/],
      ['{"model":"times-thre","inputs":[1]}', 404, 'MODEL_NOT_FOUND', /times-three/, 'model'],
      ['{"model":"times-three","inputs":[1],"version":9}', 404, 'VERSION_NOT_FOUND', /9/, 'version'],
      ['{"model":"times-three","inputs":[1],"label":"stable"}', 404, 'LABEL_NOT_FOUND', /stable/, 'label'],
      ['{"model":"times-three","inputs":[1],"outputs":["z"]}', 400, 'OUTPUT_NOT_FOUND', /"z".*"y"/, 'outputs'],
      ['{"model":"times-three","inputs":[[1,2],[3]]}', 400, 'INVALID_TENSOR', /inputs/],
      ['{"model":"times-three","inputs":[1,"NaN"]}', 400, 'INVALID_TENSOR', /inputs\[1\]/, 'inputs[1]'],
      ['{"model":"times-three","inputs":["1"]}', 400, 'INVALID_TENSOR', /the text "1"; FP32 takes numbers/, 'inputs[0]'],
      ['{"model":"dtypes","inputs":{"int8":[1.5]}}', 400, 'INVALID_TENSOR', /1\.5 is not a whole number/, 'inputs.int8[0]'],
      ['{"model":"times-three","inputs":[1,NaN]}', 400, 'INVALID_JSON', /byte/],
      ['{"model":"times-three","inputs":[[1,2],[3,4]]}', 400, 'INPUT_MISMATCH', /\[2, 2\]/],
      ['{"model":"multi","inputs":[1,2]}', 400, 'INPUT_MISMATCH', /"a", "b"/],
      ['{"model":"multi","inputs":{"a":[[1,2]],"c":[[1,2]]}}', 400, 'INPUT_MISMATCH', /"c"/],
      ['{"model":"multi","inputs":{"a":[[1,2]]}}', 400, 'INPUT_MISMATCH', /inputs\.b is missing/, 'inputs.b'],
      [`{"model":"times-three","inputs":${'['.repeat(500)}1${']'.repeat(500)}}`, 400, 'INVALID_JSON', /deep/],
      ['{"model":"../etc","inputs":[1]}', 400, 'INVALID_REQUEST', /model/],
    ];
    for (const [body, status, code, message, path] of cases) {
      const failed = await failureOf(await post(address, '/predict', body));
      expect(failed, body).toMatchObject({ status, code });
      if (path !== undefined) expect(failed.details, body).toMatchObject([{ path }]);
      expect(failed.message, body).toMatch(message);
    }
    expect(await failureOf(await post(address, '/predict', 'a=1', 'application/x-www-form-urlencoded'))).toMatchObject({
      status: 415,
      code: 'UNSUPPORTED_MEDIA_TYPE',
    });
    expect(await failureOf(await post(address, '/predict?model=times-three', new Uint8Array(10), 'image/png'))).toMatchObject({
      status: 409,
      code: 'NO_PREPROCESSING',
    });
    expect(await failureOf(await post(address, '/predict?model=digits', new Uint8Array(10), 'image/png'))).toMatchObject({
      status: 400,
      code: 'INVALID_IMAGE',
    });
    // A few kilobytes that decode to sixteen megapixels.
    const bomb = await sharp({ create: { width: 4_000, height: 4_000, channels: 3, background: 'black' } })
      .png({ compressionLevel: 9 })
      .toBuffer();
    expect(await failureOf(await post(address, '/predict?model=digits', new Uint8Array(bomb), 'image/png'))).toMatchObject({
      status: 413,
      code: 'IMAGE_TOO_LARGE',
    });
    expect(await failureOf(await post(address, '/predict', new Uint8Array(100_001)))).toMatchObject({
      status: 413,
      code: 'BODY_TOO_LARGE',
    });
    expect(await failureOf(await post(address, '/nowhere', ''))).toMatchObject({ status: 404, code: 'ROUTE_NOT_FOUND' });
    const wrongMethod = await fetch(`${address}/predict`, { method: 'PUT' });
    expect(wrongMethod.headers.get('allow')).toBe('POST');
    expect(await failureOf(wrongMethod)).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED' });
    const after = await post(address, '/predict', '{"model":"times-three","inputs":[2]}');
    expect(await after.json()).toMatchObject({ outputs: { y: [6] } });
  });

  it('refuses a body over the limit by its declared length, before it is sent', async () => {
    const { address } = await runningServer(['times-three'], { limits: { maxBodyBytes: 1_000 } });
    const { port } = new URL(address);
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), '127.0.0.1');
      socket.write('POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 999999999999\r\n\r\n');
      socket.once('data', (chunk) => {
        resolve(chunk.toString());
        socket.destroy();
      });
      socket.once('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toContain('BODY_TOO_LARGE');
  });

  it('refuses a body over the limit whose length is not declared', async () => {
    const { address } = await runningServer(['times-three'], { limits: { maxBodyBytes: 1_000 } });
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(600));
        controller.enqueue(new Uint8Array(600));
        controller.close();
      },
    });
    const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body, duplex: 'half' } as RequestInit;
    expect(await failureOf(await fetch(`${address}/predict`, request))).toMatchObject({ status: 413, code: 'BODY_TOO_LARGE' });
  });
});
