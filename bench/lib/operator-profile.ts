import '../../scripts/no-telemetry.ts';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { sessionOptions } from '../../src/engines/onnx/session-options.ts';
import { toOrtValue } from '../../src/engines/onnx/values.ts';
import type { NamedTensors } from '../../src/tensor/tensor.ts';

interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  /** µs. */
  readonly dur: number;
  readonly args?: { readonly op_name?: string };
}

export interface OperatorTime {
  readonly operator: string;
  /** Nodes of it that one run computes. */
  readonly nodes: number;
  /** Milliseconds of one run. */
  readonly milliseconds: number;
  /** Of the time of all operators. */
  readonly share: number;
}

/** Where the time of a run goes, by ONNX Runtime's own profiler, the slowest operators first. Profiling itself slows short nodes. */
export async function profileOperators(
  model: Uint8Array,
  feeds: NamedTensors,
  { threads, runs = 20 }: { readonly threads: number; readonly runs?: number },
): Promise<readonly OperatorTime[]> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-profile-'));
  try {
    const session = await InferenceSession.create(model, {
      ...sessionOptions(threads),
      enableProfiling: true,
      profileFilePrefix: join(folder, 'profile'),
    });
    const values = Object.fromEntries([...feeds].map(([name, tensor]) => [name, toOrtValue(name, tensor)]));
    for (let run = 0; run < runs; run += 1) await session.run(values);
    session.endProfiling();
    await session.release();
    const [file] = readdirSync(folder);
    const events = JSON.parse(readFileSync(join(folder, file!), 'utf8')) as ProfileEvent[];
    const totals = new Map<string, { nodes: number; micros: number }>();
    for (const { cat, name, dur, args } of events) {
      if (cat !== 'Node' || !name.endsWith('_kernel_time')) continue;
      const operator = args?.op_name ?? name;
      // Its time is that of the nodes of its body, which are listed themselves.
      if (operator === 'Scan') continue;
      const total = totals.get(operator) ?? { nodes: 0, micros: 0 };
      totals.set(operator, { nodes: total.nodes + 1, micros: total.micros + dur });
    }
    const all = [...totals.values()].reduce((sum, { micros }) => sum + micros, 0);
    return [...totals]
      .map(([operator, { nodes, micros }]) => ({
        operator,
        nodes: Math.round(nodes / runs),
        milliseconds: micros / runs / 1_000,
        share: micros / all,
      }))
      .toSorted((one, other) => other.milliseconds - one.milliseconds);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
