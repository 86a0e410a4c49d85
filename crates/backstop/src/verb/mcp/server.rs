//! The server as the protocol sees it: what it says of itself, and each call in a task of its own, so that a
//! panic ends in an answer.

use std::borrow::Cow;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, ListToolsResult, PaginatedRequestParams,
    ProtocolVersion, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};

use super::{Call, Server, answer, own, shell, tools};

/// Answers the protocol's requests.
pub struct Handler(pub Arc<Server>);

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let mut config = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        config.server_info = Implementation::new("backstop", env!("CARGO_PKG_VERSION")).with_title("Backstop");
        config.with_instructions(tools::NOTE)
    }

    /// Later versions have no requests from the server: a question would be an answer to which the client
    /// repeats its call.
    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25))
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let call = Call { context, server: self.0.clone() };
        if !tools::all().iter().any(|tool| tool.name == request.name) {
            return Err(ErrorData::invalid_params(format!("there is no tool {}", request.name), None));
        }
        let task = tokio::spawn(async move { of(request, &call).await });
        let failed =
            || ErrorData::internal_error("Backstop failed unexpectedly; `backstop runs` tells what was run", None);
        task.await.map(CallToolResponse::from).map_err(|_| failed())
    }
}

async fn of(request: CallToolRequestParams, call: &Call) -> CallToolResult {
    let done = match &*request.name {
        "shell" => shell::shell(request.arguments, call).await,
        name => own::verb(name, request.arguments, call).await,
    };
    done.unwrap_or_else(answer::failed)
}
