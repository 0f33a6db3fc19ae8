import { realpathSync } from 'node:fs';
import { sep } from 'node:path';

const MAX_MESSAGE_LENGTH = 1_000;

/** `…/core/graph/model.cc:202 ` and the C++ signature after it, which ends with a balanced pair of parentheses. */
const SOURCE_LOCATION = /\S*onnxruntime\S*\.(?:cc|h|cpp):\d+ /;

function withoutSourceLocations(message: string): string {
  let text = message;
  for (let found = SOURCE_LOCATION.exec(text); found !== null; found = SOURCE_LOCATION.exec(text)) {
    const afterLocation = found.index + found[0].length;
    let end = text.indexOf('(', afterLocation);
    for (let depth = 0; end >= 0 && end < text.length; end += 1) {
      if (text[end] === '(') depth += 1;
      else if (text[end] === ')' && --depth === 0) break;
    }
    text =
      text.slice(0, found.index) +
      (end < 0
        ? text.slice(afterLocation)
        : text
            .slice(end + 1)
            .replace(/^ const\b/, '')
            .trimStart());
  }
  return text;
}

function realPathOf(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder;
  }
}

/** What ONNX Runtime said, without its source locations and without the paths of this machine. */
export function cleanErrorText(message: string, folder: string): string {
  const text = withoutSourceLocations(message.replace(/^Load model from .*? failed:/s, ''))
    .replaceAll(/\[ONNXRuntimeError\] : \d+ : \w+ : /g, '')
    .replaceAll(/\b\w+\.(?:cc|h|cpp):\d+ \w+ /g, '')
    .replace(/^Exception during initialization: /, '')
    .replaceAll(/ resolved path: ".*?"(?: allowed directory: ".*?")?/g, '')
    .replaceAll(`${folder}${sep}`, '')
    .replaceAll(`${realPathOf(folder)}${sep}`, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
  return text.length > MAX_MESSAGE_LENGTH ? `${text.slice(0, MAX_MESSAGE_LENGTH)}…` : text;
}

/** Said of sound files that this build of ONNX Runtime has no code for. There are no error codes to tell by. */
const UNSUPPORTED = [
  /No Op registered for/,
  /is not a registered function\/op/,
  /Could not find an implementation for/,
  /Unsupported model IR version/,
  /Opset \d+ is under development/,
  /Type 'tensor\(.*\)' of .* is invalid/,
];

/** Whether a load failed because ONNX Runtime lacks an operator, type or format version, not because the file is damaged. */
export function saysUnsupported(message: string): boolean {
  return UNSUPPORTED.some((pattern) => pattern.test(message));
}
