import { z } from 'zod';
import type { BudgetDescription } from '../../registry/memory/tenant.ts';
import { defineRoute, json, type RouteDefinition } from '../http/route.ts';

const deviceMemory = z
  .object({
    device: z.string(),
    budgetBytes: z.int().optional().describe('The setting `memory.budgetBytes`; missing when there is no limit.'),
    usedBytes: z.int().describe('What the models take, measured from their processes, and what is set aside for loads under way.'),
    waiting: z.int().describe('Loads that wait for room.'),
    loads: z.int().describe('Since the server started.'),
    evictions: z.int().describe('Models that left to make room, or because they were not used.'),
    refusals: z.int().describe('Loads refused because the model does not fit.'),
    thrashing: z.boolean().describe('Models push each other out faster than they are used; each stays for longer then.'),
    models: z.array(
      z.object({
        name: z.string(),
        state: z.enum(['loading', 'loaded', 'leaving']),
        bytes: z.int().describe('Measured last; what is set aside for it while it loads.'),
        pinned: z.boolean(),
      }),
    ),
  })
  .meta({ id: 'DeviceMemory' });

const memoryAnswer = z.object({ devices: z.array(deviceMemory) });

const EXAMPLE: z.infer<typeof memoryAnswer> = {
  devices: [
    {
      device: 'cpu',
      budgetBytes: 400_000_000,
      usedBytes: 61_235_200,
      waiting: 0,
      loads: 5,
      evictions: 4,
      refusals: 0,
      thrashing: false,
      models: [{ name: 'digits/1', state: 'loaded', bytes: 61_235_200, pinned: false }],
    },
  ],
};

/** `GET /memory`: the budget of each device, and who holds how much of it. */
export function createMemoryRoutes(memory: () => BudgetDescription): RouteDefinition[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/memory',
      operationId: 'memory',
      tag: 'models',
      summary: 'The memory budget of each device, and which models hold how much of it.',
      responses: { 200: { description: 'Every device.', schema: memoryAnswer, example: EXAMPLE } },
      errors: [500],
      handle: async () => {
        const { limitBytes, residents, ...rest } = memory();
        return json(200, { devices: [{ ...(limitBytes !== undefined && { budgetBytes: limitBytes }), ...rest, models: residents }] });
      },
    }),
  ];
}
