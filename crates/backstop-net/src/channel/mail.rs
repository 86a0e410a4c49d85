//! E-mail.

use backstop_core::notice::Notice;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{SmtpTransport, Transport as _};

use super::{PATIENCE, Sender, secret};
use crate::config::{self, Security};
use crate::deliver::Miss;

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
    transport: SmtpTransport,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mail {
    pub fn new(config: &config::Mail) -> Result<Self, String> {
        let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|e| format!("{text:?} is no mail address: {e}"));
        let builder = match config.security {
            Security::Tls => SmtpTransport::relay(&config.server),
            Security::Starttls => SmtpTransport::starttls_relay(&config.server),
            Security::Plain => Ok(SmtpTransport::builder_dangerous(&config.server)),
        };
        let mut builder = builder.map_err(|e| format!("the mail server {:?}: {e}", config.server))?;
        builder = builder.timeout(Some(PATIENCE));
        if let Some(port) = config.port {
            builder = builder.port(port);
        }
        if let (Some(user), Some(file)) = (&config.user, &config.password_file) {
            builder = builder.credentials(Credentials::new(user.clone(), secret(file)?));
        }
        let to = config.to.iter().map(mailbox).collect::<Result<_, _>>()?;
        Ok(Self { transport: builder.build(), from: mailbox(&config.from)?, to })
    }

    fn message(&self, notice: &Notice, link: Option<&str>) -> Result<Message, String> {
        let domain = self.from.email.domain();
        let builder = Message::builder()
            .from(self.from.clone())
            .subject(notice.title())
            // The same whenever it is sent, so that a mail program shows it once.
            .message_id(Some(format!("<{}@{domain}>", notice.id)))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN);
        let builder = self.to.iter().fold(builder, |builder, to| builder.to(to.clone()));
        builder.body(notice.text(link)).map_err(|e| e.to_string())
    }
}

impl Sender for Mail {
    fn send(&self, notice: &Notice, link: Option<&str>) -> Result<(), Miss> {
        let message = self.message(notice, link).map_err(Miss::never)?;
        self.transport.send(&message).map(drop).map_err(|e| {
            let why = e.to_string();
            if e.is_permanent() { Miss::never(why) } else { Miss::again(why) }
        })
    }
}
