import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import type { z } from 'zod';
import { checkSchema, findingText } from '../errors/check-schema.ts';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import { createDigests, type DigestOf } from './file-digest.ts';
import { checkSignature, type TrustedKeys } from './signature.ts';
import { replaceFile } from './replace-file.ts';
import { detectFormat, type ModelFormat } from './formats.ts';
import {
  MODEL_MANIFEST_FILE,
  type ModelManifest,
  modelManifestSchema,
  VERSION_MANIFEST_FILE,
  type VersionManifest,
  versionManifestSchema,
} from './manifest.ts';

/** What a version folder holds, read and checked. */
export interface VersionFolder {
  readonly format: ModelFormat;
  readonly manifest: VersionManifest;
  /** Bytes of all files. */
  readonly bytes: number;
  /** Paths inside the folder, with `/`, sorted. */
  readonly files: readonly string[];
  /** The public key of who has signed it, in base64; undefined when nobody has. */
  readonly signedBy: string | undefined;
}

/** Manifests are written by people; one larger than this is something else. */
const MAX_MANIFEST_BYTES = 1024 * 1024;

/** Reads a JSON file by its schema; undefined when there is no such file. */
async function readManifest<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const name = basename(file);
  let text: string;
  try {
    if ((await stat(file)).size > MAX_MANIFEST_BYTES)
      throw new SlipwayError('INVALID_MANIFEST', `${name} is larger than ${MAX_MANIFEST_BYTES} bytes.`);
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SlipwayError('INVALID_MANIFEST', `${name} is not valid JSON: ${messageOf(error)}.`);
  }
  const checked = checkSchema(schema, value);
  if ('data' in checked) return checked.data;
  const { findings } = checked;
  throw new SlipwayError('INVALID_MANIFEST', `${name}: ${findingText(findings[0])}.`, { details: findings });
}

async function checkDigests(digestOf: DigestOf, manifest: VersionManifest, files: readonly string[]): Promise<void> {
  for (const [name, expected] of Object.entries(manifest.files ?? {})) {
    if (!files.includes(name))
      throw new SlipwayError('INVALID_MODEL', `${VERSION_MANIFEST_FILE} lists ${name}, which is not in the version folder.`);
    const found = await digestOf(name);
    if (found !== expected)
      throw new SlipwayError('DIGEST_MISMATCH', `${name} has the SHA-256 ${found}; ${VERSION_MANIFEST_FILE} states ${expected}.`);
  }
}

function checkTokenizer({ preprocessing }: VersionManifest, files: readonly string[]): void {
  if (preprocessing?.kind !== 'text' || preprocessing.tokenizer.kind !== 'file' || files.includes(preprocessing.tokenizer.file)) return;
  throw new SlipwayError(
    'INVALID_MODEL',
    `${VERSION_MANIFEST_FILE} names the tokenizer ${preprocessing.tokenizer.file}, which is not in the version folder.`,
  );
}

function checkEvaluation({ evaluation }: VersionManifest, files: readonly string[]): void {
  if (evaluation === undefined || files.includes(evaluation.file)) return;
  throw new SlipwayError(
    'INVALID_MODEL',
    `${VERSION_MANIFEST_FILE} names the evaluation set ${evaluation.file}, which is not in the version folder.`,
  );
}

/**
 * Reads and checks a version folder: its manifest, its format, the digests of the files that the manifest lists, its
 * signature. Every version comes through here before it is loaded, however it has come to be on the disk.
 * @param trusted whose signature it must have; left out where it needs none
 * @throws SlipwayError INVALID_MODEL, INVALID_MANIFEST, DIGEST_MISMATCH, INVALID_SIGNATURE, UNTRUSTED_PACKAGE, ENGINE_UNAVAILABLE
 */
export async function readVersionFolder(folder: string, trusted?: TrustedKeys): Promise<VersionFolder> {
  const root = await realpath(folder);
  const files: string[] = [];
  let bytes = 0;
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(root, path).replaceAll(sep, '/');
    if (entry.isSymbolicLink() && !(await realpath(path)).startsWith(root + sep)) {
      throw new SlipwayError('INVALID_MODEL', `${name} is a symbolic link that leads out of the version folder.`);
    }
    const status = await stat(path);
    if (!status.isFile()) continue;
    files.push(name);
    bytes += status.size;
  }
  files.sort();
  const manifest = await readVersionManifest(root);
  const format = await detectFormat(root);
  checkTokenizer(manifest, files);
  checkEvaluation(manifest, files);
  // A file that both the manifest and the signature name is read once.
  const digestOf = createDigests(root);
  await checkDigests(digestOf, manifest, files);
  const signedBy = await checkSignature(root, trusted, digestOf);
  return { format, manifest, bytes, files, signedBy };
}

/** The manifest of a version; an empty one when there is none. @throws SlipwayError INVALID_MANIFEST */
export async function readVersionManifest(folder: string): Promise<VersionManifest> {
  return (await readManifest(join(folder, VERSION_MANIFEST_FILE), versionManifestSchema)) ?? {};
}

/** The settings of a model; the defaults when it has no manifest. @throws SlipwayError INVALID_MANIFEST */
export async function readModelManifest(modelFolder: string): Promise<ModelManifest> {
  return (await readManifest(join(modelFolder, MODEL_MANIFEST_FILE), modelManifestSchema)) ?? modelManifestSchema.parse({});
}

/** Replaces the settings of a model as a whole: whoever reads the file sees the old or the new one. */
export async function writeModelManifest(modelFolder: string, manifest: ModelManifest): Promise<void> {
  const file = join(modelFolder, MODEL_MANIFEST_FILE);
  await replaceFile({
    path: file,
    draft: `${file}.${process.pid}.tmp`,
    write: (handle) => handle.writeFile(`${JSON.stringify(manifest, null, 2)}\n`),
    whenFull: 'The disk is full; the model’s settings were not changed.',
  });
}
