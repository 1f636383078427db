/** A process that appends numbered records and rotates the log often, for a reader in another process. @module */
import { EventLogWriter } from "../../../lib/store/logs.js";

const [path, archiveDir, count] = process.argv.slice(2) as [string, string, string];
const log = new EventLogWriter(path, { maxBytes: 20_000, archiveDir, owner: true });
for (let n = 0; n < Number(count); n++) {
  log.append({ n });
  if (n % 50 === 0) log.rotateIfLarge(Date.now(), "writer");
}
log.close();
