// Asks a hook's program before each tool call: whatever is not an answer that it knows stops the call.
import { spawnSync } from "node:child_process";

function ask(program: string, question: unknown): any {
  const said = spawnSync("/bin/sh", ["-c", program], { input: JSON.stringify(question), encoding: "utf8", timeout: @MILLIS@ });
  if (said.error || said.signal || said.status !== 0) throw new Error(said.stderr || "the hook did not answer");
  return JSON.parse(said.stdout);
}

export default function (pi: any) {
  const question = (event: string, used: any, ctx: any) => ({
    event, session: "pi", call: used.toolCallId, cwd: ctx?.cwd ?? process.cwd(), tool: used.toolName, args: used.input,
  });
  pi.on("tool_call", async (used: any, ctx: any) => {
    const answer = ask("@HOOK@", question("tool", used, ctx));
    if (answer.args) Object.assign(used.input, answer.args);
    else if (answer.pass !== true) return { block: true, reason: answer.deny ?? "the hook did not answer" };
    return undefined;
  });
  pi.on("tool_result", async (used: any, ctx: any) => {
    ask("@BESIDE@", question("after", used, ctx));
    return undefined;
  });
}
