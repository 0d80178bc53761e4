"""A profile fits the stack to a computer: which models, how many threads, what goes on the GPU.

One YAML file per kind of computer in ``config/profiles``; nodes, launch files and the ``backend``
executable read the same one.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import urlsplit

from smolfusion_ros.bringup.paths import profile_path
from smolfusion_ros.bringup.speech_profile import SpeechProfile, speech_profile
from smolfusion_ros.documents import read_mapping
from smolfusion_ros.errors import ConfigurationError

ROLES = ("llm", "vlm")
DEFAULT_PORTS = {"llm": 8080, "vlm": 8081}
# Keys that mean something to one role only.
ROLE_KEYS = {"chat_format": "llm", "prompt_examples": "llm", "questions": "vlm", "image_max_tokens": "vlm"}


def _within(low: int, high: int, default: int) -> Any:
    return field(default=default, metadata={"range": (low, high)})


def _one_of(*choices: str) -> Any:
    return field(default=choices[0], metadata={"choices": choices})


@dataclass(frozen=True)
class BackendProfile:
    """One language model server: which model, where it listens, what it may use.

    provider: who serves; ``remote`` starts nothing and takes ``url``.
    model: name in the manifest, or the path of a .gguf file.
    url: where clients find the server; follows from host and port unless the provider is remote.
    api_key_file: a file with the key that a remote server wants, which nobody else may read (mode 600).
    served_model: the name a remote server knows the model by.
    host, port: where a local server listens. Loopback, since these servers know no users.
    context_tokens: of one conversation; slots: conversations held at the same time.
    threads: for generation and for prompts.
    batch_tokens, ubatch_tokens: tokens per step of prompt evaluation, and per computation inside it.
    gpu_layers: layers put on the GPU; 999 is all of them.
    image_max_tokens: bound on an image's tokens per tile group, 0 for the model's own; vlm only.
    cache_ram_mib: memory for prompts kept besides the slots, MiB; 0 turns it off.
    flash_attention: auto, on, off.
    chat_format: chatml, or chatml-no-think for models that think unless told not to; llm only.
    prompt_examples: show the model the persona's example turns; one that was taught the actions needs none; llm only.
    questions: the form in which scenes are asked for, caption or json; vlm only.
    Raises ConfigurationError with key and value.
    """

    provider: str = _one_of("auto", "llama-server", "xllamacpp", "llama-cpp-python", "remote")
    model: str = ""
    url: str = ""
    api_key_file: str = ""
    served_model: str = ""
    host: str = "127.0.0.1"
    port: int = _within(1, 65535, 8080)
    context_tokens: int = _within(256, 1 << 20, 4096)
    threads: int = _within(1, 256, 2)
    batch_tokens: int = _within(8, 1 << 16, 256)
    ubatch_tokens: int = _within(8, 1 << 16, 64)
    gpu_layers: int = _within(0, 999, 0)
    slots: int = _within(1, 64, 1)
    image_max_tokens: int = _within(0, 1 << 14, 0)
    cache_ram_mib: int = _within(0, 1 << 20, 0)
    flash_attention: str = _one_of("auto", "on", "off")
    chat_format: str = _one_of("chatml", "chatml-no-think")
    prompt_examples: bool = True
    questions: str = _one_of("caption", "json")

    def __post_init__(self) -> None:
        for item in fields(self):
            _check(item.name, getattr(self, item.name), item.type, item.metadata)
        if self.ubatch_tokens > self.batch_tokens:
            raise ConfigurationError(
                f"ubatch_tokens = {self.ubatch_tokens} is more than batch_tokens = {self.batch_tokens}"
            )
        if self.is_remote:
            parts = urlsplit(self.url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ConfigurationError(f"url = {self.url!r} is not the http(s) address of a remote server")
        elif not self.model:
            raise ConfigurationError(f"model = {self.model!r} names no model")
        else:
            object.__setattr__(self, "url", f"http://{self.client_host}:{self.port}")

    @property
    def is_remote(self) -> bool:
        """Whether the server is someone else's: nothing is started for it."""
        return self.provider == "remote"

    @property
    def client_host(self) -> str:
        """The host a client on this machine connects to: a server on every interface is on loopback too."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)
        return f"[{host}]" if ":" in host else host


@dataclass(frozen=True)
class Profile:
    """A named profile: the two models' backends, and how the robot hears and speaks, if it does."""

    name: str
    llm: BackendProfile
    vlm: BackendProfile
    description: str = ""
    speech: SpeechProfile | None = None

    def __post_init__(self) -> None:
        if not self.llm.is_remote and not self.vlm.is_remote and self.llm.port == self.vlm.port:
            raise ConfigurationError(f"vlm.port = {self.vlm.port} is the port of llm too")

    def backend(self, role: str) -> BackendProfile:
        """The backend of a role, ``llm`` or ``vlm``."""
        if role not in ROLES:
            raise ConfigurationError(f"role = {role!r} is none of {', '.join(ROLES)}")
        return self.llm if role == "llm" else self.vlm

    def on_ports(self, *, llm: int = 0, vlm: int = 0) -> "Profile":
        """The same profile with its local backends on other ports; 0 leaves one where it is.

        Raises ConfigurationError for a backend that runs elsewhere.
        """
        return replace(self, llm=self._on_port("llm", llm), vlm=self._on_port("vlm", vlm))

    def _on_port(self, role: str, port: int) -> BackendProfile:
        backend = self.backend(role)
        if port and backend.is_remote:
            raise ConfigurationError(f"{role}_port {port}: profile {self.name} takes its {role} from {backend.url}")
        return replace(backend, port=port or backend.port)

    @property
    def local_backends(self) -> dict[str, BackendProfile]:
        """The backends that run on this computer, by role."""
        return {role: self.backend(role) for role in ROLES if not self.backend(role).is_remote}


