/** Which policy was in force when, as the daemons' own news and the texts kept beside the decisions tell. @module */
import { existsSync, readFileSync } from "node:fs";
import type { Policy } from "../../lib/schema/policy.js";
import { type PolicyDefinition, readPolicy } from "../../lib/schema/policy.js";
import { linesOfLog } from "../../lib/store/decisions.js";
import type { Layout } from "../../lib/store/layout.js";
import { parsed } from "../../lib/store/log-file.js";

export class PolicyTimeline<Settings> {
  readonly #layout: Layout;
  readonly #definition: PolicyDefinition<Settings, never>;
  readonly #texts = new Map<string, Policy<Settings> | null>();
  /** Oldest first. */
  readonly #loads: { readonly atMs: number; readonly hash: string }[] = [];

  constructor(layout: Layout, definition: PolicyDefinition<Settings, never>) {
    this.#layout = layout;
    this.#definition = definition;
    for (const line of linesOfLog(layout, layout.eventLog("daemon"))) {
      if (!line.includes('"policy_loaded"')) continue;
      const load = loadIn(line, definition.name);
      if (load !== null) this.#loads.push(load);
    }
    this.#loads.sort((a, b) => a.atMs - b.atMs);
  }

  /** Where the news are gone, the decisions themselves tell which policy was in force. */
  learnFrom(lines: Iterable<string>): void {
    if (this.#loads.length > 0) return;
    for (const line of lines) {
      const hash = /"policy_hash":"([0-9a-f]{16})"/.exec(line.slice(line.lastIndexOf('"policy_hash"')))?.[1];
      if (hash === undefined || hash === this.#loads.at(-1)?.hash || line.includes('"mode":"shadow"')) continue;
      const atMs = Number(/"at_ms":(\d+)/.exec(line)?.[1] ?? 0);
      this.#loads.push({ atMs, hash });
    }
  }

  /** The policy of a decision; null if its text is gone, or is not read any more. */
  byHash(hash: string): Policy<Settings> | null {
    const known = this.#texts.get(hash);
    if (known !== undefined) return known;
    const policy = this.#read(hash);
    this.#texts.set(hash, policy);
    return policy;
  }

  /** The policy at an instant; before the first news, the first that is known; without any, the defaults. */
  at(atMs: number): Policy<Settings> {
    let low = 0;
    let high = this.#loads.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#loads[middle] as { atMs: number }).atMs <= atMs) low = middle + 1;
      else high = middle;
    }
    const load = this.#loads[Math.max(0, low - 1)];
    return (load === undefined ? null : this.byHash(load.hash)) ?? this.#defaults();
  }

  /** Every policy that was in force since. */
  since(atMs: number): Policy<Settings>[] {
    const hashes = new Set(this.#loads.filter((load) => load.atMs >= atMs).map(({ hash }) => hash));
    const later = [...hashes].flatMap((hash) => this.byHash(hash) ?? []);
    const before = this.at(atMs);
    return later.includes(before) ? later : [before, ...later];
  }

  #defaults(): Policy<Settings> {
    const known = this.#texts.get("");
    if (known !== undefined && known !== null) return known;
    const read = readPolicy(this.#definition, undefined);
    if (!read.ok) throw new Error(`The defaults of ${this.#definition.name} are refused`);
    this.#texts.set("", read.value.policy);
    return read.value.policy;
  }

  #read(hash: string): Policy<Settings> | null {
    if (!/^[0-9a-f]{16}$/.test(hash)) return null;
    const path = this.#layout.policyText(hash);
    if (!existsSync(path)) return null;
    const raw = parsed(readFileSync(path, "utf8"));
    const read = raw === null ? null : readPolicy(this.#definition, raw);
    return read?.ok === true ? read.value.policy : null;
  }
}

function loadIn(line: string, name: string): { readonly atMs: number; readonly hash: string } | null {
  // A torn line: its load is missing, and the next one counts from its own time.
  const { at_ms, data } = (parsed(line) ?? {}) as {
    at_ms?: unknown;
    data?: { policy?: unknown; policy_hash?: unknown };
  };
  if (data?.policy !== name || typeof data.policy_hash !== "string" || typeof at_ms !== "number") return null;
  return { atMs: at_ms, hash: data.policy_hash };
}
