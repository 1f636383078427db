/** The hash that names groups and fingerprints. @module */
// biome-ignore lint/style/noRestrictedImports: the same floor, one folder up.
export { shortHash } from "../hash.js";
