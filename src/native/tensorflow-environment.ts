import { delimiter } from 'node:path';
import { FOLDER_VARIABLE, libraryFolders, readInstallation } from './installation.ts';

/**
 * What processes that load TensorFlow, and no others, have in their environment: its folder, and where the system's loader
 * finds CUDA's libraries when the build with CUDA is installed.
 * @param folder as the setting `tensorflow.folder`
 */
export function tensorflowEnvironment(folder: string, env: Readonly<NodeJS.ProcessEnv>): Record<string, string> {
  const found = readInstallation(folder);
  const folders = found.state === 'installed' ? libraryFolders(found.installation) : [];
  const before = env['LD_LIBRARY_PATH'];
  return {
    [FOLDER_VARIABLE]: folder,
    ...(folders.length > 0 && {
      LD_LIBRARY_PATH: [...folders, ...(before === undefined || before === '' ? [] : [before])].join(delimiter),
    }),
  };
}
