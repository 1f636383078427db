/** From findings to a plan of repairs, each said before it is done. @module */
import { DAEMONS, type DaemonName } from "../../lib/schema/records.js";
import type { Finding, Repair } from "./finding.js";

export interface Planned {
  readonly repair: Repair;
  readonly about: string;
  readonly sentence: string;
  /** The daemon that must be down: its lock is held meanwhile. */
  readonly owner: DaemonName | null;
}

/** What `--repair` would do, in the order in which it is done, each thing once. */
export function planOf(findings: readonly Finding[]): Planned[] {
  const planned = new Map<string, Planned>();
  for (const { repair, about } of findings) {
    if (repair === undefined) continue;
    const key = `${repair.kind} ${repair.path}`;
    if (!planned.has(key)) planned.set(key, { repair, about, sentence: sentenceOf(repair), owner: ownerOf(repair) });
  }
  return [...planned.values()].sort((a, b) => rank(a) - rank(b) || turn(a) - turn(b));
}

/** A mode is mended where the file is still at its place: afterwards it may have been moved aside. */
function turn({ repair }: Planned): number {
  return repair.kind === "set-mode" ? 0 : 1;
}

/** What needs no lock comes first; then daemon by daemon, so that each lock is taken once. */
function rank({ owner }: Planned): number {
  return owner === null ? -1 : DAEMONS.indexOf(owner);
}

function ownerOf(repair: Repair): DaemonName | null {
  return "owner" in repair ? (repair.owner ?? null) : null;
}

function sentenceOf(repair: Repair): string {
  switch (repair.kind) {
    case "close-line":
      return "append a newline to its last line";
    case "set-aside":
      return "move it to aside/";
    case "set-mode":
      return `set its mode to ${repair.mode.toString(8).padStart(4, "0")}`;
    case "remove-temporary":
      return "remove it";
    case "put-back":
      return "put it back to wait, or drop it where its end is on file";
    case "write-version":
      return "write it";
    case "rebuild-status":
      return "make it anew from what heartbeat-monitor remembers";
    case "rebuild-prometheus":
      return "make it anew from the daemons' figures";
    case "rebuild-pattern-index":
      return "make it anew from what failure-pattern remembers";
    case "rebuild-breaker":
      return "write it from the restart history";
  }
}
