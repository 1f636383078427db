/**
 * Many at once: a large fleet of which one in a hundred fails every minute; lag, memory, descriptors.
 *
 * The *lag* is the daemons' own: from the exit record, which the dead worker's launcher has written, until worker-restart has
 * told the next launcher. What comes before and after it is the kernel's and the programs': the end of a process, and the start of one.
 * @module
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { eventSchema } from "../lib/schema/events.js";
import { BareParent, killOne } from "./bare.js";
import { compared, percentile, pssMib, round } from "./figures.js";
import { Lab, STEADY_RESTART_POLICY } from "./lab.js";
import type { Result } from "./main.js";

const FAILING_SHARE_PER_MINUTE = 0.01;
/** Workers of the bare parent, which lives on the same machine, among the others' processes. */
const BARE_WORKERS = 100;

const POLICY = { heartbeat: { heartbeat_interval_seconds: 30 }, restart: STEADY_RESTART_POLICY };

/** @param workers Real processes; each costs two (launcher and program), about 0.5 MiB together. */
export async function churn(workers: number, seconds: number): Promise<Result> {
  const lab = new Lab(POLICY);
  let bare: BareParent | null = null;
  const pids = new Map<string, number>();
  try {
    for (let nth = 0; nth < workers; nth++) {
      lab.addWorker(`bench-${nth}`, { launch: true });
      for (const { id, pid } of lab.started()) pids.set(id, pid);
    }
    for (const { id, pid } of await lab.awaitStarted(workers - pids.size, 600_000)) pids.set(id, pid);
    const readyMs = await lab.start("heartbeat-monitor", "worker-restart");
    bare = await BareParent.open(BARE_WORKERS);
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    const daemons = [lab.pidOf("heartbeat-monitor"), lab.pidOf("worker-restart")];
    const memory = (): number => daemons.reduce((sum, pid) => sum + pssMib(pid), 0);
    const recoveries: number[] = [];
    const bareRecoveries: number[] = [];
    const deaths: Death[] = [];
    const attempts = new Map<string, number>();
    const memories: number[] = [];
    const everyMs = 60_000 / (workers * FAILING_SHARE_PER_MINUTE);
    const heald = { lab, pids };
    const ids = [...pids.keys()];
    const until = (atMs: number): Promise<void> =>
      new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - performance.now())));
    const end = performance.now() + seconds * 1000;
    for (let nth = 0; performance.now() < end; nth++) {
      const from = performance.now();
      const id = ids[(nth * 7919) % ids.length] as string;
      const attempt = attempts.get(id) ?? 1;
      const killedAtMs = Date.now();
      recoveries.push(await killOne(heald, id));
      attempts.set(id, attempt + 1);
      deaths.push({ id, attempt, killedAtMs, recordedAtMs: statSync(lab.layout.exit(id, attempt)).mtimeMs });
      if (nth % 10 === 0) memories.push(memory());
      await until(from + everyMs / 2);
      bareRecoveries.push(await killOne(bare, `bench-${nth % BARE_WORKERS}`));
      await until(from + everyMs);
    }
    const third = Math.max(1, Math.floor(memories.length / 3));
    return {
      name: "churn",
      what: `${workers} real workers, ${FAILING_SHARE_PER_MINUTE * 100} % killed every minute for ${seconds} s; SIGKILL until the replacement runs; in turn with a bare parent of ${BARE_WORKERS} workers among them`,
      policy: POLICY,
      leaves_out: "beats",
      ...compared(recoveries, bareRecoveries),
      over_100_ms: recoveries.filter((ms) => ms > 100).length,
      baseline_over_100_ms: bareRecoveries.filter((ms) => ms > 100).length,
      ...lagsOf(lab, deaths),
      ready_ms: round(readyMs, 0),
      pss_mib_first_third: round(percentile(memories.slice(0, third), 0.5), 1),
      pss_mib_last_third: round(percentile(memories.slice(-third), 0.5), 1),
      descriptors: daemons.reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0),
      inotify_watches_max: Number(readFileSync("/proc/sys/fs/inotify/max_user_watches", "utf8")),
    };
  } finally {
    await bare?.close();
    await lab.close();
  }
}

interface Death {
  readonly id: string;
  readonly attempt: number;
  readonly killedAtMs: number;
  /** When its exit record was written. */
  readonly recordedAtMs: number;
}

/** From the exit record, and from the kill, until a launcher was told, by what worker-restart says of it. */
function lagsOf(lab: Lab, deaths: readonly Death[]): Record<string, number> {
  const told = new Map<string, number>();
  for (const line of readFileSync(lab.layout.eventLog("worker-restart"), "utf8").split("\n")) {
    if (!line.includes('"worker_restart_started"')) continue;
    const { worker_id, attempt, at_ms } = eventSchema.parse(JSON.parse(line));
    told.set(`${worker_id} ${attempt}`, at_ms as number);
  }
  const toldAt = ({ id, attempt }: Death): number => told.get(`${id} ${attempt + 1}`) ?? Number.NaN;
  const lags = deaths.map((death) => toldAt(death) - death.recordedAtMs);
  const fromKill = deaths.map((death) => toldAt(death) - death.killedAtMs);
  return {
    lag_p50_ms: round(percentile(lags, 0.5)),
    lag_p99_ms: round(percentile(lags, 0.99)),
    lag_max_ms: round(Math.max(...lags)),
    lag_over_100_ms: lags.filter((ms) => !(ms <= 100)).length,
    kill_to_told_p99_ms: round(percentile(fromKill, 0.99)),
    record_p99_ms: round(
      percentile(
        deaths.map((death) => death.recordedAtMs - death.killedAtMs),
        0.99,
      ),
    ),
  };
}
