import { z } from 'zod';
import { ENGINE_NAMES } from '../../engines/engine.ts';
import { CATALOGUE, type ErrorCode } from '../../errors/catalogue.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import { signatureSchema } from '../../tensor/signature.ts';
import type { ChildMessage } from '../messages.ts';

const CODES = Object.keys(CATALOGUE) as [ErrorCode, ...ErrorCode[]];

const idSchema = z.int().nonnegative();

const errorSchema = z.object({
  code: z.enum(CODES),
  message: z.string(),
  details: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

const tensorHeaderSchema = z.object({
  name: z.string(),
  dtype: z.enum(DTYPES),
  shape: z.array(z.int().nonnegative()),
  bytes: z.int().nonnegative(),
});

const loadedSchema = z.object({
  signature: signatureSchema,
  signatures: z.record(z.string(), signatureSchema).optional(),
  engine: z.enum(ENGINE_NAMES),
  backend: z.string(),
  device: z.string(),
  reason: z.string(),
  memoryBytes: z.int().positive(),
  deviceBytes: z.int().nonnegative().optional(),
  warmUp: z
    .object({
      inputs: z.enum(['recorded', 'synthetic']),
      runs: z.int().nonnegative(),
      firstMs: z.number().nonnegative(),
      lastMs: z.number().nonnegative(),
      problem: z.string().optional(),
    })
    .optional(),
});

const childMessageSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('result'), id: idSchema, computeNs: z.int().nonnegative(), tensors: z.array(tensorHeaderSchema) }),
  z.object({ kind: z.literal('error'), id: idSchema, error: errorSchema }),
  z.object({ kind: z.literal('pong'), id: idSchema, memoryBytes: z.int().nonnegative(), deviceBytes: z.int().nonnegative().optional() }),
  z.object({ kind: z.literal('hello'), protocol: z.int() }),
  z.object({ kind: z.literal('loaded'), info: loadedSchema }),
  z.object({ kind: z.literal('load-failed'), error: errorSchema }),
  z.object({ kind: z.literal('fatal'), message: z.string() }),
]);

/** Checks the header of a frame from a runner. @throws Error that names the first field that is wrong. */
export function readChildMessage(json: unknown): ChildMessage {
  const result = childMessageSchema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new Error(`its message does not follow the runner protocol: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
}
