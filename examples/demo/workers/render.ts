/** A Node worker that renders frames and beats. Ordered to, it blocks its own event loop, and so its beats. @module */
import { startHeartbeat } from "../../../clients/heartbeat.js";
import { LIFE_MS, takeOrder } from "./orders.js";

const FRAME_MS = 200;

const heartbeat = startHeartbeat({ intervalSeconds: 0.5, health: 100 });
console.log(`attempt ${process.env.HEALD_ATTEMPT} begins`);
let frames = 0;
const frame = setInterval(() => {
  frames += 1;
  if (takeOrder()) spin();
  if (frames % 10 === 0) heartbeat.beat({ activity: `frame ${frames}` });
  if (frames * FRAME_MS >= LIFE_MS) clearInterval(frame);
}, FRAME_MS);

/** A loop that a bug never leaves. */
function spin(): void {
  console.log(`frame ${frames}: looking for the end of a circle`);
  const untilMs = performance.now() + LIFE_MS;
  while (performance.now() < untilMs);
}
