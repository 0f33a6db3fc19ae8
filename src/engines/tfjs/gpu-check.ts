import type { NamedTensors } from '../../tensor/tensor.ts';
import { differenceOf, MAX_DIFFERENCE, variedInputs } from '../agreement.ts';
import { createExecution, type Execution } from './execution.ts';
import type { TfjsModel } from './tfjs-model.ts';

/** Inputs that are made up, and what the CPU answers. */
export interface Expected {
  readonly inputs: NamedTensors;
  readonly outputs: NamedTensors;
}

/** What a model answers on the backend that is active, on inputs of its kind that it takes; those that it does not are left out. */
export async function answersOf(model: TfjsModel): Promise<Expected[]> {
  const execute = createExecution(model);
  const names = model.signature.outputs.map(({ name }) => name);
  const expected: Expected[] = [];
  for (const inputs of variedInputs(model.signature)) {
    const outputs = await execute(inputs, names).catch(() => undefined);
    model.reset?.();
    if (outputs !== undefined) expected.push({ inputs, outputs });
  }
  return expected;
}

/** How far a GPU is from the CPU; undefined when it agrees. A driver, the software ones too, may have kernels that are wrong. */
export async function disagreement(execute: Execution, expected: readonly Expected[]): Promise<string | undefined> {
  for (const { inputs, outputs } of expected) {
    const found = await execute(inputs, [...outputs.keys()]);
    for (const [name, tensor] of outputs) {
      const difference = differenceOf(tensor, found.get(name)!);
      if (difference > MAX_DIFFERENCE) return `on test inputs its answers differ from those of the CPU by ${difference.toPrecision(2)}`;
    }
  }
  return undefined;
}
