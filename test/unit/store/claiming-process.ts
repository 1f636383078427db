/** A process of its own that claims everything it can from a mailbox and prints what it got; for the claim race. @module */
import { existsSync } from "node:fs";
import { filedName, Mailbox } from "../../../lib/store/mailbox.js";

const [folder, claimed, done, failed, rejected, gate] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string,
];
const mailbox = new Mailbox(folder, { claimed, done, failed, rejected });
process.stdout.write("ready\n");
// All wait for one file, so that they begin together.
while (!existsSync(gate)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
const got: string[] = [];
for (let names = mailbox.list(); names.length > 0; names = mailbox.list()) {
  for (const name of names) {
    const path = mailbox.claim(name);
    if (path !== null) got.push(filedName(path));
  }
}
process.stdout.write(`${JSON.stringify(got)}\n`);
