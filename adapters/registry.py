"""Every adapter by role and name. Adding a vendor is a line here and a folder beside it.

A line is `module:function`; the function takes (settings) for a source, (settings, gate, model, seconds) for a
language model, and (settings, gate) for the others.
"""

from typing import Final

SOURCES: Final = {
    "hubspot": "adapters.hubspot.source:build",
    "gong": "adapters.gong.source:build",
    "bombora": "adapters.bombora.source:build",
}
PROVIDERS: Final = {
    "hubspot": "adapters.hubspot.context:build_provider",
}
ACTIONS: Final = {
    "hubspot": "adapters.hubspot.actions:build_actions",
    "slack": "adapters.slack.actions:build_actions",
    "drafts": "adapters.drafts.actions:build_actions",
}
MODELS: Final = {
    "anthropic": "adapters.anthropic.llm:build_model",
    "openai": "adapters.openai.llm:build_model",
}
MESSENGERS: Final = {
    "slack": "adapters.slack.messenger:build_messenger",
    "email": "adapters.email.messenger:build_messenger",
}
PRESSES: Final = "adapters.slack.presses:build_presses"
IDENTITY: Final = {
    "oidc": "adapters.oidc.identity:build",
}
"""Who vouches for people that sign in. A line takes (settings)."""
