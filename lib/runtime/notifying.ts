/**
 * Brings notifications into a daemon: the live policy, the folder of acknowledgements, and the event for each of them.
 *
 * auto-fix alone runs this: it owns `auto-fix/notify/`, and two senders of one queue would tell everything twice.
 *
 * @module
 */
import { Notifier } from "../notify/notifier.js";
import type { Log } from "../platform/log.js";
import { everySeconds } from "../platform/seconds.js";
import { type Watch, watchDirectory } from "../platform/watching.js";
import { makeEvent } from "../schema/events.js";
import { type NotificationSettings, notificationPolicy } from "../schema/notification-policy.js";
import { type Policy, readPolicy } from "../schema/policy.js";
import type { DaemonName } from "../schema/records.js";
import type { Layout } from "../store/layout.js";
import type { Source } from "./daemon.js";
import { PolicyFile, type PolicyInForce, type PolicyListener } from "./policy-file.js";
import type { Reporter } from "./reporting.js";

export interface NotifyingContext {
  readonly layout: Layout;
  readonly log: Log;
  readonly reporter: Reporter;
}

const POLICY_LOOK_SECONDS = 5;

/** The source `notifications` of a daemon. `notifier.notify(edge)` tells people; it may be called before `start`. */
export class Notifications implements Source {
  readonly name = "notifications";
  readonly scanEverySeconds = 30;
  readonly notifier: Notifier;
  readonly #context: NotifyingContext;
  readonly #daemon: DaemonName;
  readonly #policyFile: PolicyFile<NotificationSettings, Parameters<typeof notificationPolicy.complete>[0]>;
  #policy: Policy<NotificationSettings> = defaults();
  #watch: Watch | null = null;
  #endLooks: () => void = () => {};

  /** @param enabled A switch above the notification policy's own, such as `notification_enabled`. */
  constructor(context: NotifyingContext, daemon: DaemonName, enabled: () => boolean = () => true) {
    const { layout, log } = context;
    this.#context = context;
    this.#daemon = daemon;
    this.#policyFile = new PolicyFile(notificationPolicy, layout.configDir, layout.policyTextsDir);
    this.#policyFile.start(null, this.#listener(false));
    this.notifier = new Notifier({
      layout,
      log,
      policy: () => this.#policy,
      enabled,
      onAcknowledged: ({ incident_id, component, by, why, at_ms, event_id }) => {
        const message = `${by} has taken ${incident_id}`;
        const data = { by, component, why };
        const stamp = { id: event_id.replace(/-0$/, ""), atMs: at_ms, monoMs: 0 };
        const record = makeEvent(stamp, 0, daemon, "escalation_acknowledged", { incident_id }, { message, data });
        context.reporter.report({ kind: "report", record }, { again: true });
      },
    });
  }

  start(): void {
    const listener = this.#listener(true);
    this.#watch = watchDirectory(
      this.#context.layout.acknowledgementsDir,
      () => this.scan(),
      (cause) =>
        this.#context.log.warn({ cause: String(cause) }, "acknowledgements cannot be watched; they are scanned"),
    );
    this.#policyFile.follow(listener);
    this.#policyFile.look(listener);
    this.#endLooks = everySeconds(POLICY_LOOK_SECONDS, () => this.#policyFile.look(listener));
    this.notifier.start();
  }

  scan(): void {
    this.notifier.scan();
  }

  stop(): void {
    this.#watch?.close();
    this.#policyFile.close();
    this.#endLooks();
    this.notifier.stop();
  }

  #listener(isRunning: boolean): PolicyListener<NotificationSettings> {
    const { log, reporter, layout } = this.#context;
    const policy = notificationPolicy.name;
    return {
      loaded: (inForce: PolicyInForce<NotificationSettings>) => {
        this.#policy = inForce.policy;
        for (const note of inForce.notes) log.info({}, `${policy}.json: ${note}`);
        const data = { policy, policy_hash: inForce.hash, daemon: this.#daemon };
        reporter.newsOrLog("policy_loaded", { message: `${policy}.json is in force`, data });
        if (isRunning) this.notifier.policyChanged();
      },
      refused: (sentence: string) => {
        const message = sentence.replace(`${layout.coordination}/`, "coordination/");
        reporter.newsOrLog("policy_refused", { message, data: { policy, problem: sentence } });
      },
    };
  }
}

function defaults(): Policy<NotificationSettings> {
  const read = readPolicy(notificationPolicy, undefined);
  if (!read.ok) throw new Error("The shipped notification policy is not sound");
  return read.value.policy;
}
