import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import type { OptimizeRequest, ParentResult, TryRequest, TryResult } from '../../../src/jobs/optimization/result.ts';
import { searchVariants } from '../../../src/jobs/optimization/search-variants.ts';
import { optimizeSpecSchema } from '../../../src/jobs/optimization/spec.ts';
import { createTriesFile } from '../../../src/jobs/optimization/tries-file.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

/** A search in a folder of its own, with a fake in place of the processes that make and measure variants. */
async function searched(run: (request: TryRequest) => Promise<TryResult>, { folder = '', minutes = 60 } = {}) {
  const spec = optimizeSpecSchema.parse({ model: 'm', techniques: ['weights-uint8', 'weights-float16'], budget: { tries: 2, minutes } });
  const own = folder === '' ? await temporaryFolder() : folder;
  const defects: unknown[] = [];
  const result = await searchVariants({
    request: { spec: { ...spec, version: 1 }, folder: own, parentFolder: join(own, 'parent') } as OptimizeRequest,
    measured: { parent: {} } as ParentResult,
    tries: await createTriesFile(join(own, 'tries.json')),
    report: () => {},
    run,
    defect: (error) => defects.push(error),
  });
  return { ...result, defects, folder: own };
}

const fail = (code: 'INTERNAL' | 'TECHNIQUE_INAPPLICABLE' | 'STORAGE_FULL') => async () => {
  throw new SlipwayError(code, `It is ${code}.`);
};

describe('the search for variants', () => {
  it('goes on after a variant that failed by a defect, and tells of the defect', async () => {
    const { rows, defects } = await searched(fail('INTERNAL'));
    expect(rows.map(({ verdict, reasons }) => [verdict, reasons])).toEqual([
      ['failed', ['It is INTERNAL.']],
      ['failed', ['It is INTERNAL.']],
    ]);
    expect(defects).toHaveLength(2);
  });

  it('tells of no defect where a technique is none for the model, and ends where there is no room', async () => {
    const { rows, defects } = await searched(fail('TECHNIQUE_INAPPLICABLE'));
    expect(rows.map(({ verdict }) => verdict)).toEqual(['inapplicable', 'inapplicable']);
    expect(defects).toEqual([]);
    await expect(searched(fail('STORAGE_FULL'))).rejects.toMatchObject({ code: 'STORAGE_FULL' });
  });

  it('counts the minutes of earlier attempts at the job', async () => {
    const { folder, rows } = await searched(fail('TECHNIQUE_INAPPLICABLE'));
    const file = join(folder, 'tries.json');
    const { rows: tried, spentMs } = JSON.parse(await readFile(file, 'utf8')) as { rows: unknown[]; spentMs: number };
    expect(tried).toHaveLength(rows.length);
    expect(spentMs).toBeGreaterThan(0);
    // As after a restart: one variant is measured, and the time is up.
    await writeFile(file, JSON.stringify({ rows: tried.slice(0, 1), spentMs: 60_001 }));
    const again = await searched(fail('INTERNAL'), { folder, minutes: 1 });
    expect(again.rows).toHaveLength(1);
    expect(again.untried).toEqual([[{ kind: 'weights-float16' }]]);
  });
});
