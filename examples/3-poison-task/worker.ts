/** A Node worker that parses pages. One page is so deep that whoever takes it gives up, with exit code 65. @module */
import { startHeartbeat } from "../../clients/heartbeat.js";

/** EX_DATAERR: the input is wrong. */
const INPUT_IS_WRONG = 65;
const READS_MS = 500;
const EVERY_MS = 200;
/** It ends by itself after this long, should nobody end it. */
const LIFE_MS = 300_000;

const { HEALD_TASK_ID: task = "", HEALD_ATTEMPT: attempt, POISON: poison } = process.env;
const heartbeat = startHeartbeat({ intervalSeconds: 0.5, health: 100 });
console.log(`attempt ${attempt} takes ${task}`);
let lines = 0;
const work = setInterval(() => {
  lines += 1;
  heartbeat.beat({ activity: `line ${lines} of ${task}` });
}, EVERY_MS);
setTimeout(() => {
  if (task !== poison) return;
  console.log(`parse: nesting too deep in ${task}`);
  process.exit(INPUT_IS_WRONG);
}, READS_MS);
setTimeout(() => clearInterval(work), LIFE_MS);
