//! By what an agent is known. It can call its session, itself and its workspace something else each time, but for the
//! account, which the kernel says.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::request::Request;

/// Who tries. Ordered: the narrowest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Key {
    /// A session of an account, sub-agents in it included.
    Session {
        /// Its name, as the client gives it.
        session: Bytes,
        /// The account.
        uid: u32,
    },
    /// A coding agent of an account.
    Agent {
        /// Its name; empty for programs that give none.
        agent: Bytes,
        /// The account.
        uid: u32,
    },
    /// What works in a workspace by an account.
    Workspace {
        /// The account.
        uid: u32,
        /// The directory; empty outside of any.
        workspace: Bytes,
    },
    /// What was started by somebody who had logged in as himself, and runs by other accounts.
    Starter {
        /// His account.
        uid: u32,
    },
    /// An account, with all that is not a person at a terminal.
    Account {
        /// The account.
        uid: u32,
    },
}

impl Key {
    /// By what whoever asks for this is known. `login` is the account that had logged in.
    pub fn of(request: &Request, login: Option<u32>) -> BTreeSet<Self> {
        let uid = request.asked_by();
        let agent = request.asker.as_ref().map(|asker| asker.agent.clone()).unwrap_or_default();
        let workspace = request.workspace.clone().unwrap_or_default();
        let session = request.session.clone().map(|session| Self::Session { session, uid });
        let starter = login.filter(|login| *login != uid).map(|uid| Self::Starter { uid });
        let mut keys =
            BTreeSet::from([Self::Agent { agent, uid }, Self::Workspace { uid, workspace }, Self::Account { uid }]);
        keys.extend(session);
        keys.extend(starter);
        keys
    }

    /// The account that it is about.
    pub const fn uid(&self) -> u32 {
        match self {
            Self::Session { uid, .. }
            | Self::Agent { uid, .. }
            | Self::Workspace { uid, .. }
            | Self::Starter { uid }
            | Self::Account { uid } => *uid,
        }
    }

    /// For people to read, as the subject of a sentence.
    pub fn in_words(&self) -> String {
        match self {
            Self::Session { session, uid } => format!("the session {} of user {uid}", session.quoted()),
            Self::Agent { agent, uid } if agent.as_slice().is_empty() => {
                format!("whatever user {uid} runs without a name")
            }
            Self::Agent { agent, uid } => format!("the agent {} of user {uid}", agent.quoted()),
            Self::Workspace { uid, workspace } if workspace.as_slice().is_empty() => {
                format!("what user {uid} runs outside of any workspace")
            }
            Self::Workspace { uid, workspace } => {
                format!("what works in {} by user {uid}", workspace.quoted())
            }
            Self::Starter { uid } => format!("what user {uid} started"),
            Self::Account { uid } => format!("whatever agents run as user {uid}"),
        }
    }
}
