/** Bounds of datasets that are made of files of this repository. */
export const INGEST_LIMITS = {
  maxRows: 1e6,
  maxColumns: 100,
  maxCategories: 100,
  maxRowLength: 1e7,
  maxFiles: 10,
  maxBytes: 1e8,
  maxImageBytes: 1e6,
  maxImagePixels: 1e6,
};
