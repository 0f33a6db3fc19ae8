import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { tarOf } from '../helpers/archives.ts';
import { failureOf, post } from '../helpers/http.ts';
import { node, onnxModel } from '../helpers/onnx-model.ts';
import { runningServer } from '../helpers/running-server.ts';

const tokenizer = await readFile(new URL('../fixtures/tokenizers/wordpiece.json', import.meta.url));

/** A model that gives its inputs back, so that its answer shows what preprocessing made. */
const echo = onnxModel({
  inputs: [
    { name: 'input_ids', type: 'INT64', shape: ['batch', 'length'] },
    { name: 'attention_mask', type: 'INT64', shape: ['batch', 'length'] },
  ],
  outputs: [
    { name: 'ids', type: 'INT64', shape: ['batch', 'length'] },
    { name: 'mask', type: 'INT64', shape: ['batch', 'length'] },
  ],
  nodes: [node('Identity', ['input_ids'], ['ids']), node('Identity', ['attention_mask'], ['mask'])],
});

async function archiveWith(files: Readonly<Record<string, Buffer>>): Promise<Uint8Array<ArrayBuffer>> {
  const manifest = {
    preprocessing: {
      kind: 'text',
      input: 'input_ids',
      attentionMask: 'attention_mask',
      tokenizer: { kind: 'file', file: 'tokenizer.json' },
      maxLength: 8,
      padTo: 'longest',
    },
  };
  return new Uint8Array(await tarOf({ 'model.onnx': Buffer.from(echo), 'slipway.json': JSON.stringify(manifest), ...files }));
}

function upload(address: string, archive: Uint8Array<ArrayBuffer>): Promise<Response> {
  return post(address, '/models/words/versions', archive, 'application/x-tar');
}

function predict(address: string, inputs: unknown): Promise<Response> {
  return post(address, '/predict', JSON.stringify({ model: 'words', inputs }));
}

describe('predicting from texts', () => {
  it('takes texts, one text, and still tensors', async () => {
    const { address } = await runningServer([]);
    expect((await upload(address, await archiveWith({ 'tokenizer.json': tokenizer }))).status).toBe(201);
    expect(await (await predict(address, ['the whale!', ''])).json()).toMatchObject({
      outputs: {
        ids: [
          [2, 89, 382, 4, 3],
          [2, 3, 0, 0, 0],
        ],
        mask: [
          [1, 1, 1, 1, 1],
          [1, 1, 0, 0, 0],
        ],
      },
    });
    expect(await (await predict(address, 'the whale!')).json()).toMatchObject({ outputs: { ids: [[2, 89, 382, 4, 3]] } });
    expect(await (await predict(address, { input_ids: [[7]], attention_mask: [[1]] })).json()).toMatchObject({ outputs: { ids: [[7]] } });
  });

  it('does not publish a model without its tokenizer, and says of a broken one that it is', async () => {
    const { address } = await runningServer([]);
    expect(await failureOf(await upload(address, await archiveWith({})))).toMatchObject({
      status: 400,
      code: 'INVALID_MODEL',
      message: expect.stringContaining('tokenizer.json'),
    });
    expect((await upload(address, await archiveWith({ 'tokenizer.json': Buffer.from('{"model":1}') }))).status).toBe(201);
    expect(await failureOf(await predict(address, 'the whale!'))).toMatchObject({ status: 400, code: 'INVALID_MANIFEST' });
  });
});
