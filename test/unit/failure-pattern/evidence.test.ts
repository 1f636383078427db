/** Guarantee: what a person wanted teaches nothing, also where the daemon may not read what it was. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { whyNothing } from "../../../daemons/failure-pattern/evidence.js";
import type { Sighting } from "../../../daemons/failure-pattern/messages.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";

const IS_ROOT = process.geteuid?.() === 0;
const ended = { kind: "ended", cause: null, worker_id: "a", worker_type: "scan-worker", reason: "exited" } as Sighting;

let root: string;
let layout: Layout;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heald-evidence-"));
  const home = resolveHome({}, root, root);
  if (home === null) throw new Error("no home");
  openHome(home, { create: true, claimOwnership: false });
  layout = new Layout(home);
  spawnSync("find", [root, "-type", "d", "-exec", "chmod", "a+rx", "{}", "+"]);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** As a daemon that is not root. */
function why(): string | null {
  if (IS_ROOT) process.seteuid?.(65534);
  try {
    return whyNothing(layout, ended, null);
  } finally {
    if (IS_ROOT) process.seteuid?.(0);
  }
}

function wish(text: string, mode: number): void {
  writeFileSync(layout.desired("a"), text);
  chmodSync(layout.desired("a"), mode);
}

describe("an end", () => {
  test("teaches where nobody wanted it", () => {
    expect(why()).toBeNull();
    wish('{"state":"running"}', 0o644);
    expect(why()).toBeNull();
  });

  test.each([
    ["may be read", 0o644],
    ["may not be read", 0o000],
  ])("teaches nothing where a wish that %s stopped the worker", (_, mode) => {
    wish('{"state":"stopped"}', mode);
    expect(why()).toBe("stopped");
  });
});
