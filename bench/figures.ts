/** Figures of samples, of processes, and of the machine. @module */
import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";

/** The value below which a share of the samples lies (nearest rank). */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN;
}

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits));

/** What every benchmark of a time says: heald's samples, and those of what it is compared with. */
export function compared(ours: readonly number[], theirs: readonly number[]) {
  const p50 = percentile(ours, 0.5);
  const baseline = percentile(theirs, 0.5);
  return {
    p50_ms: round(p50),
    p99_ms: round(percentile(ours, 0.99)),
    max_ms: round(Math.max(...ours)),
    baseline_p50_ms: round(baseline),
    baseline_p99_ms: round(percentile(theirs, 0.99)),
    baseline_max_ms: round(Math.max(...theirs)),
    ratio: baseline > 0 ? round(p50 / baseline) : null,
    samples: ours.length,
  };
}

/** CPU seconds (user and system) that a process has used. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Proportional set size of a process, MiB. */
export function pssMib(pid: number): number {
  const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
  return Number(match?.[1] ?? 0) / 1024;
}

export function machine(): string {
  const model = cpus()[0]?.model ?? "unknown CPU";
  const kernel = readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
  return `${cpus().length} cores (${model}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${kernel}, Node ${process.version}`;
}
