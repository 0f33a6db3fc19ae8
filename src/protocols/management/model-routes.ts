import type { z } from 'zod';
import type { InferenceStatistics } from '../../inference/statistics.ts';
import { readVersionManifest } from '../../packages/read-version.ts';
import type { Registry } from '../../registry/types.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { parseJson } from '../../tensor/json-scanner.ts';
import { toPlain } from '../../tensor/plain-json.ts';
import { checkInput } from '../http/check-input.ts';
import { defineRoute, json, type RouteDefinition } from '../http/route.ts';
import { labelParams, modelParams, versionParams } from '../http/path-params.ts';
import { LINEAGE_EXAMPLE, MODEL_EXAMPLE, VERSION_EXAMPLE } from './examples.ts';
import { encodeModel, encodeVersion, labelBody, lineageAnswer, modelAnswer, modelList, versionAnswer } from './schemas.ts';

type ModelParams = z.infer<typeof modelParams>;
type VersionParams = z.infer<typeof versionParams>;

type LabelParams = z.infer<typeof labelParams>;

const LABEL_BODY_BYTES = 4_096;

function describeRoutes(registry: Registry, statistics: InferenceStatistics): RouteDefinition[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/models',
      operationId: 'listModels',
      tag: 'models',
      summary: 'List the models of the repository.',
      responses: { 200: { description: 'All models, by name.', schema: modelList, example: { models: [MODEL_EXAMPLE] } } },
      errors: [500],
      handle: async () => json(200, { models: registry.list().map((model) => encodeModel(model)) }),
    }),
    defineRoute<ModelParams>({
      method: 'GET',
      path: '/models/{name}',
      operationId: 'describeModel',
      tag: 'models',
      summary: 'Describe a model: its versions, their states and latencies, and the engine and device that answer.',
      params: modelParams,
      responses: { 200: { description: 'The model.', schema: modelAnswer, example: MODEL_EXAMPLE } },
      errors: [400, 404, 500],
      handle: async ({ params: { name } }) =>
        json(
          200,
          encodeModel(registry.describe(name), (version) => statistics.of(name, version)),
        ),
    }),
    defineRoute<VersionParams>({
      method: 'GET',
      path: '/models/{name}/versions/{version}',
      operationId: 'describeVersion',
      tag: 'models',
      summary: 'Describe one version of a model.',
      params: versionParams,
      responses: { 200: { description: 'The version.', schema: versionAnswer, example: VERSION_EXAMPLE } },
      errors: [400, 404, 500],
      handle: async ({ params: { name, version } }) =>
        json(200, encodeVersion(registry.describeVersion(name, version), statistics.of(name, version))),
    }),
    defineRoute<VersionParams>({
      method: 'GET',
      path: '/models/{name}/versions/{version}/lineage',
      operationId: 'describeLineage',
      tag: 'models',
      summary: 'Tell where a version comes from: data, code, spec, seed, job.',
      description:
        'It lies in the version’s slipway.json, so a package keeps it wherever it is uploaded. How rollouts of the version ended lies in slipway-model.json. LINEAGE_NOT_FOUND when there is neither.',
      params: versionParams,
      responses: { 200: { description: 'The lineage.', schema: lineageAnswer, example: LINEAGE_EXAMPLE } },
      errors: [400, 404, 500],
      handle: async ({ params: { name, version } }) => {
        // From the folder: a version that is not loaded has a lineage, too.
        const { metrics, lineage } = await readVersionManifest(registry.folderOf(name, version));
        const decided = registry
          .describe(name)
          .decisions.filter(({ candidate, baseline }) => candidate === version || baseline === version);
        const rollouts = decided.length === 0 ? undefined : decided;
        if (lineage !== undefined || rollouts !== undefined) return json(200, { model: name, version, metrics, rollouts, lineage });
        throw new SlipwayError('LINEAGE_NOT_FOUND', `The slipway.json of "${name}" version ${version} does not say where it comes from.`);
      },
    }),
  ];
}

function lifecycleRoutes(registry: Registry): RouteDefinition[] {
  return [
    defineRoute<ModelParams>({
      method: 'POST',
      path: '/models/{name}/load',
      operationId: 'loadModel',
      tag: 'models',
      summary: 'Load what the version policy of a model selects; failed versions are tried again.',
      params: modelParams,
      responses: { 200: { description: 'The model once every version is ready or failed.', schema: modelAnswer, example: MODEL_EXAMPLE } },
      errors: [400, 404, 409, 500, 503],
      handle: async ({ params }) => json(200, encodeModel(await registry.load(params.name))),
    }),
    defineRoute<ModelParams>({
      method: 'POST',
      path: '/models/{name}/unload',
      operationId: 'unloadModel',
      tag: 'models',
      summary: 'Drain and unload a model. Its processes end and their memory is free again.',
      description: 'The files stay. The model stays unloaded until it is loaded or the server starts anew.',
      params: modelParams,
      responses: { 200: { description: 'The model once it is unloaded.', schema: modelAnswer, example: MODEL_EXAMPLE } },
      errors: [400, 404, 409, 500, 503],
      handle: async ({ params }) => json(200, encodeModel(await registry.unload(params.name))),
    }),
    defineRoute<VersionParams>({
      method: 'DELETE',
      path: '/models/{name}/versions/{version}',
      operationId: 'deleteVersion',
      tag: 'models',
      summary: 'Drain a version and delete its files.',
      params: versionParams,
      responses: { 204: { description: 'The version is gone.' } },
      errors: [400, 404, 409, 500, 503],
      handle: async ({ params }) => {
        await registry.remove(params.name, params.version);
        return { status: 204 };
      },
    }),
  ];
}

function labelRoutes(registry: Registry): RouteDefinition[] {
  return [
    defineRoute<LabelParams>({
      method: 'PUT',
      path: '/models/{name}/labels/{label}',
      operationId: 'setLabel',
      tag: 'models',
      summary: 'Point a label at a version.',
      params: labelParams,
      body: {
        kind: 'bytes',
        required: true,
        maxBytes: LABEL_BODY_BYTES,
        content: { 'application/json': { schema: labelBody, example: { version: 1 } } },
      },
      responses: { 200: { description: 'The model.', schema: modelAnswer, example: MODEL_EXAMPLE } },
      errors: [400, 404, 409, 413, 415, 500, 503],
      handle: async ({ params, body }) => {
        const { version } = checkInput(labelBody, toPlain(parseJson(body)), '');
        return json(200, encodeModel(await registry.setLabel(params.name, params.label, version)));
      },
    }),
    defineRoute<LabelParams>({
      method: 'DELETE',
      path: '/models/{name}/labels/{label}',
      operationId: 'removeLabel',
      tag: 'models',
      summary: 'Remove a label.',
      params: labelParams,
      responses: { 200: { description: 'The model.', schema: modelAnswer, example: MODEL_EXAMPLE } },
      errors: [400, 404, 409, 500, 503],
      handle: async ({ params }) => json(200, encodeModel(await registry.removeLabel(params.name, params.label))),
    }),
  ];
}

/** Model management: what is there, its life, its labels. */
export function createModelRoutes(registry: Registry, statistics: InferenceStatistics): RouteDefinition[] {
  return [...describeRoutes(registry, statistics), ...lifecycleRoutes(registry), ...labelRoutes(registry)];
}
