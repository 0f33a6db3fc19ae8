/**
 * What every ratio is measured against: a bare Fastify route that parses the same JSON and calls onnxruntime-node in
 * its own process. No checks, no queue, no isolation, one fixed model.
 */
import { fastify } from 'fastify';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [modelFile] = process.argv.slice(2);
if (modelFile === undefined) throw new Error('usage: baseline-server.ts MODEL.onnx');

const session = await InferenceSession.create(modelFile, { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 });
const inputName = session.inputNames[0]!;
const outputName = session.outputNames[0]!;

const app = fastify();
app.post('/predict', async (request) => {
  const { inputs } = request.body as { inputs: number[][][][] };
  const data = Float32Array.from(inputs.flat(3));
  const outputs = await session.run({ [inputName]: new Tensor('float32', data, [inputs.length, 1, 28, 28]) });
  const scores = Array.from(outputs[outputName]!.data as Float32Array);
  return { model: 'digits', version: 1, outputs: { [outputName]: [scores] } };
});
const address = await app.listen({ port: 0, host: '127.0.0.1' });
console.log(`listening on ${address}`);
process.once('SIGTERM', () => void app.close().then(() => process.exit(0)));
