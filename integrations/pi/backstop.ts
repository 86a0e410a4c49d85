// Backstop's extension for Pi: hands every tool call to `backstop hook pi` before it runs, and does what is
// answered. Whatever goes wrong on the way blocks the call.
// `backstop install pi` writes it, `backstop uninstall pi` takes it away.
// Without type annotations, so that it is JavaScript as well and can be tested as it is.
import { spawnSync } from "node:child_process"

const PROGRAM = "@BACKSTOP@"

// The hook itself answers within 2 s.
const TIMEOUT_MS = 10_000
const LIMIT_BYTES = 80 * 1024 * 1024

// What the hook answers: exactly one of `pass`, `args`, `deny`, `note`; anything else is no answer.
function ask(question) {
  const run = spawnSync(PROGRAM, ["hook", "pi"], {
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

// Arguments by call, as they were asked about.
const calls = new Map()

export default function (pi) {
  const question = (event, kind, args, ctx) => ({
    event: kind,
    session: ctx?.sessionManager?.getSessionId?.(),
    call: event.toolCallId,
    cwd: ctx?.cwd ?? process.cwd(),
    tool: event.toolName,
    args,
  })

  pi.on("tool_call", async (event, ctx) => {
    try {
      const asked = structuredClone(event.input)
      settle(ask(question(event, "tool", event.input, ctx)), event.input)
      calls.set(event.toolCallId, asked)
      return undefined
    } catch (error) {
      return { block: true, reason: String(error?.message || "stopped by Backstop") }
    }
  })

  pi.on("tool_result", async (event, ctx) => {
    const args = calls.get(event.toolCallId) ?? event.input ?? {}
    calls.delete(event.toolCallId)
    try {
      const answer = ask(question(event, "after", args, ctx))
      if (typeof answer.deny !== "string") return undefined
      throw new Error(answer.deny)
    } catch (error) {
      // It is done already; the model has to know what could not be noted.
      const text = String(error?.message || "Backstop could not note this")
      return { content: [...(event.content ?? []), { type: "text", text }], isError: true }
    }
  })
}
