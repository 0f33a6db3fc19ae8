import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { slipway } from '../helpers/cli.ts';
import { runningServer } from '../helpers/running-server.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

describe('slipway as a command', () => {
  it('lists its commands and says what each takes', async () => {
    const help = await slipway(['help']);
    expect(help.status).toBe(0);
    expect(help.out).toMatch(/^ {2}serve .*\n(.*\n)* {2}package /m);
    expect(await slipway(['package', '--help'])).toMatchObject({
      status: 0,
      out: expect.stringMatching(/^Usage: slipway package/) as string,
    });
    expect((await slipway(['serve', '--help'])).out).toContain('--grpc-port');
  });

  it('exits with 2 and the nearest name for a command that there is not, and for arguments it does not know', async () => {
    expect(await slipway(['packge'])).toEqual({
      status: 2,
      out: '',
      err: 'slipway: there is no command packge; did you mean package? slipway help lists all.\n',
    });
    for (const args of [[], ['seal'], ['verify'], ['verify', '--fast']]) {
      const { status, out, err } = await slipway(['package', ...args]);
      expect({ args, status, out }).toEqual({ args, status: 2, out: '' });
      expect(err).toMatch(/^slipway package: .*\nslipway package --help says what it takes\.\n$/);
    }
  });
});

describe('slipway package verify', () => {
  it('prints the files of packages that can be served, and exits with 1 when one is refused', async () => {
    const folder = await temporaryFolder();
    const good = join(folder, 'good');
    const changed = join(folder, 'changed');
    for (const each of [good, changed]) await cp('models/digits/1', each, { recursive: true });
    expect(await slipway(['package', 'verify', good])).toMatchObject({
      status: 0,
      err: '',
      out: expect.stringContaining('model.onnx') as string,
    });
    await writeFile(join(changed, 'model.onnx'), 'x', { flag: 'a' });
    const { status, out, err } = await slipway(['package', 'verify', changed, good, join(folder, 'none')]);
    expect(status).toBe(1);
    expect(out).toContain(`${good}: onnx`);
    expect(err).toMatch(/changed: DIGEST_MISMATCH: model\.onnx has the SHA-256 [^\n]*\n.*none: ENOENT/s);
  });
});

describe('slipway package export and import', () => {
  it('take a version from one server to another, to the same bytes', async () => {
    const [from, to] = [await runningServer(['digits']), await runningServer([])];
    const folder = await temporaryFolder();
    const run = (...args: string[]): ReturnType<typeof slipway> => slipway(['package', ...args], { cwd: folder });
    expect(await run('export', 'digits', '--server', from.address)).toMatchObject({
      status: 0,
      err: '',
      out: /^digits-1\.slip: version 1 of digits/,
    });
    const imported = await run('import', 'digits-1.slip', '--model', 'copied', '--version', '7', '--server', to.address);
    expect(imported).toEqual({ status: 0, err: '', out: 'copied version 7 is ready\n' });
    expect(await run('export', 'copied/7', '--out', 'again.slip', '--server', to.address)).toMatchObject({ status: 0 });
    const [one, other] = await Promise.all(['digits-1.slip', 'again.slip'].map((name) => readFile(join(folder, name))));
    expect(other!.equals(one!)).toBe(true);
    // A folder, and what one server has kept, are as good.
    expect(await run('import', join(from.models, 'digits/1'), '--model', 'copied', '--server', to.address)).toMatchObject({
      out: /version 8 is ready/,
    });
    expect(await run('export', 'copied', '--format', 'tar', '--server', to.address)).toMatchObject({ out: /^copied-8\.tar\.gz: / });

    expect(await run('export', 'copied', '--format', 'slip.zst', '--server', to.address)).toMatchObject({
      out: /^copied-8\.slip\.zst: version 8 of copied, \d+ bytes \(\d+ uncompressed, \d+\.\d\d times as many\)\n$/,
    });
    expect(await run('import', 'copied-8.slip.zst', '--model', 'copied', '--server', to.address)).toMatchObject({
      out: /version 9 is ready/,
    });

    const refusals = await Promise.all([
      run('export', 'nothing', '--server', to.address),
      run('import', 'digits-1.slip', '--model', 'copied', '--version', '7', '--server', to.address),
      run('import', 'digits-1.slip', '--model', 'x', '--server', 'http://127.0.0.1:1'),
      run('import', 'digits-1.slip', '--server', to.address),
      run('export', 'copied', '--format', 'zip', '--server', to.address),
    ]);
    expect(refusals.map(({ status, err }) => [status, err])).toEqual([
      [1, /^slipway package: MODEL_NOT_FOUND: /],
      [1, /^slipway package: VERSION_EXISTS: /],
      [1, /^slipway package: There is no answer from http:\/\/127\.0\.0\.1:1: /],
      [2, /--model names the model/],
      [2, /--format is one of slip, slip\.zst, tar, onnx/],
    ]);
    expect((await readdir(folder)).toSorted()).toEqual(['again.slip', 'copied-8.slip.zst', 'copied-8.tar.gz', 'digits-1.slip']);
  });
});
