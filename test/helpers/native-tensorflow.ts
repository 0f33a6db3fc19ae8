import { defaultFolder, FOLDER_VARIABLE, readInstallation } from '../../src/native/installation.ts';

const folder = process.env[FOLDER_VARIABLE] ?? defaultFolder(process.env);

/** Folder of native TensorFlow; undefined where it is not installed, or not as it should be. */
export const tensorflowFolder = readInstallation(folder).state === 'installed' ? folder : undefined;

/** What is added to the names of tests that are skipped for want of it. */
export const NEEDS_TENSORFLOW = 'needs native TensorFlow: npx slipway native install';
