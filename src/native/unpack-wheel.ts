import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '../errors/slipway-error.ts';
import { entryParts } from '../packages/entry-names.ts';
import { openZip, type Zip } from '../packages/zip.ts';
import { InstallError } from './install-error.ts';

/** What of TensorFlow's wheel is needed to run: the two libraries that have its C interface. */
const LIBRARY = /^tensorflow\/libtensorflow_(cc|framework)\.so\.\d+$/;
/** And to build: the headers of that interface, which lie below these in one version or another. */
const HEADER = /^tensorflow\/include\/((tensorflow\/)?(c|tsl|core\/platform)|xla\/tsl)\/.*\.h$/;
/** What of NVIDIA's wheels is needed. */
const CUDA_LIBRARY = /^nvidia\/[^/]+\/lib\/[^/]+\.so(\.\d+)*$/;
const METADATA = /^[^/]+\.dist-info\/METADATA$/;

export function isHeader(name: string): boolean {
  return HEADER.test(name);
}

/** What was taken out of a wheel. */
export interface Unpacked {
  /** Bytes of each file, by its path in the wheel. */
  readonly files: Readonly<Record<string, number>>;
  /** Its METADATA, which says what else it needs. */
  readonly metadata: string;
}

async function unpack(zip: Zip, target: string, wanted: readonly RegExp[]): Promise<Unpacked> {
  const files: Record<string, number> = {};
  let metadata = '';
  for await (const { name, bytes, open } of zip.entries()) {
    if (METADATA.test(name)) metadata = await text(await open());
    if (!wanted.some((pattern) => pattern.test(name))) continue;
    const file = join(target, ...entryParts(name));
    await mkdir(dirname(file), { recursive: true });
    await pipeline(await open(), createWriteStream(file));
    files[name] = bytes;
  }
  return { files, metadata };
}

async function unpackFile(wheel: string, target: string, wanted: readonly RegExp[]): Promise<Unpacked> {
  let zip: Zip | undefined;
  try {
    zip = await openZip(wheel);
    return await unpack(zip, target, wanted);
  } catch (error) {
    throw new InstallError(`${wheel} cannot be read as a wheel: ${messageOf(error)}`);
  } finally {
    zip?.close();
  }
}

/** Takes the libraries and headers out of a wheel of TensorFlow. @throws InstallError when they are not in it. */
export async function unpackTensorFlow(wheel: string, target: string): Promise<Unpacked> {
  const unpacked = await unpackFile(wheel, target, [LIBRARY, HEADER]);
  const libraries = Object.keys(unpacked.files).filter((name) => LIBRARY.test(name));
  if (libraries.length < 2)
    throw new InstallError(`${wheel} does not hold TensorFlow’s libraries (libtensorflow_cc and libtensorflow_framework).`);
  return unpacked;
}

/** Takes the libraries out of a wheel of NVIDIA. */
export function unpackCuda(wheel: string, target: string): Promise<Unpacked> {
  return unpackFile(wheel, target, [CUDA_LIBRARY]);
}

/** The CUDA packages that a wheel of TensorFlow asks for, each with the versions that fit, e.g. `<13.0,>=12.5.3.2`. */
export function cudaRequirements(metadata: string): { readonly project: string; readonly versions: string }[] {
  const lines = metadata.matchAll(/^Requires-Dist:\s*(nvidia-[\w-]+)\s*\(?([^;)]*)\)?\s*;[^\n]*extra == ["']and-cuda["']/gim);
  return [...lines].map(([, project = '', versions = '']) => ({ project, versions: versions.trim() }));
}
