/** Why native TensorFlow can't be installed or removed; the message is for the person at the command line. */
export class InstallError extends Error {}
