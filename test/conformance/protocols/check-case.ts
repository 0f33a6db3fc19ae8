import { differencesOf, outcomeOf } from './compare.ts';
import type { GoldenCase } from './golden-cases.ts';
import { ERROR_KINDS, type ErrorKind, type InferRequest, type Outcome, type Route, type Said } from './route.ts';

/** Whether a request means the same by this route. */
function takes(route: Route, request: InferRequest, needs: Said | undefined): boolean {
  return (needs === undefined || route.says.includes(needs)) && route.carries(request);
}

function told(outcome: Outcome): string {
  return 'outputs' in outcome ? 'outputs' : `status ${outcome.status} (${outcome.message})`;
}

/** What a route gets wrong in a golden case; undefined where the protocol has no form for it. */
export async function checkGolden(route: Route, { request, expected, needs }: GoldenCase): Promise<readonly string[] | undefined> {
  if (!takes(route, request, needs)) return undefined;
  const outcome = await outcomeOf(route, request);
  if ('kind' in expected) {
    const status = route.statuses[expected.kind];
    return 'status' in outcome && outcome.status === status ? [] : [`answers ${told(outcome)} and not by status ${status}`];
  }
  return 'outputs' in outcome ? differencesOf(expected.outputs, outcome.outputs) : [`answers ${told(outcome)} and not by outputs`];
}

function kindsOf(route: Route, status: number): ErrorKind[] {
  return ERROR_KINDS.filter((kind) => route.statuses[kind] === status);
}

/** Sends a request by every route that has a form for it. @returns in what the answers differ from that of the first. */
export async function checkAlike(
  routes: readonly Route[],
  request: InferRequest,
  needs: Said | undefined,
): Promise<{ readonly sent: readonly Route[]; readonly differences: string[] }> {
  const sent = routes.filter((route) => takes(route, request, needs));
  const outcomes = await Promise.all(sent.map((route) => outcomeOf(route, request)));
  const [reference, ...others] = outcomes;
  let kinds = reference !== undefined && 'status' in reference ? kindsOf(sent[0]!, reference.status) : [];
  const differences = others.flatMap((outcome, index) => {
    const route = sent[index + 1]!;
    const against = `${route.name} against ${sent[0]!.name}`;
    if ('outputs' in outcome && 'outputs' in reference!) {
      return differencesOf(reference.outputs, outcome.outputs).map((difference) => `${against}: ${difference}`);
    }
    if ('status' in outcome && 'status' in reference!) {
      kinds = kinds.filter((kind) => route.statuses[kind] === outcome.status);
      if (kinds.length > 0) return [];
    }
    return [`${against}: ${told(outcome)} and not ${told(reference!)}`];
  });
  if (reference !== undefined && 'status' in reference && kindsOf(sent[0]!, reference.status).length === 0) {
    differences.push(`${sent[0]!.name}: ${told(reference)} is no error of a client`);
  }
  return { sent, differences };
}