def load_profile(name_or_path: str) -> Profile:
    """Read a profile by name (``embedded``) or path; ConfigurationError naming file, key and value."""
    path = profile_path(name_or_path)
    content = read_mapping(path)
    try:
        return _profile(path.stem, content)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _profile(name: str, content: dict[str, Any]) -> Profile:
    for key, value in content.items():
        if key not in (*ROLES, "speech", "description"):
            raise ConfigurationError(f"unknown key {key} = {value!r}")
    backends = {}
    for role in ROLES:
        try:
            backends[role] = _backend(role, content.get(role))
        except ConfigurationError as error:
            raise ConfigurationError(f"{role}: {error}") from error
    try:
        speech = speech_profile(content.get("speech"))
    except ConfigurationError as error:
        raise ConfigurationError(f"speech: {error}") from error
    return Profile(name, backends["llm"], backends["vlm"], str(content.get("description", "")).strip(), speech)


def _backend(role: str, content: Any) -> BackendProfile:
    if not isinstance(content, dict):
        raise ConfigurationError(f"expected a mapping, found {content!r}")
    known = {item.name for item in fields(BackendProfile)}
    for key, value in content.items():
        if key not in known:
            raise ConfigurationError(f"unknown key {key} = {value!r}; known are {', '.join(sorted(known))}")
        if ROLE_KEYS.get(key, role) != role:
            raise ConfigurationError(f"{key} = {value!r} belongs to {ROLE_KEYS[key]}")
    if content.get("url") and content.get("provider") != "remote":
        raise ConfigurationError(f"url = {content['url']!r} needs provider = remote; give host and port instead")
    if content.get("api_key_file") and content.get("provider") != "remote":
        raise ConfigurationError(f"api_key_file = {content['api_key_file']!r} needs provider = remote")
    values = {"port": DEFAULT_PORTS[role], **content}
    # YAML 1.1 reads a bare on or off as a truth value.
    if isinstance(values.get("flash_attention"), bool):
        values["flash_attention"] = "on" if values["flash_attention"] else "off"
    return BackendProfile(**values)


def _check(key: str, value: Any, kind: object, metadata: Any) -> None:
    # bool is an int in Python, but no number of anything.
    if kind is int and (isinstance(value, bool) or not isinstance(value, int)):
        raise ConfigurationError(f"{key} = {value!r} is not a whole number")
    if kind is bool and not isinstance(value, bool):
        raise ConfigurationError(f"{key} = {value!r} is neither true nor false")
    if kind is str and not isinstance(value, str):
        raise ConfigurationError(f"{key} = {value!r} is not text")
    if "range" in metadata:
        low, high = metadata["range"]
        if not low <= value <= high:
            raise ConfigurationError(f"{key} = {value} is not within {low}..{high}")
    if "choices" in metadata and value not in metadata["choices"]:
        raise ConfigurationError(f"{key} = {value!r} is none of {', '.join(metadata['choices'])}")
