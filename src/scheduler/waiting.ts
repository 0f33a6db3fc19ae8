/** What the order of waiting requests depends on. */
export interface Waiter {
  /** Lower ones come first. */
  readonly priority: number;
  /** Whoever sent it; empty when that does not matter. */
  readonly client: string;
  /** In the unit of the cost line. */
  readonly size: number;
  /** True once it does not wait any more; it is passed over and forgotten. */
  gone: boolean;
}

/**
 * Requests that wait: by priority, inside a priority by turns among the clients, and of one client first in, first out.
 * So a client that sends a thousand requests delays another's first one by one of its own, not by a thousand.
 */
export interface Waiting<T extends Waiter> {
  readonly count: number;
  /** Sum of the sizes. */
  readonly size: number;
  add(waiter: T): void;
  /** Takes one out that does not wait any more. */
  remove(waiter: T): void;
  /** The next in order; undefined when none waits. */
  peek(): T | undefined;
  /**
   * Takes requests out in order. `choose` says of each whether to take it, to leave it where it is, or to stop there.
   * @param mostLooked no more than so many are looked at.
   */
  take(choose: (waiter: T) => Choice, mostLooked: number): T[];
  /** The size of what would come before one more request of this priority and client. */
  sizeBefore(priority: number, client: string): number;
  /**
   * The request to give up when there is room for one less, or undefined when a new one of this priority and client is
   * it: the last one of the client with the most, in the lowest priority.
   */
  leastDeserving(priority: number, client: string): T | undefined;
  [Symbol.iterator](): Iterator<T>;
}

export type Choice = 'take' | 'leave' | 'stop';

interface Line<T> {
  readonly client: string;
  readonly waiters: T[];
  /** Those before it are gone. */
  head: number;
  count: number;
  size: number;
}

interface Level<T> {
  readonly priority: number;
  /** In order of their next turns. A Map keeps it, and finds a client's line. */
  readonly lines: Map<string, Line<T>>;
  size: number;
}

/** The front of a line is cut off once it is so long, and half of it. */
const COMPACT_FROM = 64;
/** With more clients than this, turns are not counted one by one to tell how long a request will wait. */
const MOST_COUNTED_CLIENTS = 64;

function first<T extends Waiter>(line: Line<T>): T | undefined {
  while (line.head < line.waiters.length && line.waiters[line.head]!.gone) line.head += 1;
  if (line.head >= COMPACT_FROM && 2 * line.head >= line.waiters.length) {
    line.waiters.splice(0, line.head);
    line.head = 0;
  }
  return line.waiters[line.head];
}

export function createWaiting<T extends Waiter>(): Waiting<T> {
  /** Ascending by priority. */
  const levels: Level<T>[] = [];
  let count = 0;
  let size = 0;

  function levelOf(priority: number): Level<T> {
    let at = 0;
    while (at < levels.length && levels[at]!.priority < priority) at += 1;
    const found = levels[at];
    if (found?.priority === priority) return found;
    const level: Level<T> = { priority, lines: new Map(), size: 0 };
    levels.splice(at, 0, level);
    return level;
  }

  function leave(level: Level<T>, line: Line<T>, waiter: T): void {
    waiter.gone = true;
    line.count -= 1;
    line.size -= waiter.size;
    level.size -= waiter.size;
    count -= 1;
    size -= waiter.size;
    if (line.count > 0) return;
    level.lines.delete(line.client);
    if (level.lines.size === 0) levels.splice(levels.indexOf(level), 1);
  }

  /** One round of turns after the other over the lines of a level, until `visit` ends it or no line has any more. */
  function visitByTurns(level: Level<T>, visit: (line: Line<T>, waiter: T) => boolean): boolean {
    let cursors = [...level.lines.values()].map((line) => {
      first(line);
      return { line, at: line.head };
    });
    while (cursors.length > 0) {
      for (const cursor of cursors) {
        const { line } = cursor;
        while (line.waiters[cursor.at]?.gone === true) cursor.at += 1;
        const waiter = line.waiters[cursor.at];
        cursor.at += 1;
        if (waiter !== undefined && !visit(line, waiter)) return false;
      }
      cursors = cursors.filter(({ line, at }) => at < line.waiters.length);
    }
    return true;
  }

  return {
    get count() {
      return count;
    },
    get size() {
      return size;
    },
    add(waiter) {
      const level = levelOf(waiter.priority);
      const { lines } = level;
      let line = lines.get(waiter.client);
      if (line === undefined) lines.set(waiter.client, (line = { client: waiter.client, waiters: [], head: 0, count: 0, size: 0 }));
      line.waiters.push(waiter);
      line.count += 1;
      line.size += waiter.size;
      level.size += waiter.size;
      count += 1;
      size += waiter.size;
    },
    remove(waiter) {
      const level = levels.find(({ priority }) => priority === waiter.priority);
      const line = level?.lines.get(waiter.client);
      if (level !== undefined && line !== undefined && !waiter.gone) leave(level, line, waiter);
    },
    peek() {
      const [level] = levels;
      const [line] = level?.lines.values() ?? [];
      return line === undefined ? undefined : first(line);
    },
    take(choose, mostLooked) {
      const taken: T[] = [];
      let looked = 0;
      for (const level of levels.slice()) {
        const served = new Set<Line<T>>();
        const goOn = visitByTurns(level, (line, waiter) => {
          looked += 1;
          const choice = choose(waiter);
          if (choice === 'take') {
            taken.push(waiter);
            served.add(line);
            leave(level, line, waiter);
          }
          return choice !== 'stop' && looked < mostLooked;
        });
        // Whoever had a turn is last in line for the next one.
        if (level.lines.size > 1) {
          for (const line of served) if (level.lines.delete(line.client)) level.lines.set(line.client, line);
        }
        if (!goOn) break;
      }
      return taken;
    },
    sizeBefore(priority, client) {
      let before = 0;
      for (const level of levels) {
        if (level.priority > priority) break;
        const { lines } = level;
        if (level.priority < priority || lines.size === 1 || lines.size > MOST_COUNTED_CLIENTS) {
          before += level.size;
          continue;
        }
        // By turns, the others are served as often as this client, once more with a request like those that they have.
        const own = lines.get(client)?.size ?? 0;
        for (const line of lines.values()) before += line.client === client ? own : Math.min(line.size, own + line.size / line.count);
      }
      return before;
    },
    leastDeserving(priority, client) {
      const level = levels.at(-1);
      if (level === undefined || level.priority < priority) return undefined;
      let greediest: Line<T> | undefined;
      for (const line of level.lines.values()) if (greediest === undefined || line.count > greediest.count) greediest = line;
      if (greediest === undefined) return undefined;
      const own = level.lines.get(client)?.count ?? 0;
      if (level.priority === priority && (greediest.client === client || greediest.count <= own + 1)) return undefined;
      return greediest.waiters.findLast((waiter) => !waiter.gone);
    },
    *[Symbol.iterator]() {
      for (const { lines } of levels) {
        for (const line of lines.values()) yield* line.waiters.filter((waiter) => !waiter.gone);
      }
    },
  };
}
