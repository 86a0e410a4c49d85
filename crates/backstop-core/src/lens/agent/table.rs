//! Takes a path, gives which agent reads settings there, how they are written and which of their keys
//! matter. A table: a new agent is a new row.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::glob;
use super::{Format, Kind};
use crate::bytes::Bytes;
use Format::{Json, Toml, Whole, Yaml};
use Kind::{Hooks, Instructions, Mcp, Permissions};

/// Files of one agent that are read alike.
#[derive(Debug)]
pub struct Row {
    /// The agent, as people call it.
    pub agent: &'static str,
    /// How the files are written.
    pub format: Format,
    /// Paths: `~/` is any directory, else from the root; `*` any part of a name, `**` any names.
    pub paths: &'static [&'static str],
    /// Which keys decide what; keys of keys behind `/`, `*` any part of a key. Alone, `*` is all
    /// others. For a whole file its first kind counts.
    pub keys: &'static [(&'static str, Kind)],
}

const fn row(
    agent: &'static str,
    format: Format,
    paths: &'static [&'static str],
    keys: &'static [(&'static str, Kind)],
) -> Row {
    Row { agent, format, paths, keys }
}

const HOOKS: &[(&str, Kind)] = &[("*", Hooks)];
const PERMISSIONS: &[(&str, Kind)] = &[("*", Permissions)];
const SERVERS: &[(&str, Kind)] = &[("mcpServers", Mcp)];
const TEXT: &[(&str, Kind)] = &[("*", Instructions)];

