import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import type { NamedTensors } from '../tensor/tensor.ts';
import type { LoadedModel, WarmUpOptions, WarmUpReport } from './engine.ts';
import { filledInputs } from './filled-inputs.ts';
import { failedOn, readRecordedRequests } from './recorded-requests.ts';

async function timed(model: LoadedModel, inputs: NamedTensors): Promise<number> {
  const startedAt = performance.now();
  await model.run(
    inputs,
    model.signature.outputs.map(({ name }) => name),
  );
  return performance.now() - startedAt;
}

async function runRecorded(model: LoadedModel, requests: readonly NamedTensors[]): Promise<WarmUpReport> {
  const times: number[] = [];
  for (const [index, inputs] of requests.entries()) {
    try {
      times.push(await timed(model, inputs));
    } catch (error) {
      throw failedOn(index, error);
    }
  }
  return { inputs: 'recorded', runs: times.length, firstMs: times[0]!, lastMs: times.at(-1)! };
}

/** Made-up inputs may be ones that no model of the kind takes, so their failure means nothing. */
async function runSynthetic(model: LoadedModel): Promise<WarmUpReport> {
  let problem = '';
  // Ones, since some native code ends the process where it divides integers by zero.
  for (const inputs of filledInputs(model.signature, 1)) {
    try {
      const firstMs = await timed(model, inputs);
      return { inputs: 'synthetic', runs: 2, firstMs, lastMs: await timed(model, inputs) };
    } catch (error) {
      problem ||= messageOf(error);
    }
  }
  return { inputs: 'synthetic', runs: 0, firstMs: 0, lastMs: 0, problem };
}

/**
 * Runs a model before its first request does: what is allocated and chosen at the first run is then there.
 * @returns undefined when there was nothing to do.
 * @throws SlipwayError WARM_UP_FAILED when a recorded request can't be read or fails, unless that is to be ignored.
 */
export async function warmUp(
  model: LoadedModel,
  { mode, onFailure, maxRequests, folder }: WarmUpOptions,
): Promise<WarmUpReport | undefined> {
  if (mode === 'off') return undefined;
  try {
    const recorded = await readRecordedRequests(folder, model.signature, maxRequests);
    if (recorded !== undefined) return await runRecorded(model, recorded);
    return mode === 'auto' && model.isTried !== true ? await runSynthetic(model) : undefined;
  } catch (error) {
    if (onFailure === 'refuse' || !(error instanceof SlipwayError)) throw error;
    return { inputs: 'recorded', runs: 0, firstMs: 0, lastMs: 0, problem: error.message };
  } finally {
    model.reset?.();
  }
}
