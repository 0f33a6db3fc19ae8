/**
 * The layer rule: protocols → inference, registry → (interfaces) ← runners → engines. What a folder may import says
 * what it can know. `npm run check:layers` holds the code to it.
 */
const core =
  '^src/(inference|registry|scheduler|tensor|errors|packages|preprocessing|datasets|concurrency|jobs|protobuf|compiler|compilation|optimization|devices|rollouts)/';

export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'core-knows-no-edge',
      comment: 'The core speaks of models and tensors. How requests come in and how models are run is for others.',
      severity: 'error',
      from: { path: core, pathNot: '^src/jobs/child/' },
      to: {
        path: '^src/(protocols|runners|engines|server\\.ts|main\\.ts)',
        pathNot: '^src/(runners/(runner|map-info|switching)\\.ts|engines/(engine\\.ts|training/))',
      },
    },
    {
      name: 'core-uses-no-framework',
      severity: 'error',
      from: { path: core },
      to: { path: 'node_modules/(fastify|pino|@grpc|grpc-|@tensorflow|onnxruntime)' },
    },
    {
      name: 'tensors-and-errors-are-the-ground',
      severity: 'error',
      from: { path: '^src/(tensor|errors|concurrency)/' },
      to: { path: '^src/', pathNot: '^src/(tensor|errors|concurrency)/' },
    },
    {
      name: 'the-wire-format-knows-no-message',
      severity: 'error',
      from: { path: '^src/protobuf/' },
      to: { path: '^src/', pathNot: '^src/(protobuf|errors)/' },
    },
    {
      name: 'the-compiler-knows-models-only',
      comment: 'It makes files out of files. Who runs them, and when, is for others. What is to be trained, engines/training says.',
      severity: 'error',
      from: { path: '^src/compiler/' },
      to: { path: '^src/', pathNot: '^src/(compiler|tensor|errors|packages|protobuf|engines/training)/' },
    },
    {
      name: 'optimization-knows-models-only',
      comment: 'It makes models out of models and judges measurements. Who runs them, and on which data, is for jobs.',
      severity: 'error',
      from: { path: '^src/optimization/' },
      to: {
        path: '^src/',
        pathNot: '^src/(optimization|compiler|tensor|errors|packages|protobuf|preprocessing|datasets|engines/(engine\\.ts|training/))',
      },
    },
    {
      name: 'compilation-knows-no-compiler',
      comment: 'It keeps what a process of its own has compiled, and hands it to runners.',
      severity: 'error',
      from: { path: '^src/compilation/' },
      to: {
        path: '^src/',
        pathNot: '^src/(compilation|concurrency|errors|packages|observability|runners/(runner|map-info|switching)\\.ts)',
      },
    },
    {
      name: 'choice-knows-runners-by-their-interface',
      comment: 'It starts runners, times them and takes one. What an engine is, it does not know.',
      severity: 'error',
      from: { path: '^src/choice/' },
      to: {
        path: '^src/',
        pathNot:
          '^src/(choice|concurrency|devices|errors|packages|observability|tensor|runners/(runner|map-info|switching)\\.ts|engines/(engine|agreement|recorded-requests)\\.ts)',
      },
    },
    {
      name: 'engines-know-models-only',
      severity: 'error',
      from: { path: '^src/engines/' },
      to: { path: '^src/', pathNot: '^src/(engines/|tensor/|errors/|packages/|protobuf/|native/installation\\.ts)' },
    },
    {
      name: 'the-host-never-loads-an-engine',
      comment: 'A native crash must stay in the runner process.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(engines|runners/child|jobs/child)/' },
      to: { path: '^src/(engines/(onnx|tfjs|tensorflow|engines\\.ts)|runners/child)', pathNot: '^src/engines/engine\\.ts$' },
    },
    {
      name: 'devices-know-the-machine-only',
      comment: 'What there is to run on. What runs there, others add.',
      severity: 'error',
      from: { path: '^src/devices/' },
      to: { path: '^src/', pathNot: '^src/(devices/|errors/|concurrency/|native/installation\\.ts)' },
    },
    {
      name: 'native-brings-a-library-only',
      comment: 'It fetches, builds and finds TensorFlow’s library; engines load it.',
      severity: 'error',
      from: { path: '^src/native/' },
      to: { path: '^src/', pathNot: '^src/(native|errors|packages|concurrency)/' },
    },
    {
      name: 'datasets-know-data-only',
      comment: 'Processes that train import them: they must load fast and bring nothing of the server along.',
      severity: 'error',
      from: { path: '^src/datasets/' },
      to: { path: '^src/', pathNot: '^src/(datasets|packages|preprocessing|tensor|errors|concurrency|observability)/' },
    },
    {
      name: 'the-runner-program-knows-engines-only',
      comment: 'It starts for each model, so it stays small, and it has no part in what the server decides.',
      severity: 'error',
      from: { path: '^src/runners/child/' },
      to: {
        path: '^src/',
        pathNot: '^src/(runners/(child/|[^/]+\\.ts$)|engines|compiler|tensor|errors|packages|native/installation\\.ts)',
      },
    },
    {
      name: 'the-host-never-loads-the-program-of-a-job',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/jobs/child/' },
      to: { path: '^src/jobs/child/' },
    },
    {
      name: 'both-sides-of-the-process-border-share-the-middle',
      severity: 'error',
      from: { path: '^src/runners/[^/]+\\.ts$' },
      to: { path: '^src/runners/(host|child)/' },
    },
    {
      name: 'settings-and-log-know-no-part',
      severity: 'error',
      from: { path: '^src/(config|observability)/' },
      to: { path: '^src/', pathNot: '^src/(config|observability|errors)/' },
    },
    {
      name: 'onnxruntime-in-its-engine-only',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/engines/onnx/' },
      to: { path: 'node_modules/onnxruntime' },
    },
    {
      name: 'tfjs-in-its-engine-only',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/engines/tfjs/' },
      to: { path: 'node_modules/@tensorflow' },
    },
    {
      name: 'fastify-at-the-edge-only',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(protocols/|server\\.ts$)' },
      to: { path: 'node_modules/fastify' },
    },
    {
      name: 'grpc-at-the-edge-only',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(protocols/|server\\.ts$)' },
      to: { path: 'node_modules/(@grpc/|grpc-)' },
    },
    {
      name: 'pino-in-the-log-only',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(observability/|main\\.ts$)' },
      to: { path: 'node_modules/pino' },
    },
    {
      name: 'protocols-know-no-process-border',
      severity: 'error',
      from: { path: '^src/protocols/' },
      to: { path: '^src/(runners|engines)/', pathNot: '^src/engines/engine\\.ts$' },
    },
    {
      name: 'only-the-entry-knows-the-server',
      comment: 'And the command that trains without a server: it has one of its own for the time that it takes.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(main|cli/train/local-server)\\.ts$' },
      to: { path: '^src/server\\.ts$' },
    },
    {
      name: 'the-server-knows-no-command',
      comment: 'What is typed after `slipway` uses the parts of the program; none of them knows it.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(cli/|main\\.ts$)' },
      to: { path: '^src/cli/' },
    },
    {
      name: 'the-server-needs-nothing-beside-src',
      comment: 'Tests, scripts and measurements are not in the image; neither are development dependencies.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|scripts|bench)/' },
    },
    { name: 'no-development-dependency', severity: 'error', from: { path: '^src/' }, to: { dependencyTypes: ['npm-dev', 'npm-no-pkg'] } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    parser: 'swc',
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.mjs', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
