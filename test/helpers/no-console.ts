import { afterEach, beforeEach, expect, vi } from 'vitest';

/*
 * Slipway's parts log through the logger that they are given. A test in which anything writes to the console fails:
 * a library that prints would print into a server's log.
 */
const METHODS = ['log', 'info', 'warn', 'error', 'debug'] as const;
const printed: unknown[][] = [];

beforeEach(() => {
  printed.length = 0;
  for (const method of METHODS) vi.spyOn(console, method).mockImplementation((...args: unknown[]) => void printed.push(args));
});

afterEach(() => {
  vi.restoreAllMocks();
  expect(printed, 'nothing is printed to the console').toEqual([]);
});
