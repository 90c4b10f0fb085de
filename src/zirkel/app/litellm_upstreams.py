"""Where LiteLLM's deployments are called: its providers as upstreams. Pure.

Source: LiteLLM, "Providers" and "Proxy config.yaml"; the base addresses are those of the providers' API references.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from zirkel.core import Invalid, UpstreamSpec
from zirkel.core.gateway_check import check_upstream
from zirkel.observe.prices import provider_name

_FROM_ENVIRONMENT = "os.environ/"
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_REGION_VARIABLES = ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION")


@dataclass(frozen=True, slots=True)
class Lost:
    """A key of the file that could not be taken over."""

    path: str
    why: str


@dataclass(slots=True)
class Section:
    """An object of the file; what was not taken from it in the end is lost."""

    values: dict[str, object]
    path: str

    def take(self, key: str) -> object:
        """Return a value and count it as dealt with; None if it is not there."""
        return self.values.pop(key, None)

    def take_text(self, key: str) -> str:
        """Return a text; empty if it is not there or something else, which then stays."""
        return str(self.values.pop(key)) if isinstance(self.values.get(key), str) else ""

    def take_number(self, key: str, most: float) -> float | None:
        """Return a number from 0 to ``most``, or a text of one; None if there is none, and what is there stays."""
        value = self.values.get(key)
        try:
            number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
        except ValueError:
            return None
        if not 0 <= number <= most:
            return None
        del self.values[key]
        return number

    def place(self, key: str) -> str:
        """Return the path of a key."""
        return f"{self.path}.{key}" if self.path else key


@dataclass(frozen=True, slots=True)
class Provider:
    """How a provider is called."""

    dialect: str = "openai"
    base_url: str = ""
    """Empty if the file has to say it."""
    variable: str = ""
    """Where LiteLLM looks for the key if the file names none; empty if none is needed."""
    suffix: str = ""
    """What belongs behind an address that the file says."""


PROVIDERS: Mapping[str, Provider] = {
    "anthropic": Provider("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    "azure": Provider("azure", "", "AZURE_API_KEY"),
    "bedrock": Provider("bedrock", "", "AWS_BEDROCK_CREDENTIAL"),
    "cerebras": Provider("openai", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "custom_openai": Provider(),
    "deepseek": Provider("openai", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "fireworks_ai": Provider("openai", "https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY"),
    "gemini": Provider("gemini", "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY"),
    "groq": Provider("openai", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "hosted_vllm": Provider(),
    "litellm_proxy": Provider(),
    "lm_studio": Provider(),
    "mistral": Provider("openai", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "moonshot": Provider("openai", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "nvidia_nim": Provider("openai", "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "ollama": Provider("openai", "http://localhost:11434/v1", "", "/v1"),
    "ollama_chat": Provider("openai", "http://localhost:11434/v1", "", "/v1"),
    "openai": Provider("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    "openai_like": Provider(),
    "openrouter": Provider("openai", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "perplexity": Provider("openai", "https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    "sambanova": Provider("openai", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    "text-completion-openai": Provider("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    "together_ai": Provider("openai", "https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    "xai": Provider("openai", "https://api.x.ai/v1", "XAI_API_KEY"),
}
_SAME_PLACE = {"ollama_chat": "ollama", "text-completion-openai": "openai"}
_GUESSES = (
    (re.compile(r"(gpt-|chatgpt-|o\d|text-embedding-|davinci|babbage)"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
)


@dataclass(slots=True)
class Upstreams:
    """The upstreams found so far: one for each provider, address and key."""

    variable: Callable[[str], str]
    """Gives an environment variable's value, empty if it is not set."""
    lost: list[Lost]
    _found: dict[tuple[str, str, str], UpstreamSpec] = field(default_factory=dict)
    """By provider, address and variable."""
    _literals: dict[str, str] = field(default_factory=dict)
    """Variables by the keys that stand in the file."""

    def specs(self) -> list[UpstreamSpec]:
        """Return them in the order in which they were found."""
        return list(self._found.values())

    def find(self, params: Section) -> tuple[str, str] | None:
        """Return the upstream and the model's name there of a deployment; None, and why, if there cannot be one."""
        model = params.take_text("model")
        provider, name = _split(model, params.take_text("custom_llm_provider"), "api_base" in params.values)
        if provider not in PROVIDERS:
            known = f"provider {provider!r} is not one that can be called here" if provider else "names no provider"
            self.lost.append(Lost(params.place("model"), f"{model!r}: {known}; call it by an OpenAI-shaped address"))
            params.values.clear()
            return None
        region, name = _bedrock_region(name) if provider == "bedrock" else ("", name)
        base_url = self._address(provider, params, region)
        if not base_url:
            params.values.clear()
            return None
        upstream = self._place(_SAME_PLACE.get(provider, provider), base_url, params)
        return (upstream, name) if upstream else None

    def _place(self, provider: str, base_url: str, params: Section) -> str:
        """Return the name of the upstream; empty, and why, if it cannot be one."""
        variable = self._credential(provider, base_url, params)
        known = self._found.get((provider, base_url, variable))
        if known is not None:
            return known.name
        count = sum(kind == provider for kind, _, _ in self._found)
        name = provider if count == 0 else f"{provider}-{count + 1}"
        spec = UpstreamSpec(
            name=name,
            base_url=base_url,
            dialect=PROVIDERS[provider].dialect,
            credential_variable=variable,
            prices=provider_name(provider) if count else "",
        )
        try:
            check_upstream(spec, "upstream")
        except Invalid as error:
            self.lost.append(Lost(params.path, str(error)))
            params.values.clear()
            return ""
        self._found[provider, base_url, variable] = spec
        return name

    def _credential(self, provider: str, base_url: str, params: Section) -> str:
        """Return the variable that holds the key."""
        if provider == "bedrock":
            return self._aws_credential(params)
        given = params.take_text("api_key")
        default = PROVIDERS[provider].variable
        if given.startswith(_FROM_ENVIRONMENT):
            return given.removeprefix(_FROM_ENVIRONMENT)
        if not given:
            # At another address than the provider's own, LiteLLM's default is somebody else's key.
            return default if base_url == PROVIDERS[provider].base_url or provider == "azure" else ""
        variable = self._variable_of(given, default or f"{re.sub(r'[^A-Z0-9]', '_', provider.upper())}_API_KEY")
        self.lost.append(Lost(params.place("api_key"), f"a key does not belong in a file; put it into {variable}"))
        return variable

    def _variable_of(self, literal: str, wanted: str) -> str:
        """Return a variable for a key that stands in the file; another key gets another one."""
        if literal not in self._literals:
            used = {name for _, _, name in self._found} | set(self._literals.values())
            names = (wanted if number == 1 else f"{wanted}_{number}" for number in range(1, len(used) + 2))
            self._literals[literal] = next(name for name in names if name not in used)
        return self._literals[literal]

    def _aws_credential(self, params: Section) -> str:
        variable = PROVIDERS["bedrock"].variable
        for key in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "api_key"):
            if params.take(key) is not None:
                self.lost.append(
                    Lost(params.place(key), f"put ACCESS_KEY:SECRET or ACCESS_KEY:SECRET:TOKEN into {variable}")
                )
        return variable

    def _address(self, provider: str, params: Section, region: str) -> str:
        """Return the base address, empty, and why, if there is none."""
        given = self._resolved(params, "api_base" if "api_base" in params.values else "base_url")
        if given is None:
            return ""
        if provider == "azure":
            return self._azure(given, params)
        if given:
            suffix = PROVIDERS[provider].suffix
            base = given.rstrip("/")
            return base if base.endswith(suffix) else base + suffix
        if provider == "bedrock":
            return self._bedrock(params, region)
        if not PROVIDERS[provider].base_url:
            self.lost.append(Lost(params.place("api_base"), f"a deployment of {provider!r} needs an address"))
        return PROVIDERS[provider].base_url

    def _resolved(self, params: Section, key: str) -> str | None:
        """Return a text that may be in a variable; None, and why, if the variable is empty."""
        text = params.take_text(key)
        if not text.startswith(_FROM_ENVIRONMENT):
            return text
        name = text.removeprefix(_FROM_ENVIRONMENT)
        value = self.variable(name)
        if not value:
            self.lost.append(Lost(params.place(key), f"{name} is not set here; set it and import again"))
        return value or None

    def _azure(self, given: str, params: Section) -> str:
        version = self._resolved(params, "api_version")
        if not given or version is None:
            if not given:
                self.lost.append(Lost(params.place("api_base"), "a deployment of 'azure' needs an address"))
            return ""
        parts = urlsplit(given)
        origin = f"{parts.scheme}://{parts.netloc}"
        return f"{origin}?api-version={version}" if version else f"{origin}/openai/v1"

    def _bedrock(self, params: Section, region: str) -> str:
        named = self._resolved(params, "aws_region_name")
        found = region or named or next((value for name in _REGION_VARIABLES if (value := self.variable(name))), "")
        if not found:
            self.lost.append(Lost(params.place("aws_region_name"), "Bedrock needs a region; name one and import again"))
        return f"https://bedrock-runtime.{found}.amazonaws.com" if found else ""


def _split(model: str, provider: str, has_address: bool) -> tuple[str, str]:
    """Return the provider and its name of a model."""
    prefix, slash, rest = model.partition("/")
    if provider:
        return provider, rest if slash and prefix == provider else model
    if slash and (prefix in PROVIDERS or not has_address):
        return prefix, rest
    guessed = next((name for pattern, name in _GUESSES if pattern.match(model)), "")
    # At an address of one's own, LiteLLM takes an unknown name for OpenAI's way of speaking.
    return guessed or ("openai" if has_address and model else ""), model


def _bedrock_region(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and first in ("converse", "invoke"):
        return _bedrock_region(rest)
    return (first, rest) if slash and _REGION.fullmatch(first) else ("", name)
