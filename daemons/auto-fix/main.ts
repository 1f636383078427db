#!/usr/bin/env node
/** The auto-fix daemon: wires patterns, metrics and people's answers to its core and runs. @module */
import { isProgram } from "../../lib/platform/package.js";
import { type DaemonDefinition, runDaemon } from "../../lib/runtime/daemon.js";
import { HostSource } from "../../lib/runtime/host-source.js";
import { Notifications } from "../../lib/runtime/notifying.js";
import { Acting } from "./acting.js";
import { ApprovalSource } from "./approval-source.js";
import { autoFixCore } from "./decide.js";
import { FactReader } from "./facts.js";
import { figuresOf } from "./figures.js";
import { HoldSource } from "./hold-source.js";
import type { Effect, Event } from "./messages.js";
import { MetricSource } from "./metric-source.js";
import { PatternSource } from "./pattern-source.js";
import { Performer } from "./perform.js";
import { type AutoFixSettings, autoFixPolicy } from "./policy.js";
import { Rules } from "./rules.js";
import { SignSource } from "./sign-source.js";
import type { RunPart, Slice } from "./state.js";

type Definition = DaemonDefinition<Slice, Event, Effect, AutoFixSettings, Parameters<typeof autoFixPolicy.complete>[0]>;

export const definition: Definition = {
  name: "auto-fix",
  summary:
    "Turns patterns and metric conditions into fixes, within limits; watches each for a window, and undoes those that did not help.",
  policy: autoFixPolicy,
  metricsName: "auto-fix-daemon",
  core: autoFixCore,
  open: (context) => {
    const rules = new Rules(context, () => {
      patterns.lookAtAll();
      metrics.rulesChanged();
    });
    const host = new HostSource(() => {
      patterns.lookAtAll();
      approvals.scan();
    });
    const reader = new FactReader(context.layout, rules.allowed, () => host.state);
    const patterns = new PatternSource(context, rules, reader);
    const metrics = new MetricSource(context, rules, reader);
    const notifications = new Notifications(context, "auto-fix", () => context.policy().settings.notification_enabled);
    const acting = new Acting(context.layout, rules.allowed, (id) => patterns.pattern(id));
    const approvals = new ApprovalSource(
      context,
      (run: RunPart, by) => (run.pattern_id === null ? metrics.approved(run, by) : patterns.approved(run, by)),
      () => host.state === "stopping",
    );
    const holds = new HoldSource(context, () => patterns.lookAtAll());
    const signs = new SignSource(context);
    return {
      perform: new Performer({ context, acting, reader, patterns, metrics, signs, notifications }).perform,
      sources: [host, notifications, rules, approvals, patterns, metrics, holds, signs],
      figures: () => ({ ...figuresOf(context), ...signs.figures(), ...notifications.notifier.figures() }),
      policyChanged: () => patterns.lookAtAll(),
    };
  },
};

if (isProgram(import.meta.url)) process.exitCode = await runDaemon(definition, process.argv.slice(2));
