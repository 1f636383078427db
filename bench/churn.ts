/** Many at once: a large fleet of which one in a hundred fails every minute; lag, memory, descriptors. @module */
import { readdirSync, readFileSync } from "node:fs";
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
    const lags: number[] = [];
    const bareLags: number[] = [];
    const memories: number[] = [];
    const everyMs = 60_000 / (workers * FAILING_SHARE_PER_MINUTE);
    const heald = { lab, pids };
    const ids = [...pids.keys()];
    const until = (atMs: number): Promise<void> =>
      new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - performance.now())));
    const end = performance.now() + seconds * 1000;
    for (let nth = 0; performance.now() < end; nth++) {
      const from = performance.now();
      lags.push(await killOne(heald, ids[(nth * 7919) % ids.length] as string));
      if (nth % 10 === 0) memories.push(memory());
      await until(from + everyMs / 2);
      bareLags.push(await killOne(bare, `bench-${nth % BARE_WORKERS}`));
      await until(from + everyMs);
    }
    const third = Math.max(1, Math.floor(memories.length / 3));
    return {
      name: "churn",
      what: `${workers} real workers, ${FAILING_SHARE_PER_MINUTE * 100} % killed every minute for ${seconds} s; SIGKILL until the replacement runs; in turn with a bare parent of ${BARE_WORKERS} workers among them`,
      policy: POLICY,
      leaves_out: "beats",
      ...compared(lags, bareLags),
      over_100_ms: lags.filter((lag) => lag > 100).length,
      baseline_over_100_ms: bareLags.filter((lag) => lag > 100).length,
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
