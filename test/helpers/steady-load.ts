import { Agent, request } from 'node:http';
import { onTestFinished, vi } from 'vitest';

export interface SteadyLoad {
  /** Answers so far: `200`, `503 RUNNER_CRASHED`, or `no answer: ECONNRESET`. */
  readonly outcomes: ReadonlyMap<string, number>;
  /** Clients that were not let in any more, which is no failure of an accepted request. */
  readonly turnedAway: number;
  /** Waits for so many more answers of a kind. */
  more(outcome: string, count: number): Promise<void>;
  /** Ends it once what is under way is answered. */
  stop(): Promise<ReadonlyMap<string, number>>;
}

/**
 * Clients that send one predict after the other until the test ends, each on a connection of its own, for as long as the
 * server lets it. One that gets no new connection any more ends.
 * @param path e.g. `/models/digits/predict`.
 */
export function steadyLoad(address: string, path: string, body: string, clients = 8): SteadyLoad {
  const outcomes = new Map<string, number>();
  let turnedAway = 0;
  let stopped = false;

  function ask(agent: Agent): Promise<string | undefined> {
    return new Promise((resolve) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const asked = request(`${address}${path}`, { method: 'POST', agent, headers }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        answer.once('error', (error) => resolve(`no whole answer: ${error.message}`));
        answer.once('end', () => {
          const { error } = JSON.parse(text) as { error?: { code: string } };
          resolve(error === undefined ? String(answer.statusCode) : `${answer.statusCode} ${error.code}`);
        });
      });
      asked.once('error', (error: NodeJS.ErrnoException) => {
        const isNew = !asked.reusedSocket;
        resolve(isNew && ['ECONNREFUSED', 'ECONNRESET'].includes(error.code ?? '') ? undefined : `no answer: ${error.code}`);
      });
      asked.end(body);
    });
  }

  async function client(): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!stopped) {
      const outcome = await ask(agent);
      if (outcome === undefined) {
        turnedAway += 1;
        break;
      }
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      // A client that is refused at once would otherwise leave the server no time to do anything else.
      if (outcome !== '200') await new Promise((resolve) => setTimeout(resolve, 5));
    }
    agent.destroy();
  }

  const running = Promise.all(Array.from({ length: clients }, client));

  async function stop(): Promise<ReadonlyMap<string, number>> {
    stopped = true;
    await running;
    return outcomes;
  }
  onTestFinished(() => void stop());

  return {
    outcomes,
    get turnedAway() {
      return turnedAway;
    },
    async more(outcome, count) {
      const wanted = (outcomes.get(outcome) ?? 0) + count;
      await vi.waitFor(
        () => {
          if ((outcomes.get(outcome) ?? 0) < wanted) throw new Error(`not so many ${outcome} yet: ${JSON.stringify([...outcomes])}`);
        },
        { timeout: 30_000, interval: 5 },
      );
    },
    stop,
  };
}
