/** A Node worker that goes on where its checkpoint says. One that it cannot read stops it, by name: STATE_CORRUPT. @module */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startHeartbeat } from "../../clients/heartbeat.js";

const EVERY_MS = 200;
const READS_MS = 500;
/** It ends by itself after this long, should nobody end it. */
const LIFE_MS = 300_000;

const { HEALD_HOME: home = "", HEALD_WORKER_ID: workerId = "", HEALD_ATTEMPT: attempt } = process.env;
const folder = join(home, "agents", "workers", workerId, "state");
const checkpoint = join(folder, "checkpoint.json");
const heartbeat = startHeartbeat({ intervalSeconds: 0.5, health: 100 });
console.log(`attempt ${attempt} begins`);
setTimeout(() => work(positionIn()), READS_MS);

function positionIn(): number {
  mkdirSync(folder, { recursive: true });
  if (!existsSync(checkpoint)) return 0;
  try {
    return (JSON.parse(readFileSync(checkpoint, "utf8")) as { readonly position: number }).position;
  } catch {
    // An error code, which the shipped failure rules know: surer than words.
    console.log("cannot resume: STATE_CORRUPT in checkpoint.json");
    process.exit(1);
  }
}

function work(from: number): void {
  let position = from;
  console.log(`goes on at ${position}`);
  const working = setInterval(() => {
    position += 1;
    writeFileSync(`${checkpoint}.new`, JSON.stringify({ position }));
    renameSync(`${checkpoint}.new`, checkpoint);
    heartbeat.beat({ activity: `position ${position}` });
  }, EVERY_MS);
  setTimeout(() => clearInterval(working), LIFE_MS);
}
