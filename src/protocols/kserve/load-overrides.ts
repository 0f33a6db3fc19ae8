import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { checkSchema, findingText } from '../../errors/check-schema.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { createEntryWriter, type UnpackLimits } from '../../packages/entry-writer.ts';
import { type ModelManifest, versionSchema } from '../../packages/manifest.ts';
import type { Registry } from '../../registry/types.ts';
import type { Parameters } from './parameters.ts';

export interface LoadOverridesOptions {
  readonly registry: Registry;
  /** Folder of versions under way; on the file system of the model repository. */
  readonly incomingFolder: string;
  readonly limits: UnpackLimits;
}

/** What a load request says beside the model's name. */
export interface LoadOverrides {
  readonly versionPolicy: ModelManifest['versionPolicy'] | undefined;
  /** Files by their version and their path inside its folder. */
  readonly files: ReadonlyMap<number, ReadonlyMap<string, Buffer>>;
}

const NONE: LoadOverrides = { versionPolicy: undefined, files: new Map() };

/** Versions of a policy are 64-bit integers, which JSON made from the protocol's messages writes as text. */
const count = z
  .union([
    z.int(),
    z
      .string()
      .regex(/^[0-9]+$/)
      .transform(Number),
  ])
  .pipe(versionSchema);

const versionPolicy = z.union([
  z.strictObject({ all: z.object({}) }).transform(() => 'all' as const),
  z
    .strictObject({ latest: z.strictObject({ num_versions: count.default(1) }) })
    .transform(({ latest }) => ({ latest: latest.num_versions })),
  z.strictObject({ specific: z.strictObject({ versions: z.array(count).min(1) }) }).transform(({ specific }) => specific),
]);

const ignored = z.unknown().optional();

/** Of Triton's ModelConfig, what Slipway has, and what the file of the model says by itself and is not read here. */
const modelConfig = z.strictObject({
  name: z.string().optional(),
  version_policy: versionPolicy.optional(),
  platform: ignored,
  backend: ignored,
  runtime: ignored,
  default_model_filename: ignored,
  max_batch_size: ignored,
  input: ignored,
  output: ignored,
  instance_group: ignored,
  dynamic_batching: ignored,
  optimization: ignored,
  parameters: ignored,
  model_transaction_policy: ignored,
});

function invalid(parameter: string, problem: string): SlipwayError {
  return new SlipwayError('INVALID_REQUEST', `The parameter "${parameter}" ${problem}.`, {
    details: [{ path: `parameters.${parameter}`, message: problem }],
  });
}

function readConfig(model: string, text: unknown): LoadOverrides['versionPolicy'] {
  if (typeof text !== 'string') throw invalid('config', 'must be a model configuration as JSON text');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('config', 'must be a model configuration as JSON text');
  }
  const checked = checkSchema(modelConfig, value);
  if (!('data' in checked)) throw invalid('config', `is not a configuration that Slipway takes: ${findingText(checked.findings[0])}`);
  const { data } = checked;
  if (data.name !== undefined && data.name !== '' && data.name !== model)
    throw invalid('config', `is that of another model, "${data.name}"`);
  return data.version_policy;
}

function readFile(parameter: string, value: unknown): Buffer {
  // Bytes over gRPC; over REST the text of their base64 form.
  if (Buffer.isBuffer(value)) return value;
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/\s]*=*\s*$/.test(value))
    throw invalid(parameter, 'must be the content of the file in base64');
  return Buffer.from(value, 'base64');
}

/**
 * Reads the parameters `config` and `file:<version>/<path>` of a load request; others are left alone.
 * @throws SlipwayError INVALID_REQUEST
 */
export function readLoadOverrides(model: string, parameters: Parameters): LoadOverrides {
  const entries = Object.entries(parameters);
  if (entries.length === 0) return NONE;
  const files = new Map<number, Map<string, Buffer>>();
  let policy: LoadOverrides['versionPolicy'];
  for (const [name, value] of entries) {
    if (name === 'config') policy = readConfig(model, value);
    if (!name.startsWith('file:')) continue;
    const { version, path } = /^file:(?<version>[1-9][0-9]{0,14})\/(?<path>.+)$/s.exec(name)?.groups ?? {};
    if (version === undefined || path === undefined) throw invalid(name, 'must name a file of a version, as in "file:1/model.onnx"');
    const ofVersion = files.get(Number(version)) ?? new Map<string, Buffer>();
    files.set(Number(version), ofVersion.set(path, readFile(name, value)));
  }
  return { versionPolicy: policy, files };
}

/**
 * Publishes the versions that a load request brings, as an upload does, and keeps its version policy. Unlike Triton's,
 * they are in the repository from then on, and they never take the place of a version that is there.
 * @throws SlipwayError VERSION_EXISTS and what else `Registry.publish` throws; nothing is kept of a version that is refused.
 */
export async function applyLoadOverrides(model: string, overrides: LoadOverrides, options: LoadOverridesOptions): Promise<void> {
  const { registry, incomingFolder, limits } = options;
  for (const [version, files] of overrides.files) {
    const folder = join(incomingFolder, randomUUID());
    try {
      const writer = createEntryWriter(folder, limits);
      for (const [path, content] of files) await writer.write(path, Readable.from([content]), content.length);
      await registry.publish(model, version, folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  if (overrides.versionPolicy !== undefined) await registry.setVersionPolicy(model, overrides.versionPolicy);
}
