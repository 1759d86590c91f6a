/**
 * Runs every operation the client offers against the namespace that SERVICEBUS_CONNECTION names, and prints a line of
 * JSON for each: `{"name", "ok", "error", "ms"}`. Ends with status 1 when one of them failed.
 *
 * SERVICEBUS_ADMINISTRATION is the connection string for making entities, where that is another endpoint, as with an
 * emulator; `Endpoint=http://...` in it means without TLS. With an argument, only the operations whose names hold it run.
 *
 * By hand: `npm install --no-package-lock`, then
 * `SERVICEBUS_CONNECTION=... SERVICEBUS_ADMINISTRATION=... node smoke.mjs [part of a name]`.
 */

import "./sending.mjs";
import "./receiving.mjs";
import "./settling.mjs";
import "./topics.mjs";
import "./sessions.mjs";
import "./administration.mjs";
import { runAll } from "./harness.mjs";

if (!process.env.SERVICEBUS_CONNECTION) {
  console.error("SERVICEBUS_CONNECTION is not set: it is the connection string of the namespace to run against");
  process.exit(2);
}
let failed = 0;
await runAll({
  connection: process.env.SERVICEBUS_CONNECTION,
  administration: process.env.SERVICEBUS_ADMINISTRATION,
  only: process.argv[2],
  report(outcome) {
    failed += outcome.ok ? 0 : 1;
    process.stdout.write(`${JSON.stringify(outcome)}\n`);
  },
});
process.exitCode = failed === 0 ? 0 : 1;
