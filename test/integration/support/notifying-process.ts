/** A process that tells people of numbered edges, as a daemon that is started again and again would. @module */
import { Notifier } from "../../../lib/notify/notifier.js";
import { openLog } from "../../../lib/platform/log.js";
import { readNotificationPolicy } from "../../../lib/schema/notification-policy.js";
import { Layout } from "../../../lib/store/layout.js";

const [home, policyText, count] = process.argv.slice(2) as [string, string, string];
const read = readNotificationPolicy(JSON.parse(policyText));
if (!read.ok) throw new Error(JSON.stringify(read.problems));
const { policy } = read.value;
const layout = new Layout({
  home,
  coordination: `${home}/coordination`,
  logs: `${home}/agents/logs`,
  namedBy: "flag",
});
const notifier = new Notifier({ layout, log: openLog(null, { name: "auto-fix" }), policy: () => policy });
notifier.start();
let nth = 0;
const tellNext = (): void => {
  if (nth === Number(count)) return;
  notifier.notify({
    ...{ kind: "opened", incident_id: `inc-${nth}`, severity: "critical", component: "scan", title: `number ${nth}` },
    ...{ seen: "", tried: [], suggested: "", command: "" },
  });
  nth += 1;
  setImmediate(tellNext);
};
tellNext();
process.on("SIGTERM", () => notifier.stop());
