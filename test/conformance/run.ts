/**
 * The conformance suite against any server: golden cases and a differential fuzz over every route, then malformed
 * requests of each protocol. docs/conformance.md says what the server must serve.
 *
 * Usage: node test/conformance/run.ts --http URL [--grpc HOST:PORT] [--cases N] [--malformed N] [--seed N] [--only PROTOCOL]
 */
import { parseArgs } from 'node:util';
import { checkGolden } from './protocols/check-case.ts';
import { type FuzzReport, fuzzAlike, fuzzMalformed } from './protocols/fuzz.ts';
import { GOLDEN_CASES } from './protocols/golden-cases.ts';
import { openMalformed } from './protocols/malformed/open.ts';
import { openRoutes } from './protocols/routes/routes.ts';

const { values } = parseArgs({
  options: {
    http: { type: 'string', default: 'http://127.0.0.1:8080' },
    grpc: { type: 'string' },
    cases: { type: 'string', default: '2000' },
    malformed: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const target = { http: values.http, ...(values.grpc !== undefined && { grpc: values.grpc }) };
const seed = Number(values.seed);
const isWanted = ({ protocol }: { readonly protocol: string }): boolean => values.only === undefined || values.only === protocol;
let failed = 0;

function tell(title: string, { cases, requests, failures }: FuzzReport, startedAt: number): void {
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  const sent = [...requests.values()].reduce((sum, each) => sum + each, 0);
  console.log(`${title}: ${cases} cases, ${sent} requests, ${failures.length} failures, ${seconds} s`);
  for (const failure of failures) console.log(`  ${failure}`);
  failed += failures.length;
}

const { routes, close } = openRoutes(target);
for (const route of routes.filter(isWanted)) {
  const startedAt = performance.now();
  const failures: string[] = [];
  let cases = 0;
  for (const golden of GOLDEN_CASES) {
    const found = await checkGolden(route, golden);
    if (found === undefined) continue;
    cases += 1;
    failures.push(...found.map((each) => `${golden.name}: ${each}`));
  }
  tell(`golden, ${route.name}`, { cases, requests: new Map([[route.name, cases]]), failures }, startedAt);
}
if (values.only === undefined) {
  const startedAt = performance.now();
  tell('differential fuzz', await fuzzAlike(routes, { seed, cases: Number(values.cases) }), startedAt);
}
close();

const malformed = openMalformed(target);
for (const source of malformed.sources.filter(isWanted)) {
  const startedAt = performance.now();
  const report = await fuzzMalformed(source, { seed, cases: Number(values.malformed) });
  tell(`malformed, ${source.protocol}`, report, startedAt);
  console.log(`  ${[...report.requests].map(([status, count]) => `${status}: ${count}`).join(', ')}`);
}
malformed.close();
process.exitCode = failed === 0 ? 0 : 1;
