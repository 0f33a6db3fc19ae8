import { z } from 'zod';
import type { Devices } from '../../devices/device.ts';
import type { EngineHere } from '../../devices/engines-here.ts';
import { DEVICE_KINDS, type DeviceKind } from '../../engines/engine.ts';
import type { ModelDescription } from '../../registry/types.ts';
import { choiceAnswer, encodeChoice } from './schemas.ts';
import { defineRoute, json, type RouteDefinition } from '../http/route.ts';

const bytes = z.int().nonnegative();

const device = z
  .object({
    id: z
      .string()
      .describe(
        '`cpu`; `cuda:0` for NVIDIA’s first GPU; `webgpu:0` for the one that WebGPU takes, which may be the same, or one in software.',
      ),
    kind: z.enum(DEVICE_KINDS),
    name: z.string().describe('As the manufacturer calls it.'),
    driver: z.string().optional().describe('Version of the driver of a GPU.'),
    cores: z.int().optional().describe('Of a CPU: those that the server may use.'),
    memory: z
      .object({
        totalBytes: bytes.optional().describe('All of it; the limit of a container, where there is one.'),
        usedByUsBytes: bytes.optional().describe('By the server and every process that it has started.'),
        usedByOthersBytes: bytes.optional(),
        budgetBytes: bytes
          .optional()
          .describe('What models may take of it: the setting `memory.budgetBytes`, of a GPU `devices.gpuBudgetBytes`.'),
      })
      .describe('What is not told is missing: WebGPU knows no total, and of its users only those that are models of tfjs here.'),
    models: z.array(
      z.object({
        model: z.string(),
        version: z.int(),
        engine: z.string(),
        backend: z.string(),
        reason: z.string().describe('What the engine says of its backend and device.'),
        choice: choiceAnswer.optional(),
      }),
    ),
  })
  .meta({ id: 'Device' });

const engine = z
  .object({
    engine: z.string(),
    backends: z.array(
      z.object({
        backend: z.string(),
        device: z.enum(DEVICE_KINDS),
        available: z.boolean().optional().describe('Missing where only a try can tell.'),
        reason: z.string().describe('What it is, or why it is not there.'),
      }),
    ),
  })
  .meta({ id: 'EngineHere' });

const devicesAnswer = z.object({
  devices: z.array(device),
  withoutGpu: z.string().optional().describe('Why no GPU is listed.'),
  engines: z.array(engine),
});

const EXAMPLE: z.infer<typeof devicesAnswer> = {
  devices: [
    {
      id: 'cpu',
      kind: 'cpu',
      name: 'AMD EPYC 9B14',
      cores: 2,
      memory: { totalBytes: 8_330_000_000, usedByUsBytes: 165_000_000, usedByOthersBytes: 1_210_000_000 },
      models: [
        { model: 'digits', version: 1, engine: 'onnx', backend: 'cpu', reason: 'The engine onnx, the only one for the format onnx.' },
      ],
    },
  ],
  withoutGpu: 'There is no nvidia-smi, which comes with the driver of NVIDIA’s GPUs.',
  engines: [{ engine: 'onnx', backends: [{ backend: 'cpu', device: 'cpu', available: true, reason: 'ONNX Runtime’s CPU provider.' }] }],
};

export interface DeviceRouteOptions {
  readonly devices: () => Promise<Devices>;
  readonly engines: () => readonly EngineHere[];
  readonly models: () => readonly ModelDescription[];
  /** What models may take of the memory of a kind of device; undefined for no limit. */
  readonly budgetOf: (kind: DeviceKind) => number | undefined;
  /** What the models on a kind of device take of its memory, as their libraries tell; undefined where they do not. */
  readonly modelBytesOn: (kind: DeviceKind) => number | undefined;
}

/** The versions in memory that run on a kind of device; each library takes the first GPU. */
function modelsOn(id: string, models: readonly ModelDescription[]): z.infer<typeof device>['models'] {
  const kind = id.replace(/:0$/, '');
  return models.flatMap(({ name, versions }) =>
    versions.flatMap(({ version, state, loaded }) =>
      state === 'ready' && loaded?.device === kind
        ? [
            {
              model: name,
              version,
              engine: loaded.engine,
              backend: loaded.backend,
              reason: loaded.reason,
              ...(loaded.choice && { choice: encodeChoice(loaded.choice) }),
            },
          ]
        : [],
    ),
  );
}

function definedOnly(memory: Readonly<Record<string, number | undefined>>): z.infer<typeof device>['memory'] {
  return Object.fromEntries(Object.entries(memory).filter(([, value]) => value !== undefined));
}

/** `GET /devices`: what there is to run on, who uses it, and what each engine could use. */
export function createDeviceRoutes({ devices, engines, models, budgetOf, modelBytesOn }: DeviceRouteOptions): RouteDefinition[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/devices',
      operationId: 'devices',
      tag: 'models',
      summary: 'The devices of the machine, who uses their memory, and what each engine can compute on.',
      responses: { 200: { description: 'Every device and engine.', schema: devicesAnswer, example: EXAMPLE } },
      errors: [500],
      handle: async () => {
        const found = await devices();
        const described = models();
        return json(200, {
          devices: found.devices.map(({ driver, cores, memory, ...rest }) => ({
            ...rest,
            ...(driver !== undefined && { driver }),
            ...(cores !== undefined && { cores }),
            memory: definedOnly({ usedByUsBytes: modelBytesOn(rest.kind), ...memory, budgetBytes: budgetOf(rest.kind) }),
            models: modelsOn(rest.id, described),
          })),
          ...(found.withoutGpu !== undefined && { withoutGpu: found.withoutGpu }),
          engines: engines().map(({ engine: name, backends }) => ({
            engine: name,
            backends: backends.map(({ available, ...each }) => ({ ...each, ...(available !== undefined && { available }) })),
          })),
        });
      },
    }),
  ];
}
