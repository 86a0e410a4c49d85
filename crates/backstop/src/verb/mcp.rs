//! `mcp`: the guarded shell for clients that speak MCP, on standard input and output. Runs nothing itself:
//! each call starts this program anew, and whatever goes wrong ends in an error, with nothing run.

mod answer;
mod ask;
mod child;
mod kept;
mod own;
mod server;
mod shell;
mod tools;

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use backstop_engine::Failure;
use backstop_engine::porch::{self, Caller};
use rmcp::model::ProgressNotificationParam;
use rmcp::service::{RequestContext, ServerInitializeError};
use rmcp::{RoleServer, ServiceExt};
use tokio::io::{AsyncRead, ReadBuf, Stdin};
use tokio::runtime;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};

use self::child::Cut;
use crate::args::Mcp;
use crate::out::Done;
use crate::screen::message;
use crate::screen::style::head;
use crate::{clock, exit, inside};

/// How many programs run at once; each has three threads of the runtime's, which are 512 in all.
const AT_ONCE: usize = 64;
/// Columns of a progress line.
const WIDE: usize = 200;

/// What all calls of a client share.
pub struct Server {
    /// How many calls there were.
    calls: AtomicU64,
    /// Questions may be asked through the client.
    elicit: bool,
    /// True once the client is gone.
    gone: watch::Receiver<bool>,
    /// This server is itself inside a run, where `run` passes commands through and records are masked.
    inside: bool,
    /// Where its commands may be: beneath its workspace; without one, where it was started.
    place: Place,
    /// The session that its runs belong to.
    session: String,
    /// Who may start a program.
    turns: Semaphore,
}

/// The place that a server works in, found once: no call can choose another workspace by a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Anywhere in this workspace.
    Workspace(PathBuf),
    /// Here alone: from elsewhere there could be another.
    Here,
}

impl Place {
    fn find() -> Result<Self, Failure> {
        let caller = Caller::of_this_process();
        let (settings, accounts) = porch::settings(caller)?;
        let found = porch::workspace_here(caller, &accounts, &settings.kinds.classes)?;
        Ok(found.map_or(Self::Here, Self::Workspace))
    }
}

/// One call of a tool.
pub struct Call {
    /// What came with it.
    context: RequestContext<RoleServer>,
    /// What all calls share.
    server: Arc<Server>,
}

/// `backstop mcp`.
pub fn mcp(typed: &Mcp) -> Done {
    let failed = |e: io::Error| Failure::because("the server can't be started", &e);
    let runtime = runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
    // Inside a run nobody's workspace is found: the outer run's counts.
    let place = if inside::is_inside() { Place::Here } else { Place::find()? };
    let done = runtime.block_on(serve(!typed.no_elicitation, place));
    // Standard input may be in a read that never ends.
    runtime.shutdown_background();
    done
}

async fn serve(elicit: bool, place: Place) -> Done {
    let (tell, gone) = watch::channel(false);
    let server = Arc::new(Server {
        calls: AtomicU64::new(0),
        elicit,
        gone,
        inside: inside::is_inside(),
        place,
        session: session(),
        turns: Semaphore::new(AT_ONCE),
    });
    let ear = Ear { gone: tell, stdin: tokio::io::stdin() };
    match server::Handler(server.clone()).serve((ear, tokio::io::stdout())).await {
        Ok(running) => {
            let ended = running.waiting().await;
            // Without turns left nothing new begins; what runs has been told to end.
            let all = server.turns.acquire_many(AT_ONCE as u32);
            let _late = timeout(child::GRACE + Duration::from_secs(2), all).await;
            match ended {
                Ok(_) => Ok(exit::OK),
                Err(error) => Err(Failure::because("the server failed", &error).into()),
            }
        }
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(exit::OK),
        Err(error) => Err(Failure::because("the client does not begin as MCP says", &error).into()),
    }
}

/// A name that no other server's session has.
fn session() -> String {
    let now = clock::now();
    format!("mcp-{:x}-{:x}-{:x}", now.secs, now.nanos, std::process::id())
}

impl Call {
    /// An id for a run of this call, which no other run has.
    fn id(&self) -> String {
        format!("{}-{}", self.server.session, self.server.calls.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Comes back once nobody wants the answer any more.
    async fn unwanted(&self, late: Option<Instant>) -> Cut {
        let mut gone = self.server.gone.clone();
        let late = async {
            match late {
                Some(late) => sleep_until(late).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.context.ct.cancelled() => Cut::Cancelled,
            // The other end of the channel goes when the client does.
            _ = gone.wait_for(|gone| *gone) => Cut::Gone,
            () = late => Cut::Late,
        }
    }

    fn wants_progress(&self) -> bool {
        self.context.meta.get_progress_token().is_some()
    }

    /// Tells the client that `done` bytes of output are there, `line` the latest of it.
    async fn progress(&self, done: u64, line: Option<Vec<u8>>) {
        let Some(token) = self.context.meta.get_progress_token() else { return };
        let mut told = ProgressNotificationParam::new(token, done as f64);
        told.message = line.map(|line| head(&message::tame(&line), WIDE));
        // A client that can't be told has its answer missing as well.
        let _unheard = self.context.peer.notify_progress(told).await;
    }
}

/// Standard input that tells of its end before the protocol does, which waits for answers first.
struct Ear {
    gone: watch::Sender<bool>,
    stdin: Stdin,
}

impl AsyncRead for Ear {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = to.filled().len();
        let read = Pin::new(&mut self.stdin).poll_read(context, to);
        match &read {
            Poll::Ready(Ok(())) if to.filled().len() > before => {}
            Poll::Ready(_) => {
                self.gone.send_replace(true);
            }
            Poll::Pending => {}
        }
        read
    }
}