/// The first row that matches counts.
static ROWS: &[Row] = &[
    // Claude Code. What runs a program counts as a hook: status line, key helpers, plugins.
    row(
        "Claude Code",
        Json,
        &[
            "~/.claude/settings*.json",
            "/etc/claude-code/managed-settings.json",
            "/etc/claude-code/managed-settings.d/*.json",
        ],
        &[
            ("hooks", Hooks),
            ("disableAllHooks", Hooks),
            ("allowManagedHooksOnly", Hooks),
            ("statusLine", Hooks),
            ("*Helper", Hooks),
            ("awsAuthRefresh", Hooks),
            ("awsCredentialExport", Hooks),
            ("enabledPlugins", Hooks),
            ("extraKnownMarketplaces", Hooks),
            ("permissions", Permissions),
            ("sandbox", Permissions),
            ("env", Permissions),
            ("disableBypassPermissionsMode", Permissions),
            ("disableSideloadFlags", Permissions),
            ("skipDangerousModePermissionPrompt", Permissions),
            ("mcpServers", Mcp),
            ("enableAllProjectMcpServers", Mcp),
            ("enabledMcpjsonServers", Mcp),
            ("disabledMcpjsonServers", Mcp),
            ("allowedMcpServers", Mcp),
            ("deniedMcpServers", Mcp),
        ],
    ),
    // Claude Code's own state is written all the time; only these of its keys decide something.
    row(
        "Claude Code",
        Json,
        &["~/.claude.json"],
        &[
            ("mcpServers", Mcp),
            ("projects/*/mcpServers", Mcp),
            ("projects/*/enabledMcpjsonServers", Mcp),
            ("projects/*/allowedTools", Permissions),
            ("projects/*/hasTrustDialogAccepted", Permissions),
            ("bypassPermissionsModeAccepted", Permissions),
        ],
    ),
    row("Claude Code", Json, &["~/.mcp.json", "/etc/claude-code/managed-mcp.json"], SERVERS),
    row("Claude Code", Whole, &["~/.claude/hooks/**", "~/.claude/plugins/**/hooks/hooks.json"], HOOKS),
    row(
        "Claude Code",
        Whole,
        &[
            "~/CLAUDE.md",
            "~/CLAUDE.local.md",
            "~/.claude/agents/**",
            "~/.claude/commands/**",
            "~/.claude/output-styles/**",
            "~/.claude/rules/**",
            "~/.claude/skills/**",
        ],
        TEXT,
    ),
    // Codex
    row(
        "Codex",
        Toml,
        &["~/.codex/config.toml", "/etc/codex/config.toml", "~/.codex/*.config.toml"],
        &[
            ("hooks", Hooks),
            ("notify", Hooks),
            ("plugins", Hooks),
            ("mcp_servers", Mcp),
            ("approval_policy", Permissions),
            ("approvals_reviewer", Permissions),
            ("sandbox_*", Permissions),
            ("permissions", Permissions),
            ("default_permissions", Permissions),
            ("shell_environment_policy", Permissions),
            ("projects", Permissions),
            ("profiles", Permissions),
            ("features", Permissions),
        ],
    ),
    row(
        "Codex",
        Toml,
        &["/etc/codex/requirements.toml", "/etc/codex/managed_config.toml"],
        &[("hooks", Hooks), ("allow_managed_hooks_only", Hooks), ("mcp_servers", Mcp), ("*", Permissions)],
    ),
    row("Codex", Json, &["~/.codex/hooks.json"], HOOKS),
    row("Codex", Whole, &["~/.codex/rules/**", "/etc/codex/rules/**"], PERMISSIONS),
    row("Codex", Whole, &["~/.codex/prompts/**", "~/.codex/skills/**"], TEXT),
    // Gemini CLI and its descendant Qwen Code
    row(
        "Gemini CLI",
        Json,
        &["~/.gemini/settings.json", "/etc/gemini-cli/settings.json", "/etc/gemini-cli/system-defaults.json"],
        GEMINI,
    ),
    row("Gemini CLI", Json, &["~/.gemini/trustedFolders.json"], PERMISSIONS),
    row("Gemini CLI", Whole, &["~/.gemini/policies/**", "/etc/gemini-cli/policies/**"], PERMISSIONS),
    row("Gemini CLI", Whole, &["~/.gemini/extensions/**/hooks/hooks.json"], HOOKS),
    row("Gemini CLI", Json, &["~/.gemini/extensions/*/gemini-extension.json"], SERVERS),
    row("Gemini CLI", Whole, &["~/GEMINI.md", "~/.gemini/commands/**"], TEXT),
    row("Qwen Code", Json, &["~/.qwen/settings.json", "/etc/qwen-code/settings.json"], GEMINI),
    row("Qwen Code", Json, &["~/.qwen/trustedFolders.json"], PERMISSIONS),
    row("Qwen Code", Whole, &["~/QWEN.md", "~/.qwen/agents/**", "~/.qwen/commands/**"], TEXT),
    // GitHub Copilot: CLI, cloud agent, VS Code
    row(
        "GitHub Copilot",
        Json,
        &["/etc/github-copilot/policy.d/*.json", "~/.copilot/hooks/*.json", "~/.github/hooks/*.json"],
        HOOKS,
    ),
    row(
        "GitHub Copilot",
        Json,
        &["~/.copilot/settings.json", "~/.copilot/config.json", "~/.github/copilot/settings*.json"],
        &[
            ("hooks", Hooks),
            ("disableAllHooks", Hooks),
            ("mcpServers", Mcp),
            ("*llowed*", Permissions),
            ("denied*", Permissions),
            ("trusted*", Permissions),
            ("permissions", Permissions),
        ],
    ),
    row("GitHub Copilot", Json, &["~/.copilot/permissions-config.json"], PERMISSIONS),
    row("GitHub Copilot", Json, &["~/.copilot/mcp-config.json"], SERVERS),
    row(
        "GitHub Copilot",
        Json,
        &["~/.vscode/mcp.json", "~/.config/Code/User/mcp.json"],
        &[("servers", Mcp), ("mcpServers", Mcp)],
    ),
    row(
        "GitHub Copilot",
        Json,
        &["~/.vscode/settings.json", "~/.config/Code/User/settings.json"],
        &[
            ("chat.hooks*", Hooks),
            ("chat.mcp*", Mcp),
            ("mcp", Mcp),
            ("chat.tools.*", Permissions),
            ("chat.agent.*", Permissions),
            ("github.copilot.chat.*", Permissions),
            ("security.workspace.trust*", Permissions),
        ],
    ),
    row(
        "GitHub Copilot",
        Whole,
        &["~/copilot-instructions.md", "~/.github/instructions/**", "~/.github/agents/**", "~/.github/prompts/**"],
        TEXT,
    ),
    // Cline and Roo Code
    row("Cline", Whole, &["~/.cline/hooks/**", "~/.clinerules/hooks/**"], HOOKS),
    row("Cline", Json, &["~/cline_mcp_settings.json"], SERVERS),
    row("Cline", Whole, &["~/.clinerules", "~/.clinerules/**", "~/.cline/rules/**"], TEXT),
    row("Kilo Code", Json, &["~/.kilocode/mcp.json"], SERVERS),
    row(
        "Kilo Code",
        Json,
        &["~/.config/kilo/*.json*"],
        &[("plugin", Hooks), ("mcp*", Mcp), ("permission*", Permissions), ("tools", Permissions)],
    ),
    row("Kilo Code", Whole, &["~/.kilocode/rules*/**"], TEXT),
    row("Roo Code", Json, &["~/.roo/mcp.json", "~/settings/mcp_settings.json"], SERVERS),
    row("Roo Code", Whole, &["~/.roorules", "~/.roo/rules*/**"], TEXT),
    // Cursor
    row("Cursor", Json, &["~/.cursor/hooks.json", "/etc/cursor/hooks.json"], &[("hooks", Hooks)]),
    row("Cursor", Whole, &["~/.cursor/hooks/**"], HOOKS),
    row("Cursor", Json, &["~/.cursor/mcp.json"], SERVERS),
    row(
        "Cursor",
        Json,
        &["~/.cursor/cli.json", "~/.cursor/cli-config.json"],
        &[("permissions", Permissions), ("approvalMode", Permissions), ("sandbox", Permissions)],
    ),
    row("Cursor", Json, &["~/.cursor/sandbox.json", "~/.cursor/permissions.json"], PERMISSIONS),
    row("Cursor", Whole, &["~/.cursorrules", "~/.cursor/rules/**", "~/.cursor/commands/**"], TEXT),
    // Windsurf
    row(
        "Windsurf",
        Json,
        &["~/.codeium/windsurf/hooks.json", "~/.windsurf/hooks.json", "/etc/windsurf/hooks.json"],
        &[("hooks", Hooks)],
    ),
    row("Windsurf", Json, &["~/.codeium/windsurf/mcp_config.json"], SERVERS),
    row(
        "Windsurf",
        Whole,
        &[
            "~/.windsurfrules",
            "~/.windsurf/rules/**",
            "~/.windsurf/workflows/**",
            "~/.codeium/windsurf/memories/global_rules.md",
        ],
        TEXT,
    ),
    // Kiro and Amazon Q
    row("Kiro", Whole, &["~/.kiro/hooks/**"], HOOKS),
    row("Kiro", Json, &["~/.kiro/agents/*.json"], KIRO),
    row("Kiro", Json, &["~/.kiro/settings/mcp.json"], SERVERS),
    row("Kiro", Whole, &["~/.kiro/steering/**"], TEXT),
    row("Amazon Q", Json, &["~/.aws/amazonq/cli-agents/*.json", "~/.amazonq/cli-agents/*.json"], KIRO),
    row("Amazon Q", Json, &["~/.aws/amazonq/mcp.json", "~/.amazonq/mcp.json"], SERVERS),
    row("Amazon Q", Whole, &["~/.amazonq/rules/**"], TEXT),
    // Droid
    row("Droid", Json, &["~/.factory/hooks.json"], HOOKS),
    row(
        "Droid",
        Json,
        &["~/.factory/settings*.json"],
        &[
            ("hooks*", Hooks),
            ("mcpServers", Mcp),
            ("command*list", Permissions),
            ("autonomy*", Permissions),
            ("permissions", Permissions),
            ("sandbox", Permissions),
        ],
    ),
    row("Droid", Json, &["~/.factory/mcp.json"], SERVERS),
    row("Droid", Whole, &["~/.factory/droids/**", "~/.factory/commands/**"], TEXT),
    // Goose
    row(
        "Goose",
        Yaml,
        &["~/.config/goose/config.yaml"],
        &[("extensions", Mcp), ("GOOSE_*", Permissions), ("", Permissions)],
    ),
    row("Goose", Yaml, &["~/.config/goose/permission.yaml", "~/.config/goose/permissions/*.yaml"], PERMISSIONS),
    row("Goose", Whole, &["~/.agents/plugins/**/hooks/hooks.json"], HOOKS),
    row("Goose", Whole, &["~/.goosehints"], TEXT),
    // Amp
    row(
        "Amp",
        Json,
        &["~/.config/amp/settings.json*", "~/.amp/settings.json*", "/etc/ampcode/managed-settings.json"],
        &[
            ("amp.hooks*", Hooks),
            ("amp.mcpServers", Mcp),
            ("amp.mcpPermissions", Permissions),
            ("amp.permissions", Permissions),
            ("amp.guardedFiles*", Permissions),
            ("amp.commands*", Permissions),
            ("amp.dangerously*", Permissions),
        ],
    ),
    row("Amp", Whole, &["~/.amp/plugins/**", "~/.config/amp/plugins/**"], HOOKS),
    // OpenCode
    row(
        "OpenCode",
        Json,
        &["~/opencode.json", "~/opencode.jsonc"],
        &[
            ("plugin", Hooks),
            ("experimental/hook", Hooks),
            ("mcp", Mcp),
            ("permission", Permissions),
            ("tools", Permissions),
            ("agent/*/permission", Permissions),
            ("agent/*/tools", Permissions),
            ("instructions", Instructions),
        ],
    ),
    row("OpenCode", Whole, &["~/.opencode/plugin*/**", "~/.config/opencode/plugin*/**"], HOOKS),
    row(
        "OpenCode",
        Whole,
        &[
            "~/.opencode/agent*/**",
            "~/.opencode/command*/**",
            "~/.config/opencode/agent*/**",
            "~/.config/opencode/command*/**",
        ],
        TEXT,
    ),
    // Pi
    row("Pi", Whole, &["~/.pi/extensions/**", "~/.pi/agent/extensions/**"], HOOKS),
    row(
        "Pi",
        Json,
        &["~/.pi/settings.json", "~/.pi/agent/settings.json"],
        &[("extensions", Hooks), ("packages", Hooks)],
    ),
    row("Pi", Whole, &["~/.pi/agent/SYSTEM.md", "~/.pi/SYSTEM.md", "~/.pi/skills/**", "~/.pi/agent/skills/**"], TEXT),
    // Others
    row(
        "Aider",
        Yaml,
        &["~/.aider.conf.yml"],
        &[
            ("yes-always", Permissions),
            ("auto-*", Permissions),
            ("dirty-commits", Permissions),
            ("suggest-shell-commands", Permissions),
            ("lint-cmd", Hooks),
            ("test-cmd", Hooks),
            ("read", Instructions),
        ],
    ),
    row(
        "Continue",
        Yaml,
        &["~/.continue/config.yaml"],
        &[("mcpServers", Mcp), ("rules", Instructions), ("", Permissions)],
    ),
    row("Continue", Json, &["~/.continue/config.json"], &[("mcpServers", Mcp), ("experimental/modelContext*", Mcp)]),
    row("Continue", Yaml, &["~/.continue/permissions.yaml"], PERMISSIONS),
    row("Continue", Whole, &["~/.continue/mcpServers/**"], &[("*", Mcp)]),
    row("Continue", Whole, &["~/.continue/rules/**"], TEXT),
    row(
        "Zed",
        Json,
        &["~/.config/zed/settings.json", "~/.zed/settings.json"],
        &[
            ("context_servers", Mcp),
            ("agent_servers", Mcp),
            ("agent/always_allow_tool_actions", Permissions),
            ("agent/tool_permissions", Permissions),
            ("agent/profiles", Permissions),
        ],
    ),
    row("Mistral Vibe", Toml, &["~/.vibe/hooks.toml"], HOOKS),
    row(
        "Mistral Vibe",
        Toml,
        &["~/.vibe/config.toml"],
        &[("hooks", Hooks), ("mcp_servers", Mcp), ("*tools", Permissions), ("auto_approve", Permissions)],
    ),
    row(
        "Kimi Code",
        Toml,
        &["~/.kimi-code/config.toml", "~/.kimi/config.toml"],
        &[("hooks", Hooks), ("mcp*", Mcp), ("permission*", Permissions), ("*yolo*", Permissions)],
    ),
    row("Kimi Code", Json, &["~/.kimi-code/mcp.json", "~/.kimi/mcp.json"], SERVERS),
    row(
        "Crush",
        Json,
        &["~/crush.json", "~/.crush.json"],
        &[("hooks", Hooks), ("mcp", Mcp), ("permissions", Permissions), ("options/disabled_tools", Permissions)],
    ),
    row(
        "Auggie",
        Json,
        &["~/.augment/settings*.json"],
        &[("hooks", Hooks), ("mcpServers", Mcp), ("toolPermissions", Permissions)],
    ),
    row("Auggie", Whole, &["~/.augment/rules/**", "~/.augment-guidelines"], TEXT),
    row("Junie", Json, &["~/.junie/mcp/mcp.json"], SERVERS),
    row("Junie", Whole, &["~/.junie/guidelines.md"], TEXT),
    row("Warp", Whole, &["~/WARP.md"], TEXT),
    // Read by most of them
    row("several agents", Whole, &["~/AGENTS.md", "~/AGENTS.override.md", "~/.agents/skills/**"], TEXT),
];

