import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { filesOf } from '../../packages/pack.ts';
import { packSlip } from '../../packages/slip.ts';
import { type Terminal, UsageError } from '../command.ts';
import { checkedServer, DEFAULT_SERVER, headersOf } from '../server-arguments.ts';
import { createServerClient, type ServerClient } from '../server-client.ts';
import { sizeText, writeStream } from './write-stream.ts';

const SERVER_OPTIONS = {
  server: { type: 'string', default: DEFAULT_SERVER },
  header: { type: 'string', multiple: true, default: [] as string[] },
} as const;

/** The endings of what is downloaded, by its format; `tar` is the route's default. */
const ENDINGS = {
  slip: '.slip',
  'slip.zst': '.slip.zst',
  tar: '.tar.gz',
  onnx: '-onnx.tar.gz',
  safetensors: '-safetensors.tar.gz',
} as const;

function clientOf({ server, header }: { readonly server: string; readonly header: readonly string[] }): ServerClient {
  return createServerClient({ server: checkedServer(server), headers: headersOf(header) });
}

/** `slipway package import PATH --model NAME [--version N]` */
export async function importPackage(args: readonly string[], { out, interrupted: signal }: Terminal): Promise<number> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...SERVER_OPTIONS, model: { type: 'string' }, version: { type: 'string' } },
  });
  const [path, ...more] = positionals;
  if (path === undefined || more.length > 0) throw new UsageError('name one package or version folder');
  if (values.model === undefined) throw new UsageError('--model names the model that it is a version of');
  const client = clientOf(values);
  const body = (await stat(path)).isDirectory() ? packSlip(await filesOf(path)) : createReadStream(path);
  const query = values.version === undefined ? '' : `?version=${encodeURIComponent(values.version)}`;
  const { version, state } = await client.json<{ version: number; state: string }>(
    `/models/${encodeURIComponent(values.model)}/versions${query}`,
    {
      method: 'POST',
      headers: { 'content-type': path.endsWith('.onnx') ? 'application/onnx' : 'application/octet-stream' },
      body,
      signal,
    },
  );
  out.write(`${values.model} version ${version} is ${state}\n`);
  return 0;
}

/** `slipway package export NAME[/VERSION] [--format FORMAT] [--out FILE]` */
export async function exportPackage(args: readonly string[], { out, interrupted: signal }: Terminal): Promise<number> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...SERVER_OPTIONS, format: { type: 'string', default: 'slip' }, out: { type: 'string' } },
  });
  const [which, ...more] = positionals;
  if (which === undefined || more.length > 0) throw new UsageError('name one model, or model/version');
  const [model = '', asked] = which.split('/', 2);
  if (!Object.hasOwn(ENDINGS, values.format)) throw new UsageError(`--format is one of ${Object.keys(ENDINGS).join(', ')}`);
  const format = values.format as keyof typeof ENDINGS;
  const client = clientOf(values);
  const address = `/models/${encodeURIComponent(model)}`;
  const version = asked ?? (await client.json<{ defaultVersion?: number }>(address, { signal })).defaultVersion;
  if (version === undefined) throw new Error(`no version of ${model} answers now; name one, as in ${model}/1`);
  const target = values.out ?? `${model}-${version}${ENDINGS[format]}`;
  const query = format === 'tar' ? '' : `?format=${format}`;
  await writeStream(await client.send(`${address}/versions/${encodeURIComponent(version)}/package${query}`, { signal }), target);
  out.write(`${target}: version ${version} of ${model}, ${await sizeText(target)}\n`);
  return 0;
}
