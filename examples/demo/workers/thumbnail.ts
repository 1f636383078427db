/** A Node worker that makes thumbnails and beats. Ordered to, it forgets to let go of them. @module */
import { startHeartbeat } from "../../../clients/heartbeat.js";
import { LIFE_MS, takeOrder } from "./orders.js";

const EVERY_MS = 100;
const THUMBNAIL_BYTES = 8 * 1024 * 1024;
/** Half a gigabyte: a host on which the limit does not work is not to suffer for the demo. */
const KEPT_MAX = 64;

startHeartbeat({ intervalSeconds: 0.5, health: 100 });
console.log(`attempt ${process.env.HEALD_ATTEMPT} begins`);
const kept: Buffer[] = [];
let made = 0;
let leaks = false;
const work = setInterval(() => {
  made += 1;
  if (takeOrder()) leaks = true;
  if (leaks && kept.length < KEPT_MAX) kept.push(Buffer.alloc(THUMBNAIL_BYTES, made));
  if (made * EVERY_MS >= LIFE_MS) clearInterval(work);
}, EVERY_MS);
