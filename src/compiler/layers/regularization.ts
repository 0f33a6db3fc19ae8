import type { LowerLayer } from '../lowering/layer-call.ts';

const identity: LowerLayer = ({ input }) => input;

/** Layers that do something in training only. */
export const REGULARIZATION_LAYERS: Readonly<Record<string, LowerLayer>> = {
  Dropout: identity,
  SpatialDropout1D: identity,
  SpatialDropout2D: identity,
  SpatialDropout3D: identity,
  GaussianNoise: identity,
  GaussianDropout: identity,
  AlphaDropout: identity,
  ActivityRegularization: identity,
};
