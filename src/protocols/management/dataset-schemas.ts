import { z } from 'zod';
import { COLUMN_TYPES, DATASET_FORMATS, type DatasetDescription } from '../../datasets/dataset.ts';
import { nameSchema } from '../../packages/manifest.ts';
import { parseJson } from '../../tensor/json-scanner.ts';
import { toPlain } from '../../tensor/plain-json.ts';

const scalar = z.union([z.string(), z.number(), z.boolean()]);

const columnAnswer = z
  .object({
    name: z.string(),
    type: z.enum(COLUMN_TYPES),
    missing: z.int().describe('Rows without a value.'),
    min: z.number().optional(),
    max: z.number().optional(),
    mean: z.number().optional(),
    std: z.number().optional().describe('Standard deviation of the population.'),
    values: z
      .array(z.object({ value: scalar, count: z.int() }))
      .optional()
      .describe(
        'Every value and how many rows have it, most frequent first: the class balance. Of columns with few different values; of tokens, how often each comes.',
      ),
    characters: z.int().optional().describe('Of texts: how long those of all rows are together, in UTF-16 code units.'),
    longest: z.int().optional().describe('Of tokens: those of the longest row.'),
    shape: z.array(z.int()).optional().describe('Of vectors and of images of one size: height, width, channels.'),
    shapeRange: z
      .object({ smallest: z.array(z.int()), largest: z.array(z.int()) })
      .optional()
      .describe('Of images of several sizes: the bounds of height, width and channels.'),
  })
  .meta({ id: 'Column' });

const datasetSummary = z.object({
  id: z.string(),
  name: z.string(),
  format: z.enum(DATASET_FORMATS),
  createdAt: z.iso.datetime(),
  rows: z.int(),
  bytes: z.int().describe('What it takes on disk.'),
  digest: z
    .string()
    .describe(
      'SHA-256 of the uploaded file; of several files, that of the text that `sha256sum` prints of them in the order of their names.',
    ),
});

export const datasetAnswer = datasetSummary
  .extend({
    columns: z.array(columnAnswer),
    splitColumn: z.string().optional().describe('The column that says which rows are for training, validation and testing.'),
    preview: z.array(z.record(z.string(), z.any())).describe('The first rows.'),
    skipped: z.object({
      count: z.int().describe('Rows that were left out because they could not be read.'),
      first: z.array(z.object({ place: z.string(), reason: z.string() })),
    }),
  })
  .meta({ id: 'Dataset' });

export const datasetList = z.object({
  datasets: z.array(datasetSummary),
  coming: z
    .array(
      z.object({
        name: z.string(),
        state: z.enum(['waiting', 'reading']),
        since: z.iso.datetime().describe('When its data was all there.'),
        rows: z.int().describe('Read so far. They are counted anew when the data has to be read a second time.'),
        skipped: z.int().describe('Of them, those that were left out because they could not be read.'),
      }),
    )
    .describe(
      'Data that has been uploaded and is being read, or waits for it. What cannot be read vanishes from here; its upload is answered with the reason.',
    ),
});

/** JSON inside of a form field or of the query. */
function jsonText<Schema extends z.ZodType>(schema: Schema) {
  return z
    .string()
    .transform((text, context): unknown => {
      try {
        return toPlain(parseJson(Buffer.from(text)));
      } catch {
        context.addIssue({ code: 'custom', message: 'must be JSON' });
        return z.NEVER;
      }
    })
    .pipe(schema);
}

const typesSchema = z.record(z.string(), z.enum(COLUMN_TYPES));
const missingSchema = z.array(z.string());

/** What may be said of a dataset beside its data, in the query or in the fields of a form. */
export const datasetFields = z.strictObject({
  name: nameSchema.optional().describe('Name of the dataset; that of the file when left out.'),
  format: z.enum(DATASET_FORMATS).optional().describe('Found by the name and the first bytes of the file when left out.'),
  types: jsonText(typesSchema)
    .optional()
    .meta({ description: 'Types of columns in place of those that are found, as JSON.', example: '{"zip":"category"}' }),
  missing: jsonText(missingSchema)
    .optional()
    .meta({ description: 'Texts that mean that there is no value, as JSON.', example: '["","NA"]' }),
  maxSkipped: z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform(Number)
    .optional()
    .describe('Rows that may be left out because they cannot be read; one more and the data is refused. 0 when left out.'),
  delimiter: z
    .string()
    .transform((text) => (text === 'tab' ? '\t' : text))
    .pipe(z.string().length(1))
    .optional()
    .describe('Of CSV: one character, or `tab`. Found in the first line when left out.'),
  header: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional()
    .describe('Of CSV: whether the first line has the names of the columns. Found when left out.'),
});

export type DatasetFields = z.infer<typeof datasetFields>;

export const datasetQuery = datasetFields.extend({
  file: z.string().min(1).max(255).optional().describe('Name of the file, when the body is the bare file.'),
});
export type DatasetQuery = z.infer<typeof datasetQuery>;

export const datasetForm = datasetFields.extend({
  file: z.string().meta({ format: 'binary', description: 'The file. There may be several.' }),
});

/** A JSON body that names the data and says the same of it. */
export const datasetOrder = z.strictObject({
  name: datasetFields.shape.name,
  format: datasetFields.shape.format,
  types: typesSchema.optional().describe('Types of columns in place of those that are found.'),
  missing: missingSchema.optional().describe('Texts that mean that there is no value.'),
  maxSkipped: z.int().min(0).optional().describe('Rows that may be left out because they cannot be read. 0 when left out.'),
  delimiter: z.string().length(1).optional().describe('Of CSV: one character. Found in the first line when left out.'),
  header: z.boolean().optional().describe('Of CSV: whether the first line has the names of the columns. Found when left out.'),
  uploads: z.array(z.string()).min(1).max(1_000).optional().describe('Ids of resumable uploads, which are gone once the dataset is there.'),
  path: z
    .string()
    .min(1)
    .optional()
    .describe('A file or folder under the folder of the setting `datasets.folder`. It is read in place and not changed.'),
});

export function encodeSummary({ id, name, format, createdAt, rows, bytes, digest }: DatasetDescription): z.infer<typeof datasetSummary> {
  return { id, name, format, createdAt, rows, bytes, digest };
}
