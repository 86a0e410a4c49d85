//! E-mail. It is sent by a process of its own, which may take so long and no longer: a server that never ends a line, or
//! says a byte now and then, keeps nobody else.

use std::io;
use std::process::{Command, ExitCode};

use backstop_core::notice::Notice;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{SmtpTransport, Transport as _};
use serde::{Deserialize, Serialize};

use super::{PATIENCE, Sender, secret};
use crate::child;
use crate::config::{self, Security};
use crate::deliver::Miss;

/// The verb by which this program sends one mail, for itself alone.
pub const VERB: &str = "send-mail";

/// RFC 3834: nobody's absence is to answer it.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }
    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }
    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

pub(super) struct Mail {
    config: config::Mail,
    password: Option<String>,
}

/// What the process that sends is given, on its standard input.
#[derive(Serialize, Deserialize)]
struct Letter {
    config: config::Mail,
    password: Option<String>,
    subject: String,
    id: String,
    text: String,
}

impl Mail {
    pub fn new(config: &config::Mail) -> Result<Self, String> {
        let password = config.password_file.as_deref().map(secret).transpose()?;
        mailbox(&config.from)?;
        config.to.iter().try_for_each(|to| mailbox(to).map(drop))?;
        Ok(Self { config: config.clone(), password })
    }
}

impl Sender for Mail {
    fn send(&self, notice: &Notice, link: Option<&str>) -> Result<(), Miss> {
        let letter = Letter {
            config: self.config.clone(),
            password: self.password.clone(),
            subject: notice.title(),
            id: notice.id.clone(),
            text: notice.text(link),
        };
        let own = std::env::current_exe().map_err(|e| Miss::again(e.to_string()))?;
        let input = serde_json::to_vec(&letter).map_err(|e| Miss::never(e.to_string()))?;
        match child::run(Command::new(own).arg(VERB), input, PATIENCE)? {
            (status, _) if status.success() => Ok(()),
            // Whatever it is, somebody may mend it within the day: a password, a full box, a greylist.
            (status, why) if why.trim().is_empty() => {
                Err(Miss::again(format!("the process that sends ended: {status}")))
            }
            (_, why) => Err(Miss::again(why.trim())),
        }
    }
}

/// Sends the one mail that is on standard input; says on standard output why it did not.
pub fn send_one() -> ExitCode {
    let letter: Result<Letter, _> = serde_json::from_reader(io::stdin().lock());
    match letter.map_err(|e| e.to_string()).and_then(|letter| letter.send()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

impl Letter {
    fn transport(&self) -> Result<SmtpTransport, String> {
        let builder = match self.config.security {
            Security::Tls => SmtpTransport::relay(&self.config.server),
            Security::Starttls => SmtpTransport::starttls_relay(&self.config.server),
            Security::Plain => Ok(SmtpTransport::builder_dangerous(&self.config.server)),
        };
        let mut builder = builder.map_err(|e| format!("the mail server {:?}: {e}", self.config.server))?;
        builder = builder.timeout(Some(PATIENCE));
        if let Some(port) = self.config.port {
            builder = builder.port(port);
        }
        if let (Some(user), Some(password)) = (&self.config.user, &self.password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(builder.build())
    }

    fn message(&self, from: &Mailbox, to: &[Mailbox]) -> Result<Message, String> {
        let builder = Message::builder()
            .from(from.clone())
            .subject(self.subject.clone())
            // The same whenever it is sent, so that a mail program shows it once.
            .message_id(Some(format!("<{}@{}>", self.id, from.email.domain())))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN);
        let builder = to.iter().fold(builder, |builder, to| builder.to(to.clone()));
        builder.body(self.text.clone()).map_err(|e| e.to_string())
    }

    /// To each by himself: one who is not there any more must not keep the others from hearing of it.
    fn send(&self) -> Result<(), String> {
        let from = mailbox(&self.config.from)?;
        let to: Vec<Mailbox> = self.config.to.iter().map(|to| mailbox(to)).collect::<Result<_, _>>()?;
        let message = self.message(&from, &to)?.formatted();
        let transport = self.transport()?;
        let mut refused = Vec::new();
        for to in &to {
            let envelope =
                Envelope::new(Some(from.email.clone()), vec![to.email.clone()]).map_err(|e| e.to_string())?;
            if let Err(e) = transport.send_raw(&envelope, &message) {
                refused.push(format!("{}: {e}", to.email));
            }
        }
        if refused.len() == to.len() {
            return Err(refused.join("; "));
        }
        for one in refused {
            eprintln!("backstop-notify: {}", Miss::again(one).why);
        }
        Ok(())
    }
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|e| format!("{text:?} is no mail address: {e}"))
}
