import { z } from 'zod';
import { clientsSection, schedulerSection } from './sections/admission.ts';
import { datasetsSection, jobsSection } from './sections/jobs.ts';
import { rolloutsSection } from './sections/rollouts.ts';
import { bytes, count, MAX_TIMER_MS, milliseconds, port, text } from './units.ts';

const httpPort = port.optional().describe('Port of its routes; `port` when it has none of its own.');
const grpcPort = port.optional().describe('Port of its service; `grpcPort` when it has none of its own.');

/**
 * Every setting, once: its type, default and meaning. The descriptions are the reference page
 * (docs/reference/settings.md). A setting `limits.maxBodyBytes` is `--limits-max-body-bytes` as a flag,
 * `SLIPWAY_LIMITS_MAX_BODY_BYTES` in the environment and `{"limits":{"maxBodyBytes":…}}` in the file.
 */
export const configSchema = z.strictObject({
  host: text.default('127.0.0.1').describe('Address to listen on. Use 0.0.0.0 to be reached from other machines.'),
  port: port.default(8080).describe('Port of the HTTP routes; 0 takes a free one.'),
  grpcPort: port.default(9000).describe('Port of the gRPC services; 0 takes a free one.'),
  models: text.default('./models').describe('Folder of the model repository.'),
  state: text.default('./state').describe('Folder of the server’s own records: datasets, jobs and their checkpoints, compiled models.'),
  logging: z
    .strictObject({
      level: z
        .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
        .default('info')
        .describe('Lowest level that is logged.'),
      format: z.enum(['auto', 'json', 'pretty']).default('auto').describe('`auto` is pretty on a terminal, else JSON.'),
    })
    .prefault({}),
  native: z
    .strictObject({
      http: z.boolean().default(true).describe('Serve Slipway’s own routes: predict and the management of models. Health and docs stay.'),
    })
    .prefault({}),
  kserve: z
    .strictObject({
      http: z.boolean().default(true).describe('Serve the KServe V2 protocol over REST.'),
      httpPort,
      grpc: z.boolean().default(true).describe('Serve the KServe V2 protocol over gRPC.'),
      grpcPort,
    })
    .prefault({}),
  tensorflowServing: z
    .strictObject({
      http: z.boolean().default(true).describe('Serve TensorFlow Serving’s REST API.'),
      httpPort,
      grpc: z.boolean().default(true).describe('Serve TensorFlow Serving’s gRPC API.'),
      grpcPort,
    })
    .prefault({}),
  sagemaker: z
    .strictObject({
      http: z.boolean().default(true).describe('Serve what Amazon SageMaker calls: `POST /invocations` and `GET /ping`.'),
      httpPort,
      defaultModel: text
        .optional()
        .describe('The model of `/invocations` when a request names none. Without it that is the only model there is.'),
    })
    .prefault({}),
  observability: z
    .strictObject({
      tracing: z
        .strictObject({
          endpoint: text
            .optional()
            .describe(
              'Address of an OpenTelemetry collector that takes OTLP over HTTP, e.g. http://localhost:4318: a trace of each predict request goes to its `/v1/traces`. Without it the variables OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and OTEL_EXPORTER_OTLP_ENDPOINT name it; without these there are no traces.',
            ),
          serviceName: text.optional().describe('The service that traces name. Without it that is OTEL_SERVICE_NAME, or else `slipway`.'),
          sampleRatio: z
            .number()
            .min(0)
            .max(1)
            .default(1)
            .describe('Share of the requests whose traces are sent. A request that comes with a trace is sent as that says.'),
        })
        .prefault({}),
    })
    .prefault({}),
  repository: z
    .strictObject({
      watch: z.boolean().default(true).describe('Follow changes of the model folder by file-system events.'),
      pollMs: milliseconds
        .default(2_000)
        .describe('Also look at the model folder this often, for file systems without events, in milliseconds.'),
      settleMs: milliseconds
        .default(300)
        .describe('A new or changed version is loaded once its files have not changed for this long, in milliseconds.'),
    })
    .prefault({}),
  runners: z
    .strictObject({
      threads: count.default(1).describe('Threads of an engine for one run; more than one is worth it for large models only.'),
      instances: z
        .union([count, z.literal('auto')], 'must be a whole number from 1, or auto')
        .default(1)
        .describe(
          'Processes that run each version side by side, for models that do not say; `auto` takes as many as the cores allow beside the server. Each takes the memory of the model again.',
        ),
      loadTimeoutMs: milliseconds.default(60_000).describe('A runner that has not loaded its model by then is ended, in milliseconds.'),
      heartbeatMs: milliseconds
        .default(1_000)
        .describe(
          'A runner that was idle for this long is asked whether it lives, in milliseconds; while it stays idle ever more seldom, up to `runners.unresponsiveMs`.',
        ),
      unresponsiveMs: milliseconds
        .default(30_000)
        .describe('A runner that answers nothing for this long is ended, in milliseconds; also the longest that one run may take.'),
      restartBackoffMs: milliseconds
        .default(200)
        .describe('Wait before the first restart after a crash, in milliseconds; doubles with each further one, up to 30 s.'),
      maxRestarts: z
        .number()
        .int()
        .min(0)
        .default(5)
        .describe(
          'Restarts in a row after crashes; one crash more and the version is failed. A runner that lived for a minute starts the count anew.',
        ),
    })
    .prefault({}),
  devices: z
    .strictObject({
      onMissing: z
        .enum(['fallback', 'refuse'])
        .default('fallback')
        .describe(
          'What becomes of a model whose slipway.json asks for a device that is not there: it is served on the CPU, and says so, or not served.',
        ),
      prefer: z
        .enum(['cpu', 'cuda', 'webgpu', 'coreml', 'directml'])
        .optional()
        .describe(
          'Kind of device that models are to run on whose slipway.json asks for nothing; where it is not there, they run on the CPU. Without it `devices.choice` decides.',
        ),
      choice: z
        .enum(['measured', 'fixed'])
        .default('measured')
        .describe(
          'How the engine and the device of a model are found that asks for none. `measured`: once the server is ready, each way to run it that is here is tried beside it, and the fastest that gives the same answers takes over; what was found is kept under `state`. `fixed`: the first that can run it.',
        ),
      gpuBudgetBytes: bytes
        .optional()
        .describe(
          'Most memory of a GPU that models may take together, in bytes, as far as the libraries tell; one that does not fit is served on the CPU, and says so. Without it there is no limit but that of the GPU.',
        ),
      maxChoices: count.default(10_000).describe('Models of which it is kept what was measured; of more, the oldest go.'),
    })
    .prefault({}),
  tensorflow: z
    .strictObject({
      folder: text
        .optional()
        .describe(
          'Folder of native TensorFlow, as `slipway native install` makes it. Without it `slipway/tensorflow` in the user’s cache folder.',
        ),
    })
    .prefault({}),
  warmUp: z
    .strictObject({
      mode: z
        .enum(['auto', 'recorded', 'off'])
        .default('auto')
        .describe(
          'What a model runs before it becomes ready: the requests in `warmup.jsonl` of its version folder; with `auto`, where there is no such file, inputs that are made up from its signature.',
        ),
      onFailure: z
        .enum(['refuse', 'ignore'])
        .default('refuse')
        .describe('A version that fails on one of its recorded requests is not served, or is served all the same.'),
      maxRequests: count.default(1_000).describe('Recorded requests that are run; further ones are left out.'),
    })
    .prefault({}),
  memory: z
    .strictObject({
      budgetBytes: bytes
        .optional()
        .describe(
          'What the loaded models may take of the device `cpu`, in bytes. With it models are loaded by their first request, and those not used for longest leave. Without it every model is loaded at the start and stays.',
        ),
      idleTimeoutMs: milliseconds
        .optional()
        .describe(
          'A model without a request for this long is unloaded, in milliseconds; its next request loads it again. Without it models stay until room is needed.',
        ),
      measureMs: milliseconds
        .default(2_000)
        .describe('How often the memory of the runner processes that were used is measured, in milliseconds.'),
    })
    .prefault({}),
  compiler: z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe(
          'Compile TF.js layers models to ONNX when they are first loaded, and serve them from ONNX Runtime where that gives the same.',
        ),
      maxDurationMs: milliseconds
        .default(120_000)
        .describe('Longest time to compile and check a model, in milliseconds; one that takes longer is served by tfjs.'),
      maxMemoryBytes: bytes
        .default(4 * 1024 * 1024 * 1024)
        .describe('Most memory of the process that compiles and checks a model, in bytes; a model that takes more is served by tfjs.'),
      maxCacheBytes: bytes
        .default(10 * 1024 * 1024 * 1024)
        .describe('Most bytes of compiled models that are kept under `state`; those that were not used for the longest time go.'),
    })
    .prefault({}),
  scheduler: schedulerSection,
  responseCache: z
    .strictObject({
      maxBytes: bytes
        .optional()
        .describe(
          'Answers are kept up to so many bytes, and an equal request to the same version is answered without a run; those not used for longest leave. Only for models that always answer equal requests alike. Without it none is kept.',
        ),
    })
    .prefault({}),
  clients: clientsSection,
  rollouts: rolloutsSection,
  datasets: datasetsSection,
  jobs: jobsSection,
  limits: z
    .strictObject({
      maxBodyBytes: bytes.default(64 * 1024 * 1024).describe('Largest body of a predict request, in bytes.'),
      maxUploadBytes: bytes.default(4 * 1024 * 1024 * 1024).describe('Largest upload of a package, in bytes.'),
      maxUnpackedBytes: bytes.default(8 * 1024 * 1024 * 1024).describe('Most bytes that a package may unpack to.'),
      maxPackageFiles: count.default(10_000).describe('Most files that a package may hold.'),
      maxGraphBytes: bytes
        .default(64 * 1024 * 1024)
        .describe('Most bytes of nodes and names in an ONNX file that is rewritten, as in quantization; weights do not count.'),
      maxGraphParts: count
        .default(2_000_000)
        .describe(
          'Most nodes, values, attributes and tensors in an ONNX file that is rewritten; the largest models of language have under half a million.',
        ),
      maxImagePixels: count.default(25_000_000).describe('Most pixels of an image; more are refused before decoding.'),
      requestArrivalMs: milliseconds
        .default(3_600_000)
        .describe('Longest time for a request to arrive whole, uploads too, in milliseconds; a connection that takes longer is ended.'),
      maxJsonDepth: count.default(64).describe('Deepest nesting of a JSON body.'),
    })
    .prefault({}),
  packages: z
    .strictObject({
      requireSignedBy: text
        .optional()
        .describe(
          'File of Ed25519 public keys (PEM, one after the other). A version that none of them has signed is not loaded, however it has come into the model folder. Without it a version need not be signed.',
        ),
      signWith: text
        .optional()
        .describe('File of the Ed25519 private key (PEM, PKCS #8) that signs the versions that jobs make. Without it they are not signed.'),
      compressionLevel: z
        .number()
        .int()
        .min(1)
        .max(19)
        .default(9)
        .describe(
          'Level of Zstandard that packages are compressed with on download, where that is asked for; above 12 it is tens of times slower.',
        ),
    })
    .prefault({}),
  shutdown: z
    .strictObject({
      drainMs: milliseconds.default(10_000).describe('Work in flight may finish for this long after a stop signal, in milliseconds.'),
      unreadyMs: z
        .number()
        .int()
        .min(0)
        .max(MAX_TIMER_MS)
        .default(100)
        .describe(
          'Stay up but not ready for this long first, so that load balancers notice and open connections end with an answer, in milliseconds.',
        ),
    })
    .prefault({}),
});

/** Every setting with its value; see `configSchema`. */
export type Config = z.infer<typeof configSchema>;
