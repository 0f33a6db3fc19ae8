import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { runCommand } from '../../src/cli/run-command.ts';
import { nameOf, variantTable } from '../../src/cli/optimize/variant-table.ts';
import { runningServer } from '../helpers/running-server.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

async function run(args: readonly string[]): Promise<{ status: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const status = await runCommand(['optimize', ...args], COMMANDS, {
    out: { write: (text) => void (out += text), isTTY: false, columns: 80 },
    err: { write: (text) => void (err += text), isTTY: false, columns: 80 },
    env: process.env,
    interrupted: new AbortController().signal,
  });
  return { status, out, err };
}

async function specFile(spec: unknown): Promise<string> {
  const file = join(await temporaryFolder(), 'spec.json');
  await writeFile(file, JSON.stringify(spec));
  return file;
}

const SPEC = { model: 'digits', techniques: ['float16', 'compile'], limits: { slowdown: 1_000 } };

describe('slipway optimize', () => {
  it('submits to a server, tells of every variant, and ends with a table and what was published', async () => {
    const { address } = await runningServer(['digits']);
    const { status, out, err } = await run([await specFile(SPEC), '--server', address]);
    expect(status, err).toBe(0);
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toBe('evaluation.npz of the version: {"evaluation":1600,"calibration":400,"fineTuning":0} rows');
    expect(lines.slice(1, 3)).toEqual(['float16: accepted', 'compile: inapplicable; it is an ONNX model already']);
    expect(lines).toContainEqual(expect.stringMatching(/^digits\/1, onnx cpu +\d+\.\d kB +1: .* ms +32: .* ms +9\d\.\d\d %$/));
    expect(lines).toContainEqual(expect.stringMatching(/^float16 \* .*÷ 1\.9\d\).* published$/));
    expect(lines.at(-1)).toBe('Published as version 2 of digits.');
  });

  it('leaves a job to the server, follows it in lines of JSON, and cancels it', async () => {
    const { address } = await runningServer(['digits']);
    const detached = await run([await specFile({ ...SPEC, techniques: ['compile'] }), '--server', address, '--detach']);
    const id = detached.out.trim();
    const followed = await run(['--follow', id, '--server', address, '--json']);
    expect(followed.status).toBe(0);
    const values = followed.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event?: { type: string }; job?: { id: string } });
    expect(values.filter(({ event }) => event?.type === 'variant')).toHaveLength(1);
    expect(values.at(-1)!.job!.id).toBe(id);
    expect(await run(['--cancel', id, '--server', address])).toMatchObject({ status: 0, err: `The job ${id} is succeeded.\n` });
  });

  it('says what is wrong, with the status that fits', async () => {
    const { address } = await runningServer(['digits']);
    const unknown = await run([await specFile({ ...SPEC, model: 'none' }), '--server', address]);
    expect(unknown.status).toBe(1);
    expect(unknown.err).toContain('MODEL_NOT_FOUND');
    for (const [args, text] of [
      [[], 'a spec is missing'],
      [['one.json', '--follow', 'two'], 'one spec, or --follow'],
      [['one.json', '--server', 'ftp://x'], '--server takes an address'],
    ] as const) {
      const { status, err } = await run(args);
      expect(status).toBe(2);
      expect(err).toContain(text);
    }
  });
});

describe('the table of variants', () => {
  it('has a row for each, and below the reasons', () => {
    const parent = { model: 'm', version: 3, engine: 'onnx cpu', sizeBytes: 2_000_000, accuracy: 0.99, latencies: [{ batch: 1, ms: 0.5 }] };
    const pruned = {
      techniques: [{ kind: 'prune-filters', share: 0.5 }, { kind: 'int8' }],
      reasons: [],
      onFront: true,
      verdict: 'published',
    };
    const measurement = {
      sizeBytes: 250_000,
      sizeRatio: 8,
      accuracy: 0.985,
      latencies: [{ batch: 1, ms: 0.25, speedup: 2 }],
      comparison: { accuracyDrop: 0.005, agreement: 0.99, pValue: 0.25 },
    };
    const refused = { techniques: [{ kind: 'compile' }], reasons: ['of no use'], onFront: false, verdict: 'refused' };
    expect(nameOf(pruned)).toBe('prune-filters 0.5 + int8');
    expect(variantTable(parent, [{ ...pruned, measurement }, refused])).toEqual([
      'variant                     size               time by batch         accuracy  agreement  p     verdict',
      'm/3, onnx cpu               2.00 MB            1: 0.500 ms           99.00 %',
      'prune-filters 0.5 + int8 *  250.0 kB (÷ 8.00)  1: 0.250 ms (÷ 2.00)  98.50 %   99.00 %    0.25  published',
      'compile                                                                                         refused',
      '* on the Pareto front',
      '',
      'compile: of no use',
    ]);
  });
});
