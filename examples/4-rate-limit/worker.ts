/** A Node worker that asks a service as often as its spec allows. It stops at the first answer 429. @module */
import { readFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { startHeartbeat } from "../../clients/heartbeat.js";

const LOOK_EVERY_MS = 10;
/** What it may catch up of what it missed while it was held up, requests. */
const CATCH_UP = 2;
/** It ends by itself after this long, should nobody end it. */
const LIFE_MS = 300_000;

const { HEALD_COORDINATION_DIR: coordination = "", HEALD_WORKER_ID: workerId = "", SERVICE = "" } = process.env;
const spec = JSON.parse(readFileSync(join(coordination, "worker-specs", "active", `${workerId}.json`), "utf8")) as {
  readonly rate_limits: { readonly requests_per_minute: number };
};
const everyMs = 60_000 / spec.rate_limits.requests_per_minute;
const heartbeat = startHeartbeat({ intervalSeconds: 0.5, health: 100 });
console.log(`attempt ${process.env.HEALD_ATTEMPT} sends ${spec.rate_limits.requests_per_minute} requests a minute`);

let nextMs = performance.now();
let sent = 0;
const sending = setInterval(() => {
  const nowMs = performance.now();
  nextMs = Math.max(nextMs, nowMs - CATCH_UP * everyMs);
  for (; nextMs <= nowMs; nextMs += everyMs) ask();
}, LOOK_EVERY_MS);
setTimeout(() => clearInterval(sending), LIFE_MS);

function ask(): void {
  sent += 1;
  if (sent % 10 === 0) heartbeat.beat({ activity: `request ${sent}` });
  const request = get(`${SERVICE}/items/${sent}`, { headers: { "x-client": workerId } }, (answer) => {
    answer.resume();
    if (answer.statusCode !== 429) return;
    console.log(`GET /items/${sent} failed: HTTP 429`);
    process.exit(1);
  });
  request.on("error", (error) => {
    console.log(`GET /items/${sent} failed: ${error.message}`);
    process.exit(1);
  });
}
