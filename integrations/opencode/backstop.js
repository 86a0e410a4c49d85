// Backstop's plugin for OpenCode: hands every tool call to `backstop hook opencode` before it runs, and does
// what is answered. Whatever goes wrong on the way throws, and what throws here is not run.
// `backstop install opencode` writes it, `backstop uninstall opencode` takes it away.
import { spawnSync } from "node:child_process"

const PROGRAM = "@BACKSTOP@"

// The hook itself answers within 2 s.
const TIMEOUT_MS = 10_000
const LIMIT_BYTES = 80 * 1024 * 1024

// What the hook answers: exactly one of `pass`, `args`, `deny`, `note`; anything else is no answer.
function ask(question) {
  const run = spawnSync(PROGRAM, ["hook", "opencode"], {
    input: JSON.stringify(question),
    encoding: "utf8",
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
    maxBuffer: LIMIT_BYTES,
  })
  if (run.error) throw new Error(`Backstop did not answer, so nothing was run: ${run.error.message}`)
  if (run.status !== 0) {
    const why = (run.stderr || "").trim() || run.signal || `exit code ${run.status}`
    throw new Error(`Backstop did not answer, so nothing was run: ${why}`)
  }
  let answer
  try {
    answer = JSON.parse(run.stdout)
  } catch {
    throw new Error("Backstop's answer can't be read, so nothing was run")
  }
  const keys = answer !== null && typeof answer === "object" && !Array.isArray(answer) ? Object.keys(answer) : []
  if (keys.length !== 1) throw new Error("Backstop's answer is not known, so nothing was run")
  return answer
}

function settle(answer, args) {
  if (answer.pass === true) return
  if (typeof answer.deny === "string") throw new Error(answer.deny || "stopped by Backstop")
  const given = answer.args
  if (given === null || typeof given !== "object" || Array.isArray(given)) {
    throw new Error("Backstop's answer is not known, so nothing was run")
  }
  // The client keeps this very object: it is changed, not replaced.
  for (const key of Object.keys(args)) if (!Object.hasOwn(given, key)) delete args[key]
  Object.assign(args, given)
}

// Arguments by call: afterwards not every version of the client hands them over.
const calls = new Map()

export const Backstop = async ({ directory }) => ({
  "tool.execute.before": async (input, output) => {
    const args = output.args ?? {}
    const question = {
      event: "tool",
      session: input.sessionID,
      call: input.callID,
      cwd: directory,
      tool: input.tool,
      args,
    }
    const asked = structuredClone(args)
    settle(ask(question), args)
    output.args = args
    calls.set(input.callID, asked)
  },
  "tool.execute.after": async (input) => {
    const args = calls.get(input.callID) ?? input.args ?? {}
    calls.delete(input.callID)
    const answer = ask({
      event: "after",
      session: input.sessionID,
      call: input.callID,
      cwd: directory,
      tool: input.tool,
      args,
    })
    // It is done already; the model has to know what could not be noted.
    if (typeof answer.deny === "string") throw new Error(answer.deny || "stopped by Backstop")
  },
})
