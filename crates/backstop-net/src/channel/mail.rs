//! E-mail. It is sent by a process of its own, which may take so long and no longer: a server that never ends a line, or
//! says a byte now and then, keeps nobody else.

use std::collections::BTreeSet;
use std::io;
use std::process::{Command, ExitCode};
use std::sync::Mutex;

use backstop_engine::child;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{SmtpTransport, Transport as _};
use serde::{Deserialize, Serialize};

use super::{PATIENCE, Sender};
use crate::config::{self, Security};
use crate::deliver::Miss;
use crate::message::Message as Told;
use crate::secret::secret;

/// The verb by which this program sends one mail, for itself alone.
const VERB: &str = "send-mail";

/// So many bytes a mail's text has at most.
const ROOM: usize = 64 << 10;

/// So many bytes are kept of what the process that sends says.
const SAID: usize = 16 << 10;

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
    /// Who has the notice of this id already: tried again, it is sent to the others.
    done: Mutex<(String, BTreeSet<String>)>,
}

/// What the process that sends says of an address, a line each.
const ACCEPTED: &str = "accepted ";
const REFUSED: &str = "refused ";
const LATER: &str = "later ";

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
        Ok(Self { config: config.clone(), password, done: Mutex::default() })
    }
}

impl Sender for Mail {
    fn send(&self, message: &Told) -> Result<(), Miss> {
        let id = message.id();
        let mut done = self.done.lock().map_err(|_| Miss::again("another mail was cut off"))?;
        if done.0 != id {
            *done = (id.clone(), BTreeSet::new());
        }
        let to: Vec<String> = self.config.to.iter().filter(|to| !done.1.contains(*to)).cloned().collect();
        let letter = Letter {
            config: config::Mail { to, ..self.config.clone() },
            password: self.password.clone(),
            subject: message.title(),
            id,
            text: message.text(ROOM),
        };
        let input = serde_json::to_vec(&letter).map_err(|e| Miss::never(e.to_string()))?;
        // This very program, also where another was installed in its place.
        let answer = child::run(Command::new("/proc/self/exe").arg(VERB), input, SAID, PATIENCE);
        let answer = answer.map_err(|e| Miss::again(format!("mail can't be sent: {e}")))?;
        let (status, said) = (answer.status, String::from_utf8_lossy(&answer.stdout).into_owned());
        let of = |kind: &'static str| said.lines().filter_map(move |line| line.strip_prefix(kind));
        let told = of(ACCEPTED).count() + self.config.to.len() - letter.config.to.len();
        done.1.extend(of(ACCEPTED).map(str::to_owned));
        let later: Vec<&str> = of(LATER).collect();
        match status {
            Some(status) if status.success() && later.is_empty() && told > 0 => {
                // One who is not there any more must not keep the others from hearing of it, nor go unsaid.
                of(REFUSED).for_each(|who| eprintln!("backstop-notify: mail refused: {}", Miss::again(who).why));
                Ok(())
            }
            // Whatever it is, somebody may mend it within the day: a password, a full box, a greylist.
            Some(_) => Err(Miss::again(if later.is_empty() { said.trim().to_owned() } else { later.join("; ") })),
            None => Err(Miss::again(format!("sending took longer than {} s", PATIENCE.as_secs()))),
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

    /// To each by himself, and says at once what became of it: whoever has it is not sent it again.
    fn send(&self) -> Result<(), String> {
        let from = mailbox(&self.config.from)?;
        let to: Vec<Mailbox> = self.config.to.iter().map(|to| mailbox(to)).collect::<Result<_, _>>()?;
        let message = self.message(&from, &to)?.formatted();
        let transport = self.transport()?;
        for (to, name) in to.iter().zip(&self.config.to) {
            let envelope =
                Envelope::new(Some(from.email.clone()), vec![to.email.clone()]).map_err(|e| e.to_string())?;
            match transport.send_raw(&envelope, &message) {
                Ok(_) => println!("{ACCEPTED}{name}"),
                Err(e) if e.is_permanent() => println!("{REFUSED}{name}: {}", Miss::again(e.to_string()).why),
                Err(e) => println!("{LATER}{name}: {}", Miss::again(e.to_string()).why),
            }
        }
        Ok(())
    }
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|e| format!("{text:?} is no mail address: {e}"))
}
