/*
 * The names of a `TrainerState`, the same for every engine: a training that one engine has begun another can end.
 * Arrays lie as Keras lays the weight out.
 */

const WEIGHT = 'weight/';

export function weightState(weight: string): string {
  return WEIGHT + weight;
}

export function isWeightState(name: string): boolean {
  return name.startsWith(WEIGHT);
}

/** @param slot of the optimizer's memory, as `update-rules.ts` names it */
export function slotState(slot: string, weight: string): string {
  return `optimizer/${slot}/${weight}`;
}
