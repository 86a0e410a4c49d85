//! A client that speaks just enough MCP over pipes to the real program, and says what came in which order.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::place::Place;

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Client {
    child: Child,
    heard: Receiver<Value>,
    /// What came while something else was waited for.
    aside: VecDeque<Value>,
    next: u64,
    stdin: Option<ChildStdin>,
    stderr: Option<thread::JoinHandle<String>>,
}

impl Client {
    /// A client that can show forms, or can't, in the place's workspace.
    pub fn new(place: &Place, elicits: bool) -> Self {
        let capabilities = if elicits { json!({"elicitation": {}}) } else { json!({}) };
        Self::begin(place, &["mcp"], &capabilities, &[])
    }

    pub fn begin(place: &Place, args: &[&str], capabilities: &Value, environment: &[(&str, &str)]) -> Self {
        let mut client = Self::start(place, args, environment);
        let info = json!({"name": "Test Client", "version": "1"});
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info});
        let id = client.send("initialize", &hello);
        let said = client.answer(id);
        assert_eq!(said["result"]["protocolVersion"], "2025-11-25", "{said}");
        client.tell("notifications/initialized", &json!({}));
        client.aside.push_front(said);
        client
    }

    /// A server that nothing was said to yet.
    pub fn start(place: &Place, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = place.command(args);
        command.envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("backstop starts");
        let (tell, heard) = channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let said = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
                if tell.send(said).is_err() {
                    return;
                }
            }
        });
        let err = child.stderr.take().expect("piped");
        let stderr = thread::spawn(move || std::io::read_to_string(err).expect("text"));
        let stdin = child.stdin.take();
        Self { child, heard, aside: VecDeque::new(), next: 0, stdin, stderr: Some(stderr) }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What `initialize` was answered.
    pub fn hello(&mut self) -> Value {
        self.aside.pop_front().expect("it is the first")["result"].take()
    }

    pub fn line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("open");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("it reads");
    }

    /// A request; its id.
    pub fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.next += 1;
        let id = self.next;
        self.line(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        id
    }

    pub fn tell(&mut self, method: &str, params: &Value) {
        self.line(&json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string());
    }

    /// The next message that `wanted` is true of; none within `patience`.
    pub fn within(&mut self, patience: Duration, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        if let Some(at) = self.aside.iter().position(&wanted) {
            return self.aside.remove(at);
        }
        let end = Instant::now() + patience;
        loop {
            match self.heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(said) if wanted(&said) => return Some(said),
                Ok(said) => self.aside.push_back(said),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    pub fn answer(&mut self, id: u64) -> Value {
        self.within(PATIENCE, |said| said["id"] == id && said.get("method").is_none()).expect("an answer")
    }

    pub fn start_tool(&mut self, name: &str, arguments: &Value) -> u64 {
        self.send("tools/call", &json!({"name": name, "arguments": arguments, "_meta": {"progressToken": "p"}}))
    }

    /// What a tool answers.
    pub fn tool(&mut self, name: &str, arguments: &Value) -> Value {
        let id = self.start_tool(name, arguments);
        let mut said = self.answer(id);
        assert!(said.get("error").is_none(), "{name} {arguments}: {said}");
        said["result"].take()
    }

    pub fn shell(&mut self, command: &str) -> Value {
        self.tool("shell", &json!({"command": command}))
    }

    /// The question that the server asks next.
    pub fn question(&mut self) -> Value {
        self.within(PATIENCE, |said| said["method"] == "elicitation/create").expect("a question")
    }

    pub fn is_asked(&mut self) -> bool {
        self.within(Duration::ZERO, |said| said["method"] == "elicitation/create").is_some()
    }

    pub fn reply(&mut self, question: &Value, result: &Value) {
        self.line(&json!({"jsonrpc": "2.0", "id": question["id"], "result": result}).to_string());
    }

    /// Closes standard input; the exit code, and what it said on standard error.
    pub fn leave(mut self) -> (Option<i32>, String) {
        drop(self.stdin.take());
        let code = self.child.wait().expect("it ends").code();
        (code, self.stderr.take().expect("once").join().expect("read"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ended = self.child.wait();
    }
}

/// All texts of a tool's answer.
pub fn text(result: &Value) -> String {
    let blocks = result["content"].as_array().expect("content").iter();
    blocks.map(|b| b["text"].as_str().expect("text")).collect::<Vec<_>>().join("\n")
}
