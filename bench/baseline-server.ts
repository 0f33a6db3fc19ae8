/**
 * What every ratio is measured against: a bare Fastify route that parses the same JSON, or takes the same numbers as
 * bytes, and calls onnxruntime-node in its own process. No checks, no queue, no isolation, one fixed model.
 */
import '../scripts/no-telemetry.ts';
import { fastify } from 'fastify';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [modelFile] = process.argv.slice(2);
if (modelFile === undefined) throw new Error('usage: baseline-server.ts MODEL.onnx');

const session = await InferenceSession.create(modelFile, { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 });
const inputName = session.inputNames[0]!;
const outputName = session.outputNames[0]!;
const IMAGE_VALUES = 28 * 28;

async function run(data: Float32Array): Promise<Float32Array> {
  const outputs = await session.run({ [inputName]: new Tensor('float32', data, [data.length / IMAGE_VALUES, 1, 28, 28]) });
  return outputs[outputName]!.data as Float32Array;
}

const app = fastify();
app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
app.post('/predict', async (request) => {
  const { inputs } = request.body as { inputs: number[][][][] };
  const scores = Array.from(await run(Float32Array.from(inputs.flat(3))));
  return { model: 'digits', version: 1, outputs: { [outputName]: [scores] } };
});
app.post('/predict-binary', async (request, reply) => {
  const bytes = Uint8Array.from(request.body as Buffer);
  const scores = await run(new Float32Array(bytes.buffer));
  reply.type('application/octet-stream');
  return Buffer.from(scores.buffer, scores.byteOffset, scores.byteLength);
});
const address = await app.listen({ port: 0, host: '127.0.0.1' });
console.log(`listening on ${address}`);
process.once('SIGTERM', () => void app.close().then(() => process.exit(0)));
