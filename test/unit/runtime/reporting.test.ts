/** Guarantee: what is in force does not depend on whether it can be said. */
import { mkdirSync, writeFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { type Context, Rules } from "../../../daemons/auto-fix/rules.js";
import type { Log } from "../../../lib/platform/log.js";
import { Notifications } from "../../../lib/runtime/notifying.js";
import { Reporter } from "../../../lib/runtime/reporting.js";
import { temporaryLayout } from "../store/temporary-home.js";

/** A home whose log of daemons' news cannot be written, and what the daemon's own log says instead. */
function speechless(): { readonly context: Context; readonly warned: string[] } {
  const layout = temporaryLayout();
  mkdirSync(layout.eventLog("daemon"), { recursive: true });
  const warned: string[] = [];
  const log = { info: () => undefined, warn: (_: object, text: string) => warned.push(text) } as unknown as Log;
  const reporter = new Reporter(layout, "auto-fix", log, () => ({ id: "1", atMs: 1, monoMs: 1 }));
  return { context: { layout, log, reporter } as unknown as Context, warned };
}

test("rules that were changed hold, and are told to whoever uses them, though the news cannot be written", () => {
  const { context, warned } = speechless();
  let changes = 0;
  const rules = new Rules(context, () => {
    changes += 1;
  });
  onTestFinished(() => rules.stop());
  const path = context.layout.config("allowed-commands");
  writeFileSync(path, JSON.stringify({ commands: [] }), { mode: 0o640 });
  rules.start();
  expect(changes).toBe(3);
  expect(warned).toContain("allowed-commands.json is in force");
  writeFileSync(path, '{"commands": 1}', { mode: 0o640 });
  rules.scan();
  expect(warned.at(-1)).toContain("Cannot load policy");
});

test("a notification policy holds though the news of it cannot be written", () => {
  const { context, warned } = speechless();
  const path = context.layout.config("notification-policy");
  writeFileSync(path, JSON.stringify({}), { mode: 0o640 });
  const notifications = new Notifications(context, "auto-fix");
  onTestFinished(() => notifications.stop());
  expect(warned).toContain("notification-policy.json is in force");
});
