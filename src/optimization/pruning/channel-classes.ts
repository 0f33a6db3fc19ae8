/** Channels that stand or fall together, as where a sum adds them up: disjoint sets with union by hanging trees. */
export interface ChannelClasses {
  /** New channels, each by itself; their ids follow each other. @returns the first id */
  create(count: number): number;
  /** Both become one. */
  join(one: number, other: number): void;
  /** The channel stays, and with it its class. */
  pin(channel: number): void;
  /** One channel that stands for its class. */
  rootOf(channel: number): number;
  isPinned(channel: number): boolean;
}

export function createChannelClasses(): ChannelClasses {
  const parents: number[] = [];
  const pinned: boolean[] = [];

  function rootOf(channel: number): number {
    let root = channel;
    while (parents[root] !== root) root = parents[root]!;
    // What was passed hangs on the root from now on.
    for (let each = channel; parents[each] !== root;) [each, parents[each]] = [parents[each]!, root];
    return root;
  }

  return {
    create(count) {
      const first = parents.length;
      for (let index = 0; index < count; index += 1) {
        parents.push(first + index);
        pinned.push(false);
      }
      return first;
    },
    join(one, other) {
      const [root, second] = [rootOf(one), rootOf(other)];
      parents[second] = root;
      pinned[root] ||= pinned[second]!;
    },
    pin(channel) {
      pinned[rootOf(channel)] = true;
    },
    rootOf,
    isPinned: (channel) => pinned[rootOf(channel)]!,
  };
}
