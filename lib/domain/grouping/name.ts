/** The hash that names groups and fingerprints. @module */
export { shortHash } from "../hash.js";
