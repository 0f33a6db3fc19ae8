import { describe, expect, it } from 'vitest';
import { createMutex } from '../../../src/concurrency/mutex.ts';
import { createSemaphore } from '../../../src/concurrency/semaphore.ts';

describe('createSemaphore', () => {
  it('lets in no more than its limit, the others in order', async () => {
    const semaphore = createSemaphore(2);
    const order: number[] = [];
    const release = await semaphore.acquire();
    await semaphore.acquire();
    const third = semaphore.acquire().then((give) => (order.push(3), give));
    const fourth = semaphore.acquire().then((give) => (order.push(4), give));
    await Promise.resolve();
    expect(order).toEqual([]);
    release();
    release(); // a second time gives no second place
    const releaseThird = await third;
    expect(order).toEqual([3]);
    releaseThird();
    await fourth;
    expect(order).toEqual([3, 4]);
  });
});

describe('createMutex', () => {
  it('runs tasks one after the other, also after one that failed', async () => {
    const mutex = createMutex();
    const gate = Promise.withResolvers<void>();
    const order: string[] = [];
    const first = mutex.run(async () => {
      order.push('first starts');
      await gate.promise;
      order.push('first ends');
      throw new Error('first fails');
    });
    const second = mutex.run(async () => void order.push('second'));
    expect(mutex.idle).toBe(false);
    gate.resolve();
    await expect(first).rejects.toThrow('first fails');
    await second;
    expect(order).toEqual(['first starts', 'first ends', 'second']);
    expect(mutex.idle).toBe(true);
  });
});
