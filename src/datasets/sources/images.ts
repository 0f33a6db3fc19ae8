import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import { checkImage } from '../../preprocessing/image.ts';
import type { EncodedImage, Source, SourceColumn, SourceFile, Value } from '../source.ts';
import { splitNamed } from '../split-names.ts';
import { type ImagePlace, type NamedFile, readImageFiles } from './image-files.ts';

export interface ImageOptions {
  /** Largest image file, in bytes. */
  readonly maxImageBytes: number;
  /** Most pixels of an image. */
  readonly maxImagePixels: number;
  /** Most image files. */
  readonly maxFiles: number;
}

/** Images that are decoded at the same time. */
const GROUP_FILES = 16;

const COLUMNS: readonly SourceColumn[] = [
  { name: 'image', kind: 'image' },
  { name: 'label', kind: 'label' },
  { name: 'split', kind: 'label', isSplit: true },
];

/** The folder that a file lies in is its class; the one around it may be a split: `train/cat/12.png`. */
function placeOf(name: string): { label: string | undefined; split: string | undefined } {
  const folders = name.split('/').slice(0, -1);
  const label = folders.pop();
  const around = folders.pop();
  return { label, split: around === undefined ? undefined : splitNamed(around) };
}

async function check({ name, content }: NamedFile, { maxImageBytes, maxImagePixels }: ImageOptions): Promise<EncodedImage> {
  if (content === undefined) throw new SlipwayError('IMAGE_TOO_LARGE', `${name} has more than ${maxImageBytes} bytes`);
  return { bytes: content, ...(await checkImage(content, { maxImagePixels })) };
}

/** Image files in folders by class, or in an archive of such. Every image is decoded once, to see that it can be. */
export function createImageSource(files: readonly SourceFile[], place: ImagePlace, options: ImageOptions): Source {
  return {
    format: 'images',
    async *rows(onBadRow) {
      let hasLabels = false;
      let hasSplits = false;
      let count = 0;
      let group: NamedFile[] = [];
      const columnsNow = (): SourceColumn[] => COLUMNS.slice(0, hasSplits ? 3 : hasLabels ? 2 : 1);

      async function readGroup(): Promise<{ rows: Value[][]; names: string[] }> {
        const checked = await Promise.allSettled(group.map((file) => check(file, options)));
        const rows: Value[][] = [];
        const names: string[] = [];
        for (const [index, result] of checked.entries()) {
          const { name } = group[index]!;
          if (result.status === 'rejected') {
            if (!(result.reason instanceof SlipwayError)) throw result.reason;
            onBadRow(name, messageOf(result.reason).replace(/\.$/, ''));
            continue;
          }
          const { label, split } = placeOf(name);
          hasLabels ||= label !== undefined;
          hasSplits ||= split !== undefined;
          rows.push([result.value, label, split]);
          names.push(name);
        }
        group = [];
        return { rows, names };
      }

      for await (const file of readImageFiles(files, place, options.maxImageBytes)) {
        count += 1;
        if (count > options.maxFiles) {
          throw new SlipwayError('DATASET_TOO_LARGE', `The data has more than the ${options.maxFiles} files that are taken.`);
        }
        group.push(file);
        if (group.length < GROUP_FILES) continue;
        const { rows, names } = await readGroup();
        yield { columns: columnsNow(), rows, place: (index) => names[index]! };
      }
      const { rows, names } = await readGroup();
      yield { columns: columnsNow(), rows, place: (index) => names[index]! };
    },
  };
}
