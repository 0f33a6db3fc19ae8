import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';

export const MODEL_FILE = 'model.json';

const weightSchema = z.looseObject({
  name: z.string(),
  shape: z.array(z.int().nonnegative()),
  dtype: z.enum(['float32', 'int32', 'bool', 'string', 'complex64']),
  quantization: z
    .looseObject({ dtype: z.enum(['uint8', 'uint16', 'float16']), scale: z.number().optional(), min: z.number().optional() })
    .optional(),
});

const objectSchema = z.record(z.string(), z.unknown());

/** The envelope of a TF.js `model.json`; what tfjs itself checks is left to it. */
const modelFileSchema = z.looseObject({
  modelTopology: objectSchema,
  weightsManifest: z.array(z.looseObject({ paths: z.array(z.string().min(1)), weights: z.array(weightSchema) })),
  signature: objectSchema.nullish(),
  userDefinedMetadata: objectSchema.nullish(),
  modelInitializer: objectSchema.nullish(),
  initializerSignature: objectSchema.nullish(),
});

export type WeightSpec = z.infer<typeof weightSchema>;
export type ModelFile = z.infer<typeof modelFileSchema>;

/**
 * Reads and checks `model.json` of a version folder.
 * @throws SlipwayError INVALID_MODEL with the field and what is wrong.
 */
export async function readModelFile(folder: string): Promise<ModelFile> {
  let text: string;
  try {
    text = await readFile(join(folder, MODEL_FILE), 'utf8');
  } catch (error) {
    throw new SlipwayError('INVALID_MODEL', `${MODEL_FILE} is missing or cannot be read.`, { cause: error });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new SlipwayError('INVALID_MODEL', `${MODEL_FILE} is not valid JSON: ${messageOf(error)}`, { cause: error });
  }
  const parsed = modelFileSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const details = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
  const [first] = details;
  const where = first === undefined || first.path === '' ? '' : `${first.path}: `;
  throw new SlipwayError('INVALID_MODEL', `${MODEL_FILE} is no TF.js model. ${where}${first?.message ?? ''}`, { details });
}

/** A TF.js model's own files, by their paths in the version folder. */
export function filesOfModel({ weightsManifest }: ModelFile): string[] {
  return [MODEL_FILE, ...weightsManifest.flatMap(({ paths }) => paths)];
}
