import { z } from 'zod';

const share = z.number().positive().max(0.5);

/** How images are changed while a model is trained, anew at each epoch. Each number is the most; how much is drawn for each image. */
export const augmentationSchema = z.strictObject({
  flip: z.enum(['horizontal', 'vertical', 'both']).optional().describe('Mirror every second image, left to right or upside down.'),
  shift: share.optional().describe('Move it along both axes, by a share of its size.'),
  rotate: z.number().positive().max(180).optional().describe('Turn it about its centre, in degrees to either side.'),
  zoom: share.optional().describe('Make it larger or smaller, by a share of its size.'),
  noise: z.number().positive().max(1).optional().describe('Standard deviation of what is added to each value; levels are 0 to 1.'),
});

export type Augmentation = z.infer<typeof augmentationSchema>;
