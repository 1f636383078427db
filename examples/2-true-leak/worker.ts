/** A Node worker that forgets to let go of what it has read: whatever its limit is, it meets it. @module */
import { startHeartbeat } from "../../clients/heartbeat.js";

const CHUNK_BYTES = 8 * 1024 * 1024;
/** A gigabyte: a host on which no limit works is not to suffer for the example. */
const KEPT_MAX = 128;
const EVERY_MS = 100;
/** It ends by itself after this long, should nobody end it. */
const LIFE_MS = 300_000;

startHeartbeat({ intervalSeconds: 0.5, health: 100 });
console.log(`attempt ${process.env.HEALD_ATTEMPT} begins`);
const kept: Buffer[] = [];
const work = setInterval(() => {
  if (kept.length < KEPT_MAX) kept.push(Buffer.alloc(CHUNK_BYTES, 1));
}, EVERY_MS);
setTimeout(() => clearInterval(work), LIFE_MS);