const GEMINI: &[(&str, Kind)] = &[
    ("hooks*", Hooks),
    ("disableAllHooks", Hooks),
    ("tools", Permissions),
    ("security", Permissions),
    ("permissions", Permissions),
    ("admin", Permissions),
    ("general/defaultApprovalMode", Permissions),
    ("policyPaths", Permissions),
    // the flat names of older versions
    ("coreTools", Permissions),
    ("excludeTools", Permissions),
    ("allowedTools", Permissions),
    ("autoAccept", Permissions),
    ("sandbox", Permissions),
    ("mcpServers", Mcp),
    ("mcp", Mcp),
];

const KIRO: &[(&str, Kind)] = &[
    ("hooks", Hooks),
    ("mcpServers", Mcp),
    ("tools", Permissions),
    ("allowedTools", Permissions),
    ("toolsSettings", Permissions),
    ("prompt", Instructions),
    ("resources", Instructions),
];

/// One path of a row, cut into components.
struct Pattern {
    parts: Vec<&'static [u8]>,
    rooted: bool,
    row: &'static Row,
}

/// Patterns by their first component; the few whose first component holds a star would be by theirs.
static BY_FIRST: LazyLock<BTreeMap<&'static [u8], Vec<Pattern>>> = LazyLock::new(|| {
    let mut map: BTreeMap<&'static [u8], Vec<Pattern>> = BTreeMap::new();
    for row in ROWS {
        for path in row.paths {
            let rooted = path.starts_with('/');
            let rest = path.strip_prefix("~/").unwrap_or(path).trim_start_matches('/');
            let parts: Vec<&[u8]> = rest.as_bytes().split(|&b| b == b'/').collect();
            map.entry(parts[0]).or_default().push(Pattern { parts, rooted, row });
        }
    }
    map
});

