import type { LayerConfig } from '../../../engines/training/trainer.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';

export function invalid(message: string): SlipwayError {
  return new SlipwayError('INVALID_ARCHITECTURE', message, { details: [{ path: 'architecture', message }] });
}

export const layer = (class_name: string, config: LayerConfig['config'] = {}): LayerConfig => ({ class_name, config });

export const dense = (units: number, activation: string): LayerConfig => layer('Dense', { units, activation });

/** What training leaves out behind a layer; nothing for a share of 0. */
export const dropped = (rate: number): LayerConfig[] => (rate > 0 ? [layer('Dropout', { rate })] : []);

/** Layers that take tokens. */
export const EMBEDDINGS: ReadonlySet<string> = new Set(['Embedding', 'TokenAndPositionEmbedding']);
