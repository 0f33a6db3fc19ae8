import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { download } from '../../../src/native/download.ts';
import { readPipSettings } from '../../../src/native/pip-settings.ts';
import { type IndexFile, listFiles } from '../../../src/native/python-index.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

/** A server of this test's own; closed when it has finished. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const SHA256 = 'a'.repeat(64);

describe('a package index', () => {
  it('is read in its HTML form', async () => {
    const address = await serve((request, response) => {
      expect(request.url).toBe('/simple/tensorflow-cpu/');
      response.setHeader('content-type', 'text/html');
      response.end(`<!DOCTYPE html><html><body>
        <a href="../../files/a%2Bb.whl#sha256=${SHA256}" data-requires-python="&gt;=3.10">a+b.whl</a>
        <a href="https://files.example/c.whl?x=1&amp;y=2#sha256=${SHA256}" data-yanked="broken">c.whl</a>
        <a href="d.whl">d.whl</a></body></html>`);
    });
    expect(await listFiles([`${address}/simple`], 'TensorFlow_CPU')).toEqual([
      { name: 'a+b.whl', url: `${address}/files/a%2Bb.whl`, sha256: SHA256, isYanked: false, authorization: undefined },
      { name: 'c.whl', url: 'https://files.example/c.whl?x=1&y=2', sha256: SHA256, isYanked: true, authorization: undefined },
      { name: 'd.whl', url: `${address}/simple/tensorflow-cpu/d.whl`, sha256: undefined, isYanked: false, authorization: undefined },
    ]);
  });

  it('is read in its JSON form, with a password that only it is told', async () => {
    const address = await serve((request, response) => {
      if (request.headers.authorization !== `Basic ${Buffer.from('me:p@ss').toString('base64')}`) response.statusCode = 401;
      response.setHeader('content-type', 'application/vnd.pypi.simple.v1+json');
      response.end(
        JSON.stringify({
          files: [
            { filename: 'a.whl', url: 'a.whl', hashes: { sha256: SHA256 }, yanked: false },
            { filename: 'b.whl', url: 'https://elsewhere.example/b.whl', hashes: {}, yanked: 'reason' },
          ],
        }),
      );
    });
    const files = await listFiles([address.replace('://', '://me:p%40ss@')], 'x');
    expect(files).toMatchObject([
      { url: `${address}/x/a.whl`, sha256: SHA256, isYanked: false, authorization: expect.stringMatching(/^Basic /) as string },
      { sha256: undefined, isYanked: true, authorization: undefined },
    ]);
    await expect(listFiles([address], 'x')).rejects.toThrow(`answers 401 to ${address}/x/`);
  });

  it('may lack a project, and is named when it cannot be asked', async () => {
    const address = await serve((_request, response) => response.writeHead(404).end());
    expect(await listFiles([address], 'none')).toEqual([]);
    await expect(listFiles(['http://127.0.0.1:1/simple'], 'x')).rejects.toThrow(
      'The package index http://127.0.0.1:1/simple/x/ cannot be reached',
    );
  });
});

describe('a download', () => {
  const content = Buffer.from(Array.from({ length: 300_000 }, (_byte, index) => (index * 31) % 251));
  const sha256 = createHash('sha256').update(content).digest('hex');
  const quietly = { onProgress: () => {} };

  function fileAt(address: string, digest: string | undefined = sha256): IndexFile {
    return { name: 'w.whl', url: `${address}/w.whl`, sha256: digest, isYanked: false, authorization: undefined };
  }

  /** Serves the content by ranges and cuts the connection of the first answers after so many bytes. */
  function serveCutting(cuts: number[], ranges: (string | undefined)[]): Promise<string> {
    return serve((request, response) => {
      const { range } = request.headers;
      ranges.push(range);
      const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
      const headers = {
        'content-length': content.length - start,
        'content-range': `bytes ${start}-${content.length - 1}/${content.length}`,
      };
      response.writeHead(range === undefined ? 200 : 206, headers);
      const cut = cuts.shift();
      if (cut === undefined) response.end(content.subarray(start));
      else response.write(content.subarray(start, start + cut), () => response.destroy());
    });
  }

  it('goes on after its connection breaks', async () => {
    const target = join(await temporaryFolder(), 'downloads', 'w.whl');
    const ranges: (string | undefined)[] = [];
    await download(fileAt(await serveCutting([100_000, 50_000], ranges)), target, quietly);
    expect(await readFile(target)).toEqual(content);
    expect(ranges).toHaveLength(3);
    expect(ranges[0]).toBeUndefined();
    expect(ranges[2]).toMatch(/^bytes=\d{5,6}-$/);
  });

  it('goes on in a later run with what is half there', async () => {
    const target = join(await temporaryFolder(), 'w.whl');
    await writeFile(`${target}.part`, content.subarray(0, 123_456));
    const ranges: (string | undefined)[] = [];
    await download(fileAt(await serveCutting([], ranges)), target, quietly);
    expect(ranges).toEqual(['bytes=123456-']);
    expect(await readFile(target)).toEqual(content);
  });

  it('begins anew with a server that knows no ranges', async () => {
    const target = join(await temporaryFolder(), 'w.whl');
    await writeFile(`${target}.part`, 'something else');
    const address = await serve((_request, response) => response.end(content));
    await download(fileAt(address), target, quietly);
    expect(await readFile(target)).toEqual(content);
  });

  it('is thrown away when it is not what the index says', async () => {
    const target = join(await temporaryFolder(), 'w.whl');
    await writeFile(`${target}.part`, Buffer.alloc(1000, 1));
    const address = await serveCutting([], []);
    await expect(download(fileAt(address), target, quietly)).rejects.toThrow(/w\.whl has the SHA-256 \w+, and the package index states/);
    expect([existsSync(target), existsSync(`${target}.part`)]).toEqual([false, false]);
    await download(fileAt(address), target, quietly);
    expect(await readFile(target)).toEqual(content);
  });

  it('keeps what has come when it is interrupted', async () => {
    const target = join(await temporaryFolder(), 'w.whl');
    const interrupted = new AbortController();
    const address = await serve(
      (_request, response) => void response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, 1000)),
    );
    const ending = download(fileAt(address), target, { onProgress: () => interrupted.abort(), signal: interrupted.signal });
    await expect(ending).rejects.toThrow('Interrupted while w.whl was downloaded. What has come is kept');
    expect(existsSync(target)).toBe(false);
  });

  it('is refused without a digest, and keeps what has come when it cannot go on', async () => {
    const target = join(await temporaryFolder(), 'w.whl');
    await expect(download({ ...fileAt('http://127.0.0.1:1'), sha256: undefined }, target, quietly)).rejects.toThrow(
      'gives no SHA-256 of w.whl',
    );
    await writeFile(`${target}.part`, 'half');
    await expect(download(fileAt('http://127.0.0.1:1'), target, { ...quietly, retries: 1 })).rejects.toThrow(/What has come is kept/);
    expect(await readFile(`${target}.part`, 'utf8')).toBe('half');
  });
});

describe('the settings of pip', () => {
  it('come from its files and its variables, the variables first', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'pip.conf');
    await writeFile(
      file,
      '# ours\n[global]\nindex-url = http://one.example/simple\ncert: /etc/one.pem\n[download]\nextra-index-url =\n  http://two.example/simple\n  http://three.example/\n[list]\nformat = columns\n',
    );
    const env = { PIP_CONFIG_FILE: file, XDG_CONFIG_HOME: folder };
    expect(readPipSettings(env)).toEqual({
      indexes: ['http://one.example/simple', 'http://two.example/simple', 'http://three.example/'],
      cert: '/etc/one.pem',
      proxy: undefined,
    });
    expect(readPipSettings({ ...env, PIP_INDEX_URL: 'http://four.example', PIP_PROXY: 'http://proxy.example:3128' })).toMatchObject({
      indexes: ['http://four.example', 'http://two.example/simple', 'http://three.example/'],
      proxy: 'http://proxy.example:3128',
    });
    expect(readPipSettings({ PIP_CONFIG_FILE: '/dev/null' })).toEqual({ indexes: [], cert: undefined, proxy: undefined });
  });
});
