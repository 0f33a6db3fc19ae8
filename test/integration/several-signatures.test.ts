import { describe, expect, it } from 'vitest';
import { grpcClient } from '../helpers/grpc.ts';
import { post } from '../helpers/http.ts';
import { NEEDS_TENSORFLOW, tensorflowFolder } from '../helpers/native-tensorflow.ts';
import { runningServer } from '../helpers/running-server.ts';

const MODEL = 'times-three-saved';

async function ask(address: string, body: object): Promise<unknown> {
  return (await post(address, `/v1/models/${MODEL}:predict`, JSON.stringify(body))).json();
}

describe.skipIf(tensorflowFolder === undefined)(`a SavedModel with several signatures (${NEEDS_TENSORFLOW})`, () => {
  it('answers by each of them, side by side, and by serving_default when none is named', async () => {
    const { address } = await runningServer([MODEL]);
    expect(await ask(address, { inputs: [1, 2] })).toEqual({ outputs: [3, 6] });
    expect(await ask(address, { signature_name: 'serving_default', inputs: [1, 2] })).toEqual({ outputs: [3, 6] });
    expect(await ask(address, { signature_name: 'halve', inputs: [1, 2] })).toEqual({ outputs: [0.5, 1] });
    const many = await Promise.all(
      Array.from({ length: 40 }, (_each, at) => ask(address, { ...(at % 2 === 1 && { signature_name: 'halve' }), inputs: [at] })),
    );
    expect(many).toEqual(many.map((_each, at) => ({ outputs: [at % 2 === 1 ? at / 2 : at * 3] })));
    expect(await ask(address, { signature_name: 'double', inputs: [1] })).toMatchObject({
      error: expect.stringContaining('no signature "double"; it has "serving_default", "halve"') as string,
    });
  });

  it('keeps apart in the response cache what they answer', async () => {
    const { address } = await runningServer([MODEL], { responseCache: { maxBytes: 1_000_000 } });
    for (let time = 0; time < 2; time += 1) {
      expect(await ask(address, { inputs: [4] })).toEqual({ outputs: [12] });
      expect(await ask(address, { signature_name: 'halve', inputs: [4] })).toEqual({ outputs: [2] });
    }
  });

  it('tells all of them, by REST and gRPC', async () => {
    const { address, server } = await runningServer([MODEL]);
    const metadata = (await (await fetch(`${address}/v1/models/${MODEL}/metadata`)).json()) as {
      metadata: { signature_def: { signature_def: object } };
    };
    expect(Object.keys(metadata.metadata.signature_def.signature_def)).toEqual(['serving_default', 'halve']);
    const grpcAddress = server.addresses.find((each) => !each.startsWith('http'))!;
    const client = grpcClient(grpcAddress, 'tensorflow_serving.proto', 'tensorflow.serving.PredictionService');
    const answer = await client.call('Predict', {
      model_spec: { name: MODEL, signature_name: 'halve' },
      inputs: { x: { dtype: 'DT_FLOAT', tensor_shape: { dim: [{ size: 1 }] }, float_val: [9] } },
    });
    expect(answer).toMatchObject({ model_spec: { signature_name: 'halve' }, outputs: { half: { float_val: [4.5] } } });
  });
});
