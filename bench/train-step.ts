/*
 * Milliseconds of a training step with Adam in ONNX Runtime beside PyTorch: LeNet, an LSTM classifier and a Transformer
 * encoder over sequences of 64 steps. One graph and data parallel take turns with PyTorch, round by round; the medians of the
 * rounds' ratios count. A profile by ONNX Runtime tells where the time of a step as one graph goes.
 * Usage: node bench/train-step.ts [lenet|lstm|transformer|all=all] [rounds=5] [batch=64]; PYTHON names a Python with torch.
 */
import { profileOperators } from './lib/operator-profile.ts';
import { pytorchStepMs, WITHOUT_PYTORCH } from './lib/pytorch.ts';
import { median } from './lib/statistics.ts';
import { type BenchModelName, benchTraining, type Contender } from './lib/training-steps.ts';

const [which, rounds, batch] = [process.argv[2] ?? 'all', Number(process.argv[3] ?? 5), Number(process.argv[4] ?? 64)];
/** Of PyTorch, and of one graph. */
const THREADS = 2;
const PARTS = [2, 3, 4];
/** Steps of a round, so that each takes some tenths of a second. */
const STEPS: Readonly<Record<BenchModelName, number>> = { lenet: 100, lstm: 30, transformer: 4 };
/** Operators of the profile that are told. */
const TOLD = 12;

async function stepMs({ step }: Contender, from: number, steps: number): Promise<number> {
  const begun = performance.now();
  for (let count = 0; count < steps; count += 1) await step(from + count);
  return (performance.now() - begun) / steps;
}

async function measure(name: BenchModelName): Promise<void> {
  const steps = STEPS[name];
  const training = await benchTraining(name, batch);
  const contenders = [await training.whole(1), await training.whole(THREADS)];
  for (const parts of PARTS) contenders.push(await training.parallel(parts));
  const times = contenders.map((): number[] => []);
  const theirs: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    for (const [index, contender] of contenders.entries()) {
      const ms = await stepMs(contender, round * steps + 1, steps);
      // The first round warms up.
      if (round > 0) times[index]!.push(ms);
    }
    const other = round === 0 ? undefined : pytorchStepMs(name, { batch, steps, threads: THREADS });
    if (other !== undefined) theirs.push(other);
  }
  console.log(
    `${training.title}; batch ${batch}${theirs.length === 0 ? '' : `; PyTorch, ${THREADS} threads: ${median(theirs).toFixed(2)} ms`}`,
  );
  for (const [index, { name: contender, readyMs, compileMs }] of contenders.entries()) {
    const ratio = median(theirs.map((other, round) => other / times[index]![round]!));
    const beside = theirs.length === 0 ? '' : `, ${ratio.toFixed(2)}× PyTorch's rate`;
    const ready = `compiled in ${compileMs.toFixed(0)} ms, ready after ${readyMs.toFixed(0)}`;
    console.log(`  ${contender.padEnd(24)} ${median(times[index]!).toFixed(2).padStart(7)} ms${beside} (${ready})`);
  }
  if (theirs.length === 0) console.log(`  ${WITHOUT_PYTORCH}`);
  for (const { dispose } of contenders) await dispose();

  const { model, nodes, feeds } = training.profiled();
  console.log(`  One graph of ${nodes} nodes on ${THREADS} threads, by ONNX Runtime's profiler, which slows small nodes:`);
  const profile = await profileOperators(model, feeds, { threads: THREADS });
  for (const { operator, nodes: many, milliseconds, share } of profile.slice(0, TOLD)) {
    const percent = `${(share * 100).toFixed(0).padStart(3)} %`;
    console.log(`  ${operator.padEnd(20)} ${String(many).padStart(5)} nodes ${milliseconds.toFixed(3).padStart(8)} ms ${percent}`);
  }
}

for (const name of ['lenet', 'lstm', 'transformer'] as const) if (which === 'all' || which === name) await measure(name);
