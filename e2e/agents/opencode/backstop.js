// Asks a hook's program before each tool call: whatever is not an answer that it knows stops the call.
import { spawnSync } from "node:child_process"

const ask = (program, question) => {
  const said = spawnSync("/bin/sh", ["-c", program], { input: JSON.stringify(question), encoding: "utf8", timeout: @MILLIS@ })
  if (said.error || said.signal || said.status !== 0) throw new Error(said.stderr || "the hook did not answer")
  return JSON.parse(said.stdout)
}

export const Backstop = async ({ directory }) => {
  const question = (event, input, args) => ({
    event, session: input.sessionID, call: input.callID, cwd: directory, tool: input.tool, args,
  })
  return {
    "tool.execute.before": async (input, output) => {
      const answer = ask("@HOOK@", question("tool", input, output.args))
      if (answer.args) Object.assign(output.args, answer.args)
      else if (answer.pass !== true) throw new Error(answer.deny ?? "the hook did not answer")
    },
    "tool.execute.after": async (input) => {
      ask("@BESIDE@", question("after", input, input.args))
    },
  }
}
