import { z } from 'zod';

/*
 * What may be done to a model, and in which order. What each does is in `child/optimize/techniques`.
 */

/** The techniques with their options; each may be given by its name alone. */
export const techniqueSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('compile') }).describe('A TF.js layers model becomes one ONNX graph.'),
  z
    .strictObject({ kind: z.enum(['weights-uint8', 'weights-uint16', 'weights-float16']) })
    .describe('The files of a TF.js model hold fewer bits for each weight; it computes with FP32 as before.'),
]);

export type Technique = z.infer<typeof techniqueSchema>;
export type TechniqueKind = Technique['kind'];

interface Place {
  /** Lower ones are done first. */
  readonly stage: number;
  /** Of one group at most one is done to a model. */
  readonly group: string;
}

/** What the weights and the file are in the end. */
const FORM = { stage: 40, group: 'form' };

export const PLACES: Readonly<Record<TechniqueKind, Place>> = {
  compile: FORM,
  'weights-uint8': FORM,
  'weights-uint16': FORM,
  'weights-float16': FORM,
};

export const TECHNIQUE_KINDS = Object.keys(PLACES) as [TechniqueKind, ...TechniqueKind[]];

/** `{"kind":"int8"}` for `int8`, with every default. */
export function techniqueOf(asked: TechniqueKind | z.input<typeof techniqueSchema>): Technique {
  return techniqueSchema.parse(typeof asked === 'string' ? { kind: asked } : asked);
}
