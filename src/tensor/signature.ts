import { z } from 'zod';
import { DTYPES } from './dtype.ts';

/** What a model says of one of its tensors. A dimension of -1 is any size; a shape of null is any rank. */
const tensorSpecSchema = z.object({
  name: z.string(),
  dtype: z.enum(DTYPES),
  shape: z.array(z.int()).nullable(),
});

export type TensorSpec = z.infer<typeof tensorSpecSchema>;

/** The inputs that a model needs and the outputs that it gives, in the model's own order. */
export const signatureSchema = z.object({
  inputs: z.array(tensorSpecSchema),
  outputs: z.array(tensorSpecSchema),
});

export type Signature = z.infer<typeof signatureSchema>;