/// The first row one of whose paths matches.
pub(super) fn find(path: &Bytes) -> Option<&'static Row> {
    let all = path.as_slice();
    // Most paths hold none of the first components; those cost no allocation.
    let mut components = all.split(|&b| b == b'/').filter(|c| !c.is_empty());
    if !components.any(|c| BY_FIRST.contains_key(c)) {
        return None;
    }
    let parts: Vec<&[u8]> = all.split(|&b| b == b'/').filter(|c| !c.is_empty()).collect();
    let mut best: Option<&'static Row> = None;
    for start in 0..parts.len() {
        for pattern in BY_FIRST.get(parts[start]).into_iter().flatten() {
            let fits = (start == 0 || !pattern.rooted) && glob::path(&pattern.parts, &parts[start..]);
            let earlier = best.is_none_or(|b| std::ptr::from_ref(pattern.row) < std::ptr::from_ref(b));
            if fits && earlier {
                best = Some(pattern.row);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_begins_with_a_plain_component() {
        for row in ROWS {
            for path in row.paths {
                let rest = path.strip_prefix("~/").or_else(|| path.strip_prefix('/')).expect("rooted or anywhere");
                assert!(!rest.split('/').next().expect("a component").contains('*'), "{path}");
                assert!(!row.keys.is_empty(), "{path}");
            }
        }
    }
}
