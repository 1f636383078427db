/** A fresh home for one test, with its whole layout. @module */
import { mkdtempSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type Home, openHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";

/** Makes an empty folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "heald-store-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function homeIn(folder: string): Home {
  return {
    home: folder,
    coordination: join(folder, "coordination"),
    logs: join(folder, "agents", "logs"),
    namedBy: "flag",
  };
}

export function temporaryLayout(): Layout {
  const home = homeIn(temporaryFolder());
  openHome(home, { create: true, claimOwnership: false });
  return new Layout(home);
}

/** Makes a file look as if it was written a while ago. */
export function age(path: string, seconds: number): void {
  const then = Date.now() / 1000 - seconds;
  utimesSync(path, then, then);
}
