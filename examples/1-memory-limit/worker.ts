/** A Node worker that resizes pictures: it needs 224 MiB of them at once, and no more. @module */
import { startHeartbeat } from "../../clients/heartbeat.js";

const PICTURE_BYTES = 8 * 1024 * 1024;
const PICTURES = 28;
const EVERY_MS = 70;
/** It ends by itself after this long, should nobody end it. */
const LIFE_MS = 300_000;

startHeartbeat({ intervalSeconds: 0.5, health: 100 });
console.log(`attempt ${process.env.HEALD_ATTEMPT} begins`);
const pictures: Buffer[] = [];
const work = setInterval(() => {
  if (pictures.length < PICTURES) pictures.push(Buffer.alloc(PICTURE_BYTES, 1));
}, EVERY_MS);
setTimeout(() => clearInterval(work), LIFE_MS);
