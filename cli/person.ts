/** Who gives an order, as it is written into the records. @module */
import { userInfo } from "node:os";

/** `person:<name>`: a person's orders spend no retries and pass what only holds machines back. */
export function person(): string {
  return `person:${process.env.SUDO_USER || userName()}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${process.getuid?.() ?? "unknown"}`; // A user without an entry in passwd, as in many containers.
  }
}
